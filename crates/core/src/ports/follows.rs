use async_trait::async_trait;

use crate::{
    error::Result,
    event::Event,
    follow::{ConnectionId, Had, Topic},
};

/// What connections that stay open follow.
#[async_trait]
pub trait Follows: Send + Sync {
    /// Has a connection told what happens to a topic: of a job everything after `had`; of a batch or project each job's
    /// events after the number that `had` says. Where it says nothing, of a job everything, of a batch or project
    /// everything from now on. Replaces what it was told of the same topic before.
    ///
    /// Of a job that is followed itself, MUST tell each event once and in order, and no character of an answer twice or not
    /// at all, for as long as the connection is there; but a message whose sender ends before it knows that the message
    /// was taken MAY come once more. Of a batch or project, MUST tell each event at least once, and MAY tell them in any
    /// order: job and number name an event, and messages say no position. MUST NOT tell of other topics later because of
    /// a connection that is slow.
    async fn follow(&self, connection: &ConnectionId, topic: &Topic, had: Option<Had>) -> Result<Following>;

    /// Has a connection told no more of a topic. MUST succeed where it is told nothing of it.
    async fn unfollow(&self, connection: &ConnectionId, topic: &Topic) -> Result<()>;
}

/// What became of following.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Following {
    /// The connection is told from now on.
    Told,
    /// It follows as much as it may: [`crate::limits::FOLLOWS`].
    TooMany,
    /// There are too many jobs to tell what has happened to them before: [`crate::limits::JOBS_SO_FAR`].
    TooManyJobs,
}

/// Connections that something else keeps open, and that are told things from elsewhere.
#[async_trait]
pub trait Connections: Send + Sync {
    /// Tells whoever follows the event's job, its batch or its project, of a job up to this event at least.
    ///
    /// MUST have told all of them when it returns, but those who are gone or take nothing, and MUST have forgotten those.
    async fn tell(&self, event: &Event) -> Result<()>;

    /// Sends a connection a message. MUST succeed where it is gone.
    async fn send(&self, connection: &ConnectionId, message: &str) -> Result<()>;

    /// Forgets a connection and all that it follows. MUST succeed where it is not known.
    async fn forget(&self, connection: &ConnectionId) -> Result<()>;
}
