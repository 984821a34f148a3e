//! Whoever follows over a connection, and remembers when they were told what.

use bedrock_diy_core::time::Timestamp;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{ClientRequestBuilder, Message, client::IntoClientRequest},
};

use crate::{Outcome, model::now, servers::Asker};

/// A connection that stays open.
pub(crate) struct Follower {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Since when it follows.
    pub(crate) since: u64,
}

/// What came, and when. It is looked into afterwards: meanwhile others wait for this core.
pub(crate) struct Told {
    at: u64,
    text: String,
}

impl Follower {
    pub(crate) async fn open(asker: &Asker) -> Outcome<Self> {
        let uri = format!("ws://{}/socket", asker.address).parse()?;
        let request = ClientRequestBuilder::new(uri)
            .with_header("Authorization", format!("Bearer {}", asker.token))
            .into_client_request()?;
        let (stream, _) = tokio_tungstenite::connect_async_with_config(request, None, true).await?;
        Ok(Self { stream, since: 0 })
    }

    /// Submits an article: its job.
    pub(crate) async fn submit(&mut self, text: &str, follow: bool) -> Outcome<String> {
        let article = json!({"text": text, "fresh": true});
        let message = json!({"type": "submit", "projectId": "bench", "article": article, "follow": follow});
        self.send(&message).await?;
        loop {
            let reply: Value = serde_json::from_str(&self.next().await?)?;
            match reply["job"]["jobId"].as_str() {
                Some(job) => return Ok(job.to_owned()),
                // What is pushed before the reply is the first events, which nobody measures.
                None if reply["type"] == "events" => {}
                None => return Err(format!("no job: {reply}").into()),
            }
        }
    }

    /// Follows a job.
    pub(crate) async fn follow(&mut self, job: &str) -> Outcome {
        self.send(&json!({"type": "follow", "jobId": job})).await?;
        loop {
            let reply: Value = serde_json::from_str(&self.next().await?)?;
            match reply["type"].as_str() {
                Some("following") => {
                    self.since = now();
                    return Ok(());
                }
                Some("events") => {}
                _ => return Err(format!("not followed: {reply}").into()),
            }
        }
    }

    /// Everything that comes until the job has ended.
    pub(crate) async fn listen(&mut self) -> Outcome<Vec<Told>> {
        let mut told = Vec::new();
        loop {
            let text = self.next().await?;
            let has_ended = text.contains("\"job.succeeded\"") || text.contains("\"job.failed\"");
            told.push(Told { at: now(), text });
            if has_ended {
                return Ok(told);
            }
        }
    }

    async fn send(&mut self, message: &Value) -> Outcome {
        Ok(self.stream.send(Message::text(message.to_string())).await?)
    }

    async fn next(&mut self) -> Outcome<String> {
        loop {
            let message = self.stream.next().await.ok_or("the server hung up")??;
            if let Message::Text(text) = message {
                return Ok(text.to_string());
            }
        }
    }
}

/// What a follower was told of an answer: how many microseconds after it was written, the first piece first.
pub(crate) fn delays(told: &[Told]) -> Outcome<Vec<u64>> {
    let mut delays = Vec::new();
    for Told { at, text } in told {
        let message: Value = serde_json::from_str(text)?;
        for event in message["items"].as_array().ok_or("no events")? {
            let written = event["text"].as_str().unwrap_or_default();
            // The last one of a message has waited least: each piece comes by itself where nothing is late.
            if let Some(written) = written.split_whitespace().next() {
                delays.push(at.saturating_sub(written.parse()?));
            }
        }
    }
    Ok(delays)
}

/// The numbers of the events that a follower was told, and how many microseconds after each was made, which is known to
/// the millisecond; nothing for those that were made before it followed.
pub(crate) fn numbered(told: &[Told], since: u64, began: (u64, i64)) -> Outcome<Vec<(u64, Option<u64>)>> {
    let (clock, wall) = began;
    let mut numbered = Vec::new();
    for Told { at, text } in told {
        let message: Value = serde_json::from_str(text)?;
        for event in message["items"].as_array().ok_or("no events")? {
            let (Some(number), Some(made)) = (event["number"].as_u64(), event["at"].as_str()) else {
                continue;
            };
            let made: Timestamp = made.parse()?;
            let made = u64::try_from(made.millis() - wall)? * 1_000;
            let late = (at - clock).saturating_sub(made);
            numbered.push((number, (made >= since - clock).then_some(late)));
        }
    }
    Ok(numbered)
}
