//! One job, followed in every way at once: all must hear the same.

use std::{collections::BTreeMap, io::Read as _, thread};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use crate::{Client, Heard, Receiver, heard::polled};

/// Has an article of this project worked, and follows it by asking, by listening, over a connection, over connections
/// that are cut, and by a webhook, all at once; fails unless all hear the same. Returns what they heard.
#[must_use]
pub fn hears_the_same(client: &Client, socket_at: &str, project: &str, article: &str) -> Heard {
    let receiver = Receiver::willing();
    let webhook = json!({"name": "The desk", "url": receiver.url("/"), "events": ["*"]});
    let at = format!("/api/projects/{project}/webhooks");
    let _ = client.post(&at, &webhook).expect(201);
    let mut socket = client.socket(socket_at);
    let submission =
        json!({"type": "submit", "projectId": project, "follow": true, "article": {"text": article}});
    let submitted = socket.ask(submission);
    let id = submitted["job"]["jobId"].as_str();
    let id = id.unwrap_or_else(|| panic!("{submitted}")).to_owned();
    let job = format!("/api/jobs/{id}");
    let (asked, listened, cut, kept) = thread::scope(|scope| {
        let asked = scope.spawn(|| Heard::of(polled(client, &job, 20)));
        let listened = scope.spawn(|| {
            let call = client.call("GET", &format!("{job}/events"));
            let (head, mut stream) = call.header("Accept", "text/event-stream").listen();
            let _ = head.expect(200);
            let mut told = String::new();
            stream.read_to_string(&mut told).expect("the stream ends well");
            Heard::of_stream(&told)
        });
        let cut = scope.spawn(|| {
            let mut random = StdRng::seed_from_u64(7);
            let mut heard = Heard::default();
            while !heard.has_ended() {
                let mut socket = client.socket(socket_at);
                let mut follow = json!({"type": "follow", "jobId": id});
                if !heard.last.is_empty() {
                    follow["after"] = json!(heard.last);
                }
                assert_eq!(socket.ask(follow)["type"], "following");
                socket.hear(&mut heard, random.random_range(1..=4));
            }
            heard
        });
        let mut kept = Heard::default();
        socket.hear(&mut kept, usize::MAX);
        let others = (asked.join(), listened.join(), cut.join());
        (others.0.unwrap(), others.1.unwrap(), others.2.unwrap(), kept)
    });
    for (way, heard) in [
        ("listening", &listened),
        ("cut connections", &cut),
        ("a connection", &kept),
    ] {
        assert_eq!(
            (&heard.events, &heard.answers),
            (&asked.events, &asked.answers),
            "by {way} and by asking"
        );
    }
    // A webhook tells all but pieces of answers, in any order, and may tell again.
    let whole: Vec<&Value> = asked
        .events
        .iter()
        .filter(|event| event["type"] != "stage.delta")
        .collect();
    let by_number = |posted: &[crate::Posted]| -> BTreeMap<u64, Value> {
        let mut by_number = BTreeMap::new();
        for posted in posted {
            let mut event = posted.json()["data"].take();
            let number = event["number"].as_u64().unwrap_or_default();
            // What names an event among all is put together of the job and the number.
            let name = event.as_object_mut().and_then(|event| event.remove("id"));
            if event["jobId"] == *id {
                assert_eq!(name, Some(json!(format!("{id}-{number}"))));
                by_number.insert(number, event);
            }
        }
        by_number
    };
    let posted = receiver.wait(|posted| by_number(posted).len() >= whole.len());
    let posted = by_number(&posted);
    assert_eq!(
        posted.values().collect::<Vec<_>>(),
        whole,
        "by a webhook and by asking"
    );
    asked
}
