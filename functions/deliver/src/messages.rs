//! What becomes of a message of a queue that knows receipts, as SQS does.

use std::sync::Arc;

use bedrock_diy_core::{Class, Code, Failure, error::Result, ports::DeliveryRetries};

use crate::{Deliver, Verdict};

/// Hands messages to deliver, and does with them what it says.
pub struct Messages {
    /// Delivers.
    pub deliver: Deliver,
    /// Where messages go that are not done with.
    pub retries: Arc<dyn DeliveryRetries>,
}

/// A message as it was handed out.
#[derive(Debug, Clone)]
pub struct Received {
    /// What was sent.
    pub body: String,
    /// Names this receive.
    pub receipt: String,
    /// How often it was received.
    pub receives: u32,
}

/// What could not be looked at waits this long for its next try, twice as long for each further one, and never longer
/// than the second figure; in seconds.
const FIRST_PAUSE_SECONDS: u32 = 2;
const LONGEST_PAUSE_SECONDS: u32 = 300;

impl Messages {
    /// Handles a message. The queue may forget it where this succeeds; else it comes again when it was told to.
    pub async fn handle(&self, received: &Received) -> Result<()> {
        let verdict = match Deliver::read(&received.body) {
            Ok(claim) => self.deliver.handle(&claim).await,
            // However often it comes, it is of no use.
            Err(failure) => Ok(Verdict::Dead(failure.detail)),
        };
        match verdict {
            Ok(Verdict::Done) => Ok(()),
            Ok(Verdict::Dead(why)) => {
                tracing::error!(error = why, "a delivery's message goes to the dead-letter queue");
                self.retries.bury(&received.body, &why).await
            }
            Ok(Verdict::Again(seconds)) => {
                self.put_off(received, seconds).await;
                Err(Failure::new(Code::StorageUnavailable, "it is not done with yet"))
            }
            Err(failure) => {
                if failure.code.class() == Class::Retryable {
                    tracing::warn!(error = %failure, "a message goes back to the queue");
                } else {
                    tracing::error!(error = %failure, "a delivery can't be handled for now");
                }
                let doublings = received.receives.saturating_sub(1).min(16);
                self.put_off(
                    received,
                    (FIRST_PAUSE_SECONDS << doublings).min(LONGEST_PAUSE_SECONDS),
                )
                .await;
                Err(failure)
            }
        }
    }

    async fn put_off(&self, received: &Received, seconds: u32) {
        if let Err(failure) = self.retries.put_off(&received.receipt, seconds).await {
            // It comes again all the same, after the queue's own time; deliver knows when it is due.
            tracing::warn!(error = %failure, "a message comes again at another time than it should");
        }
    }
}
