//! What becomes of a message of the intake queues: S3's notifications, and submissions.

use std::sync::Arc;

use aws_lambda_events::s3::S3Event;
use bedrock_diy_core::{
    Class, Code, Failure,
    article::{Bucket, ObjectRef},
    error::Result,
    intake::{Drop, IntakeMessage, Lane},
    ports::Redelivery,
};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::Intake;

/// Hands messages to intake, and does with them what becomes of them.
pub struct Messages {
    /// Takes messages.
    pub intake: Intake,
    /// Where messages go that can't be handled now.
    pub redelivery: Arc<dyn Redelivery>,
    /// The URL of the live lane's queue: messages of any other come through the bulk lane.
    pub live_queue: String,
    /// How often the queue hands a message out before it goes to the dead-letter queue.
    pub max_receives: u32,
}

/// A throttled message waits this long for its next try, twice as long for each further one, and never
/// longer than the second figure; in seconds.
const FIRST_PAUSE_SECONDS: u32 = 2;
const LONGEST_PAUSE_SECONDS: u32 = 300;

/// A message as it was handed out.
#[derive(Debug, Clone)]
pub struct Received {
    /// The name of the queue that it lay in.
    pub queue: String,
    /// What was sent.
    pub body: String,
    /// Names this receive.
    pub receipt: String,
    /// How often it was received.
    pub receives: u32,
}

impl Messages {
    /// Handles a message. The queue may forget it where this succeeds; else it comes again.
    pub async fn handle(&self, received: &Received) -> Result<()> {
        let lane = self.lane(received);
        let failure = match self.take(lane, received).await {
            Ok(()) => return Ok(()),
            Err(failure) => failure,
        };
        if failure.code.class() == Class::Retryable {
            tracing::warn!(error = %failure, "a message goes back to the queue");
            let is_sent_anew = self.put_off(lane, received).await;
            return if is_sent_anew { Ok(()) } else { Err(failure) };
        }
        if received.receives >= self.max_receives {
            tracing::error!(error = %failure, "a message can't be handled and goes to the dead-letter queue");
            for message in messages(&received.body).unwrap_or_default() {
                if let Err(failure) = self.intake.give_up(lane, message, &failure).await {
                    tracing::error!(error = %failure, "a job can't say why its message could not be handled");
                }
            }
        }
        // At once: time will not make it better.
        self.give_back(lane, received, 0).await;
        Err(failure)
    }

    fn lane(&self, received: &Received) -> Lane {
        if self.live_queue.rsplit('/').next() == Some(&received.queue) {
            Lane::Live
        } else {
            Lane::Bulk
        }
    }

    async fn take(&self, lane: Lane, received: &Received) -> Result<()> {
        for message in messages(&received.body)? {
            self.intake.handle(lane, message).await?;
        }
        Ok(())
    }

    /// A throttle or a service that is away is not the message's fault and never leads to the dead-letter
    /// queue. SQS counts every receive, so before the last ones the message is sent anew: says whether it was.
    async fn put_off(&self, lane: Lane, received: &Received) -> bool {
        let doublings = received.receives.saturating_sub(1).min(16);
        let pause = (FIRST_PAUSE_SECONDS << doublings).min(LONGEST_PAUSE_SECONDS);
        // Twice: where the first of these fails, there is another.
        if received.receives + 1 >= self.max_receives {
            let sent = self.redelivery.send_again(lane, &received.body, pause);
            match sent.await {
                Ok(()) => return true,
                Err(failure) => tracing::error!(error = %failure, "a message could not be sent again"),
            }
        }
        self.give_back(lane, received, pause).await;
        false
    }

    async fn give_back(&self, lane: Lane, received: &Received, seconds: u32) {
        let given_back = self.redelivery.give_back(lane, &received.receipt, seconds);
        if let Err(failure) = given_back.await {
            // It comes again all the same, after the queue's own time.
            tracing::warn!(error = %failure, "a message comes again later than it might");
        }
    }
}

/// What a message's body asks for: one submission or drop of ours, or S3's notification of any number of
/// objects (`s3:TestEvent`, which S3 sends when notifications are switched on, of none).
///
/// Fails with [`Code::InvalidRequest`].
pub fn messages(body: &str) -> Result<Vec<IntakeMessage>> {
    let unknown = |error: serde_json::Error| {
        Failure::new(
            Code::InvalidRequest,
            format!("the message is none that intake knows: {error}"),
        )
    };
    let said: Value = serde_json::from_str(body).map_err(unknown)?;
    if said.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Ok(Vec::new());
    }
    if said.get("Records").is_none() {
        return Ok(vec![serde_json::from_value(said).map_err(unknown)?]);
    }
    let notification: S3Event = serde_json::from_value(said).map_err(unknown)?;
    notification.records.into_iter().filter_map(dropped).collect()
}

/// The object that a notification's record tells of; none where nothing was dropped.
fn dropped(record: aws_lambda_events::s3::S3EventRecord) -> Option<Result<IntakeMessage>> {
    if !record
        .event_name
        .is_some_and(|name| name.starts_with("ObjectCreated:"))
    {
        return None;
    }
    let object = record.s3.object;
    let key = match decoded(&object.key.unwrap_or_default()) {
        Ok(key) => key,
        Err(failure) => return Some(Err(failure)),
    };
    let size = object
        .size
        .and_then(|size| u64::try_from(size).ok())
        .unwrap_or_default();
    // What the console makes for a new folder: nobody's article.
    if key.ends_with('/') && size == 0 {
        return None;
    }
    Some(Ok(IntakeMessage::Drop(Drop {
        object: ObjectRef {
            bucket: Bucket::Articles,
            key,
            version: object.version_id,
            size,
        },
    })))
}

/// The key as S3 has it. Notifications have it encoded as a form's field is: a space is a `+` ("Event
/// message structure", Amazon S3 User Guide, 2026-11).
fn decoded(key: &str) -> Result<String> {
    let spaces = key.replace('+', " ");
    let decoded = percent_decode_str(&spaces).decode_utf8();
    decoded.map(Into::into).map_err(|error| {
        Failure::new(
            Code::InvalidRequest,
            format!("the key {key} of a dropped article is no UTF-8: {error}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_decoded_as_s3_encodes_it() {
        let key = decoded("inbox/news/monday/a%2Bb+c+%EA%B8%B0%EC%82%AC+%F0%9F%93%B0.txt").unwrap();
        assert_eq!(key, "inbox/news/monday/a+b c 기사 📰.txt");
        assert!(decoded("inbox/%FF").is_err());
    }

    #[test]
    fn what_is_no_drop_asks_for_nothing() {
        assert_eq!(
            messages(r#"{"Service":"Amazon S3","Event":"s3:TestEvent"}"#).unwrap(),
            []
        );
        let record = |name: &str, key: &str| {
            json!({"Records": [{
                "eventTime": "2026-11-25T10:00:00.000Z",
                "eventName": name,
                "userIdentity": {},
                "requestParameters": {},
                "responseElements": {},
                "s3": {"bucket": {}, "object": {"key": key, "size": 0}},
            }]})
            .to_string()
        };
        let asked = |name: &str, key: &str| messages(&record(name, key)).unwrap().len();
        assert_eq!(asked("ObjectCreated:Put", "inbox/news/monday/a.txt"), 1);
        assert_eq!(asked("ObjectCreated:Put", "inbox/news/monday/"), 0);
        assert_eq!(asked("ObjectRemoved:Delete", "inbox/news/monday/a.txt"), 0);
    }

    #[test]
    fn a_body_that_nobody_knows_is_refused() {
        for body in ["", "{}", "[]", r#"{"kind":"Gift"}"#, r#"{"Records":7}"#] {
            assert_eq!(messages(body).unwrap_err().code, Code::InvalidRequest, "{body}");
        }
    }
}
