//! Deliver: one message, one attempt to deliver an event to a webhook, and what follows from it.
//!
//! An attempt is in the log, with what it changes of its webhook, before the message is done with. Where anything dies
//! before that, the message comes again, and the receiver sees the same `webhook-id` once more.

mod messages;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bedrock_diy_core::{
    Code, Failure,
    error::Result,
    ports::{Bus, Clock, Deliveries, Saved, SecretName, Secrets, Sender, Sent, Webhooks},
    time::Timestamp,
    webhook::{self, Attempt, Claim, Delivery, DeliveryFailure, DeliveryStatus, Standing, Webhook},
};

pub use messages::{Messages, Received};

/// What delivering needs.
#[derive(Clone)]
pub struct Deliver {
    /// Webhooks.
    pub webhooks: Arc<dyn Webhooks>,
    /// The log.
    pub deliveries: Arc<dyn Deliveries>,
    /// What is signed with.
    pub secrets: Arc<dyn Secrets>,
    /// Who sends.
    pub sender: Arc<dyn Sender>,
    /// Who is told that a webhook was switched off.
    pub bus: Arc<dyn Bus>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What is to become of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing more: it is deleted.
    Done,
    /// It comes again in so many seconds.
    Again(u32),
    /// It goes to the dead-letter queue: why.
    Dead(String),
}

/// How often what others change at the same time is read anew. Each time somebody else has got on.
const TRIES: usize = 50;

impl Deliver {
    /// Reads a message. Fails with [`Code::InvalidRequest`].
    pub fn read(body: &str) -> Result<Claim> {
        serde_json::from_str(body).map_err(|error| {
            Failure::new(
                Code::InvalidRequest,
                format!("the message is none that deliver knows: {error}"),
            )
        })
    }

    /// Handles a message. Fails with a retryable code where it should come again.
    pub async fn handle(&self, claim: &Claim) -> Result<Verdict> {
        let Some(mut delivery) = self.delivery(claim).await? else {
            // It has expired: nobody waits for it.
            return Ok(Verdict::Done);
        };
        let found = self
            .webhooks
            .webhook(&claim.project_id, &claim.webhook_id)
            .await?;
        if let Some(webhook) = &found {
            // Whoever switched it off may have died before it said so.
            self.tell(webhook).await?;
        }
        if delivery.standing(claim.round, self.clock.now()) == Standing::Due {
            delivery = match found {
                None => self.end(claim, delivery, DeliveryFailure::Deleted).await?,
                Some(webhook) if !webhook.is_active => {
                    self.end(claim, delivery, DeliveryFailure::Disabled).await?
                }
                Some(webhook) => {
                    let attempt = self.attempt(&delivery, &webhook).await?;
                    self.record(claim, delivery, webhook, attempt).await?
                }
            };
        }
        Ok(verdict(&delivery, claim.round, self.clock.now()))
    }

    async fn delivery(&self, claim: &Claim) -> Result<Option<Delivery>> {
        self.deliveries
            .delivery(&claim.webhook_id, &claim.delivery_id)
            .await
    }

    /// Sends it once.
    async fn attempt(&self, delivery: &Delivery, webhook: &Webhook) -> Result<Attempt> {
        let secrets = self
            .secrets
            .get(&SecretName::of_webhook(&webhook.webhook_id))
            .await?;
        let (at, began) = (self.clock.now(), Instant::now());
        let sent = match webhook::sign(delivery, &webhook.url, &secrets, at) {
            Ok(signed) => self.sender.send(&signed).await,
            Err(failure) => Sent::Unanswered(failure.detail),
        };
        let (status, answer, error) = match sent {
            Sent::Answered { status, body } => (Some(status), Some(body), None),
            Sent::Unanswered(why) => (None, None, Some(why)),
        };
        Ok(Attempt {
            at,
            millis: millis(began.elapsed()),
            url: webhook.url.clone(),
            status,
            answer: answer.filter(|answer| !answer.is_empty()),
            error,
        })
    }

    /// Stores an attempt with what it changes, on whatever others have stored meanwhile. Returns the delivery as it
    /// stands then.
    async fn record(
        &self,
        claim: &Claim,
        mut delivery: Delivery,
        mut webhook: Webhook,
        attempt: Attempt,
    ) -> Result<Delivery> {
        let randomness: f64 = rand::random();
        for _ in 0..TRIES {
            let recorded = webhook::after(&delivery, &webhook, &attempt, randomness);
            let changed = recorded.webhook.as_ref().map(|next| (next, &webhook));
            let saved = self
                .deliveries
                .put_delivery(&recorded.delivery, Some(&delivery), changed)
                .await?;
            if saved == Saved::Done {
                log(&recorded.delivery);
                if let Some(webhook) = &recorded.webhook {
                    self.tell(webhook).await?;
                }
                return Ok(recorded.delivery);
            }
            let Some(stands) = self.delivery(claim).await? else {
                return Ok(recorded.delivery);
            };
            delivery = stands;
            let found = self
                .webhooks
                .webhook(&claim.project_id, &claim.webhook_id)
                .await?;
            match found {
                Some(stands) => webhook = stands,
                // It was deleted while the attempt was made: what came of that is noted, and nothing is changed of it.
                None => return self.note(claim, delivery, &webhook, &attempt).await,
            }
        }
        Err(busy(claim))
    }

    /// Notes an attempt at a webhook that is not there any more.
    async fn note(
        &self,
        claim: &Claim,
        delivery: Delivery,
        webhook: &Webhook,
        attempt: &Attempt,
    ) -> Result<Delivery> {
        let mut recorded = webhook::after(&delivery, webhook, attempt, 0.0).delivery;
        if recorded.status == DeliveryStatus::Pending {
            recorded.status = DeliveryStatus::Failed;
            recorded.failure = Some(DeliveryFailure::Deleted);
            recorded.next_attempt_at = None;
        }
        let saved = self
            .deliveries
            .put_delivery(&recorded, Some(&delivery), None)
            .await?;
        match saved {
            Saved::Done => {
                log(&recorded);
                Ok(recorded)
            }
            Saved::Stale => Err(busy(claim)),
        }
    }

    /// Notes that a delivery is not made.
    async fn end(&self, claim: &Claim, delivery: Delivery, failure: DeliveryFailure) -> Result<Delivery> {
        let ended = delivery.ended(failure);
        let saved = self
            .deliveries
            .put_delivery(&ended, Some(&delivery), None)
            .await?;
        match saved {
            Saved::Done => {
                log(&ended);
                Ok(ended)
            }
            Saved::Stale => Err(busy(claim)),
        }
    }

    /// Tells the bus that a webhook was switched off, where nobody has yet.
    async fn tell(&self, webhook: &Webhook) -> Result<()> {
        let Some(disabled) = webhook.untold() else {
            return Ok(());
        };
        tracing::warn!(
            project_id = %webhook.project_id,
            webhook_id = %webhook.webhook_id,
            failures = webhook.failures_in_a_row,
            "webhook disabled"
        );
        self.bus.announce(&disabled).await?;
        // Where somebody has changed it meanwhile, it is told once more by whoever comes upon it.
        let _ = self.webhooks.put_webhook(&webhook.told(), Some(webhook)).await?;
        Ok(())
    }
}

/// What is to become of the message of this round of a delivery.
fn verdict(delivery: &Delivery, round: u32, now: Timestamp) -> Verdict {
    match delivery.standing(round, now) {
        Standing::Due => Verdict::Again(0),
        Standing::Early(seconds) => Verdict::Again(seconds),
        Standing::Over => Verdict::Done,
        Standing::Dead => Verdict::Dead(format!(
            "the delivery {} was tried {} times for a day: look at it in the log, and have it delivered again when the \
             receiver is well",
            delivery.delivery_id,
            delivery.attempts.len()
        )),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn busy(claim: &Claim) -> Failure {
    Failure::new(
        Code::StorageUnavailable,
        format!(
            "the delivery {} is being changed by others all the time",
            claim.delivery_id
        ),
    )
}

/// Each attempt is a line, and each delivery that ends without one.
fn log(delivery: &Delivery) {
    let last = delivery.attempts.last();
    let status = last.and_then(|attempt| attempt.status);
    let duration_ms = last.map(|attempt| attempt.millis);
    let (id, webhook_id) = (&delivery.delivery_id, &delivery.webhook_id);
    match delivery.status {
        DeliveryStatus::Delivered => {
            tracing::info!(delivery_id = %id, %webhook_id, status, duration_ms, "delivered");
        }
        DeliveryStatus::Pending => {
            let error = last.and_then(|attempt| attempt.error.as_deref());
            tracing::info!(delivery_id = %id, %webhook_id, status, duration_ms, error, "not delivered yet");
        }
        DeliveryStatus::Failed => {
            let failure = delivery.failure.map(|failure| format!("{failure:?}"));
            tracing::warn!(delivery_id = %id, %webhook_id, status, failure, "not delivered");
        }
    }
}
