//! The batch shell around intake: what SQS and Lambda's event source mapping do on AWS.

use std::{sync::Arc, time::Duration};

use bedrock_diy_core::{
    Class, Code, Failure,
    error::Result,
    intake::{IntakeMessage, Lane},
};
use bedrock_diy_embedded::{Message, SqliteQueue};
use bedrock_diy_intake::Intake;
use futures_util::{StreamExt, stream};
use tokio::{sync::watch, time};

/// Receives messages and hands each to intake; one message's failure is its own.
pub(crate) struct IntakeLoop {
    intake: Arc<Intake>,
    queue: SqliteQueue,
}

/// Messages received at once, and handled at once.
const BATCH: usize = 64;

/// How long a received message stays invisible: far longer than accepting takes.
const VISIBILITY_MILLIS: i64 = 60_000;

/// A message that is of no use is received so often before it is buried, as on AWS.
const MAX_RECEIVES: u32 = 5;

/// How often the queues are looked at for what another process sent.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

impl IntakeLoop {
    pub(crate) fn new(intake: Intake, queue: SqliteQueue) -> Self {
        Self {
            intake: Arc::new(intake),
            queue,
        }
    }

    /// Works until `stop` says true.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) -> Result<()> {
        while !*stop.borrow() {
            // Somebody waits for the live lane: it goes first.
            let received = self.batch(Lane::Live).await? + self.batch(Lane::Bulk).await?;
            if received > 0 {
                continue;
            }
            tokio::select! {
                () = self.queue.arrival() => {}
                () = time::sleep(LOOK_AGAIN) => {}
                _ = stop.changed() => {}
            }
        }
        Ok(())
    }

    async fn batch(&self, lane: Lane) -> Result<usize> {
        let messages = self
            .queue
            .receive(lane.as_str(), BATCH, VISIBILITY_MILLIS)
            .await?;
        let received = messages.len();
        let mut handled = stream::iter(messages)
            .map(|message| self.one(lane, message))
            .buffer_unordered(BATCH);
        while let Some(outcome) = handled.next().await {
            outcome?;
        }
        Ok(received)
    }

    async fn one(&self, lane: Lane, message: Message) -> Result<()> {
        let parsed = serde_json::from_str::<IntakeMessage>(&message.body).map_err(|error| {
            Failure::new(
                Code::InvalidRequest,
                format!("the message is none that intake knows: {error}"),
            )
        });
        let handled = match parsed.clone() {
            Ok(message) => self.intake.handle(lane, message).await.map(|_| ()),
            Err(failure) => Err(failure),
        };
        match handled {
            Ok(()) => self.queue.delete(&message).await,
            // A throttle or a full disk is not the message's fault and never counts against it.
            Err(failure) if failure.code.class() == Class::Retryable => {
                tracing::warn!(error = %failure, "a message goes back to the queue");
                self.queue
                    .give_back(&message, backoff_millis(message.receives), false)
                    .await
            }
            Err(_) if message.receives < MAX_RECEIVES => self.queue.give_back(&message, 0, true).await,
            Err(failure) => {
                tracing::error!(error = %failure, "a message can't be handled and goes to the dead-letter queue");
                if let Ok(message) = parsed {
                    self.intake.give_up(lane, message, &failure).await?;
                }
                self.queue.bury(&message, &failure.message()).await
            }
        }
    }
}

fn backoff_millis(receives: u32) -> i64 {
    let most = 1_000_i64.saturating_mul(1 << receives.min(6));
    rand::random_range(most / 2..=most)
}
