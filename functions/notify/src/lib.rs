//! Notify: hears of everything that the bus tells, and has it delivered to those who want it.
//!
//! An event that is told twice is one delivery: the delivery's id is derived from it. Whatever dies between the log and
//! the queue, the event comes again, and finds what was done.

use std::sync::Arc;

use bedrock_diy_core::{
    Code, Failure,
    error::Result,
    ports::{Connections, Deliveries, DeliveryQueue, Saved, Webhooks},
    webhook::{Delivery, DeliveryFailure, DeliveryStatus, Told, Wish},
};
use serde::Deserialize;

/// What notify needs: a part for each of those who are told.
#[derive(Clone)]
pub struct Notify {
    /// Who has a webhook.
    pub webhooks: ToWebhooks,
    /// Who follows over a connection that something else keeps open. None on one machine, where each connection reads
    /// for itself.
    pub connections: Option<Arc<dyn Connections>>,
}

/// What deliveries to webhooks need.
#[derive(Clone)]
pub struct ToWebhooks {
    /// Webhooks.
    pub webhooks: Arc<dyn Webhooks>,
    /// The log of deliveries.
    pub deliveries: Arc<dyn Deliveries>,
    /// The queue of those that are to be made.
    pub queue: Arc<dyn DeliveryQueue>,
}

/// A message as the bus's rule puts it into the queue on AWS (Amazon EventBridge User Guide, "Events", 2026-11).
#[derive(Deserialize)]
struct FromRule {
    detail: Told,
}

impl Notify {
    /// Handles something that the bus has told. Fails with a retryable code where it should come again.
    pub async fn handle(&self, told: &Told) -> Result<()> {
        self.webhooks.handle(told).await?;
        match (&self.connections, told) {
            (Some(connections), Told::Job(event)) => connections.tell(event).await,
            _ => Ok(()),
        }
    }

    /// Handles a message of the queue that a rule of the bus puts events into.
    pub async fn take(&self, body: &str) -> Result<()> {
        let taken = async {
            let message: FromRule = serde_json::from_str(body).map_err(|error| unknown(&error))?;
            self.handle(&message.detail).await
        };
        taken
            .await
            .inspect_err(|failure| tracing::warn!(error = %failure, "a message goes back to the queue"))
    }
}

/// What the bus told, as one machine's subscription has it.
pub fn read(body: &str) -> Result<Told> {
    serde_json::from_str(body).map_err(|error| unknown(&error))
}

fn unknown(error: &serde_json::Error) -> Failure {
    Failure::new(
        Code::InvalidRequest,
        format!("the message is none that notify knows: {error}"),
    )
}

impl ToWebhooks {
    /// Notes a delivery to each webhook that wants this, and has it made.
    async fn handle(&self, told: &Told) -> Result<()> {
        let mut claims = Vec::new();
        for webhook in self.webhooks.webhooks(told.project_id()).await? {
            let delivery = match webhook.wish(told.event_type(), told.at()) {
                Wish::Nothing => continue,
                Wish::Sent => Delivery::of(&webhook, told)?,
                Wish::Kept => Delivery::of(&webhook, told)?.ended(DeliveryFailure::Disabled),
            };
            let noted = self.deliveries.put_delivery(&delivery, None, None).await?;
            // Also where it was noted before: whoever did may have died before it was in the queue. Not where it was
            // tried already.
            if noted == Saved::Done && delivery.status == DeliveryStatus::Pending {
                claims.push(delivery.claim());
            }
        }
        if claims.is_empty() {
            return Ok(());
        }
        tracing::debug!(
            event_id = told.id(),
            project_id = %told.project_id(),
            deliveries = claims.len(),
            "event to be delivered"
        );
        self.queue.send(claims).await
    }
}
