//! What somebody is told of a job who follows it, by whatever way: all must hear the same.

use std::io::BufRead;

use serde_json::Value;

use crate::Client;

/// What somebody was told of a job.
#[derive(Debug, Default, PartialEq)]
pub struct Heard {
    /// The events that have a number, but for the texts of answers.
    pub events: Vec<Value>,
    /// Each answer, and what was told of it.
    pub answers: Vec<(String, String)>,
    /// What was had last, as a stream says it.
    pub last: String,
}

impl Heard {
    /// Hears events as somebody who asks is told them.
    #[must_use]
    pub fn of(events: Vec<Value>) -> Self {
        let mut heard = Self::default();
        for event in events {
            heard.last = event["number"].to_string();
            heard.hear(event);
        }
        heard
    }

    /// Hears what a stream told.
    #[must_use]
    pub fn of_stream(stream: &str) -> Self {
        let mut heard = Self::default();
        for frame in stream.split("\n\n") {
            heard.hear_frame(frame);
        }
        heard
    }

    /// Hears an event of a stream. False where it is none.
    pub fn hear_frame(&mut self, frame: &str) -> bool {
        let field = |name: &str| {
            let mut lines = frame.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let (Some(id), Some(kind), Some(data)) = (field("id"), field("event"), field("data")) else {
            return false;
        };
        self.hear_streamed(id, kind, serde_json::from_str(data).unwrap());
        true
    }

    /// Hears an event of a stream that somebody else has read: its id, its type and its data.
    pub fn hear_streamed(&mut self, id: &str, kind: &str, event: Value) {
        assert_eq!(event["type"], kind);
        if let Some(number) = event["number"].as_u64() {
            assert!(
                id == number.to_string() || id.starts_with(&format!("{number}:")),
                "{id}: {event}"
            );
        }
        id.clone_into(&mut self.last);
        self.hear(event);
    }

    /// Hears an event.
    pub fn hear(&mut self, mut event: Value) {
        if event["type"] == "stage.delta" {
            let text = event["text"].take();
            let answer = event["answer"].as_str().unwrap();
            if self.answers.last().is_none_or(|(last, _)| last != answer) {
                self.answers.push((answer.to_owned(), String::new()));
            }
            let (_, so_far) = self.answers.last_mut().unwrap();
            let offset = event["offset"].take().as_u64().unwrap();
            assert_eq!(
                offset,
                so_far.chars().count() as u64,
                "no character twice, none missing"
            );
            so_far.push_str(text.as_str().unwrap());
        }
        if event.get("number").is_some() {
            self.events.push(event);
        }
    }

    /// Hears so many events of a stream, and no more.
    pub fn hear_some(&mut self, stream: impl BufRead, mut events: usize) {
        let mut frame = String::new();
        for line in stream.lines() {
            let line = line.unwrap();
            if !line.is_empty() {
                frame.push_str(&line);
                frame.push('\n');
                continue;
            }
            events -= usize::from(self.hear_frame(&frame));
            if events == 0 {
                return;
            }
            frame.clear();
        }
    }

    /// The types of what happened, but for pieces of answers.
    #[must_use]
    pub fn types(&self) -> Vec<&str> {
        let types = self.events.iter().map(|event| event["type"].as_str().unwrap());
        types.filter(|kind| *kind != "stage.delta").collect()
    }

    /// The answers' texts.
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        self.answers.iter().map(|(_, text)| text.as_str()).collect()
    }

    /// Whether the job's last event was heard.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let ends = ["job.succeeded", "job.failed", "job.cancelled"];
        self.types().last().is_some_and(|last| ends.contains(last))
    }
}

/// A job's events, asked for again and again.
#[must_use]
pub fn polled(client: &Client, job: &str, at_once: u32) -> Vec<Value> {
    let (mut events, mut after) = (Vec::new(), 0);
    loop {
        let page = client
            .get(&format!("{job}/events?after={after}&wait={at_once}"))
            .expect(200)
            .json();
        events.extend(page["items"].as_array().unwrap().clone());
        after = page["next"].as_u64().unwrap();
        if page["ended"] == true {
            return events;
        }
    }
}
