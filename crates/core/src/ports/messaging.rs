use async_trait::async_trait;

use crate::{
    error::Result,
    event::{Event, StageDelta},
    ids::JobId,
    intake::{IntakeMessage, Lane},
};

/// The intake queues, from the sender's side.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Sends messages, in any order.
    ///
    /// MUST have stored all of them durably before it returns. MAY deliver any of them more than once.
    async fn send(&self, lane: Lane, messages: Vec<IntakeMessage>) -> Result<()>;
}

/// Executions of the state machine.
#[async_trait]
pub trait Executions: Send + Sync {
    /// Starts the execution named after the job, which came through this lane.
    ///
    /// MUST start at most one execution of that name, ever; MUST return [`Started::Already`], not a
    /// failure, where there is one. Where executions wait for each other, live ones MUST go first.
    async fn start(&self, job: &JobId, lane: Lane) -> Result<Started>;

    /// Stops the execution named after the job. MUST succeed where there is none or it has ended.
    async fn stop(&self, job: &JobId) -> Result<()>;
}

/// What became of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// This call started it.
    New,
    /// An earlier one did.
    Already,
}

/// Tells the world what happened.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Publishes stored events.
    ///
    /// MUST deliver each at least once to every subscriber that was there, with the event's own id.
    async fn publish(&self, events: &[Event]) -> Result<()>;

    /// Shows a piece of an answer to whoever looks on just now. MUST NOT wait and MAY lose it.
    fn delta(&self, delta: StageDelta);

    /// Whether anybody looks on just now: nobody need cut deltas for nobody.
    fn has_followers(&self) -> bool;
}
