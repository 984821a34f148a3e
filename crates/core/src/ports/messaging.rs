use async_trait::async_trait;

use crate::{
    error::Result,
    event::{Event, LiveText},
    ids::JobId,
    intake::{IntakeMessage, Lane},
    webhook::WebhookDisabled,
};

/// The intake queues, from the sender's side.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Sends messages, in any order.
    ///
    /// MUST have stored all of them durably before it returns. MAY deliver any of them more than once.
    async fn send(&self, lane: Lane, messages: Vec<IntakeMessage>) -> Result<()>;
}

/// The intake queues, from the side of who is handed messages and says what becomes of those that can't be
/// handled now.
#[async_trait]
pub trait Redelivery: Send + Sync {
    /// Has a received message come again in so many seconds.
    async fn give_back(&self, lane: Lane, receipt: &str, seconds: u32) -> Result<()>;

    /// Sends a message's body once more, as one that was never received, to come in so many seconds.
    ///
    /// MUST have stored it durably before it returns: the received one is deleted then.
    async fn send_again(&self, lane: Lane, body: &str, seconds: u32) -> Result<()>;
}

/// Executions of the state machine.
#[async_trait]
pub trait Executions: Send + Sync {
    /// Starts the execution named after the job, which came through this lane.
    ///
    /// MUST start at most one execution of that name, ever, and MUST succeed where there is one. Where
    /// executions wait for each other, live ones MUST go first.
    async fn start(&self, job: &JobId, lane: Lane) -> Result<()>;

    /// Stops the execution named after the job. MUST succeed where there is none or it has ended.
    async fn stop(&self, job: &JobId) -> Result<()>;
}

/// Tells the world what happened.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Publishes stored events.
    ///
    /// MUST deliver each at least once to every subscriber that was there, with the event's own id; but not those that
    /// are not [for the bus](crate::event::Fact::is_for_the_bus).
    async fn publish(&self, events: &[Event]) -> Result<()>;

    /// Publishes that a webhook was switched off. MUST deliver it as an event, with its own id.
    async fn announce(&self, disabled: &WebhookDisabled) -> Result<()>;

    /// Shows a piece of an answer to whoever looks on just now. MUST NOT wait and MAY lose it.
    fn delta(&self, delta: LiveText);

    /// Whether anybody looks on just now: nobody need cut deltas for nobody.
    fn has_onlookers(&self) -> bool;
}
