//! The intake queues in SQS, from the sender's side. What is received comes as a Lambda's event.

use async_trait::async_trait;
use aws_sdk_sqs::{Client, types::SendMessageBatchRequestEntry};
use bedrock_diy_core::{
    Code, Failure,
    error::Result,
    intake::{IntakeMessage, Lane},
    ports::{Queue, Redelivery},
};

use crate::storage::{failure, unavailable};

/// Messages that one request may send (`SendMessageBatch`, Amazon SQS API reference, 2026-11).
const BATCH: usize = 10;

/// The longest that SQS holds a message back after it was sent (`DelaySeconds`, the same).
const LONGEST_DELAY_SECONDS: u32 = 900;

/// The two queues.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    bulk: String,
    live: String,
}

impl SqsQueue {
    /// With the URLs of the queues.
    #[must_use]
    pub fn new(client: Client, bulk: String, live: String) -> Self {
        Self { client, bulk, live }
    }

    /// The URL of a lane's queue.
    fn url(&self, lane: Lane) -> &str {
        match lane {
            Lane::Bulk => &self.bulk,
            Lane::Live => &self.live,
        }
    }

    async fn send_batch(&self, lane: Lane, entries: Vec<SendMessageBatchRequestEntry>) -> Result<()> {
        let send = self.client.send_message_batch().queue_url(self.url(lane));
        let sent = send.set_entries(Some(entries)).send().await;
        let sent = sent.map_err(|error| failure("sending messages", &error))?;
        match sent.failed.first() {
            None => Ok(()),
            // Sending the others again does no harm: intake takes each once.
            Some(refused) => Err(unavailable(format!(
                "the queue took {} messages and refused {}: {}",
                sent.successful.len(),
                sent.failed.len(),
                refused.message.as_deref().unwrap_or(&refused.code)
            ))),
        }
    }
}

#[async_trait]
impl Queue for SqsQueue {
    async fn send(&self, lane: Lane, messages: Vec<IntakeMessage>) -> Result<()> {
        let entries: Vec<_> = messages
            .iter()
            .enumerate()
            .map(|(number, message)| {
                let body = serde_json::to_string(message).map_err(no_json)?;
                let entry = SendMessageBatchRequestEntry::builder().id(number.to_string());
                entry.message_body(body).build().map_err(no_json)
            })
            .collect::<Result<_>>()?;
        for batch in entries.chunks(BATCH) {
            self.send_batch(lane, batch.to_vec()).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Redelivery for SqsQueue {
    async fn give_back(&self, lane: Lane, receipt: &str, seconds: u32) -> Result<()> {
        let change = self.client.change_message_visibility().queue_url(self.url(lane));
        let change = change
            .receipt_handle(receipt)
            .visibility_timeout(i32::try_from(seconds).unwrap_or(i32::MAX));
        let changed = change.send().await;
        changed
            .map(|_| ())
            .map_err(|error| failure("giving a message back", &error))
    }

    async fn send_again(&self, lane: Lane, body: &str, seconds: u32) -> Result<()> {
        let delay = i32::try_from(seconds.min(LONGEST_DELAY_SECONDS)).unwrap_or(0);
        let send = self.client.send_message().queue_url(self.url(lane));
        let sent = send.message_body(body).delay_seconds(delay).send().await;
        sent.map(|_| ())
            .map_err(|error| failure("sending a message again", &error))
    }
}

fn no_json(error: impl std::fmt::Display) -> Failure {
    Failure::new(
        Code::InternalError,
        format!("a message can't be written as JSON: {error}"),
    )
}
