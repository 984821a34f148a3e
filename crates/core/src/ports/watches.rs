use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    error::Result,
    event::{Event, Unstored},
    ids::JobId,
};

/// Looks out for news of jobs.
pub trait Watches: Send + Sync {
    /// Looks out for news of a job, from now on. Its stages' answers are told while they are written.
    fn watch(&self, job: &JobId) -> Box<dyn Watch>;
}

/// A look-out for news of one job.
#[async_trait]
pub trait Watch: Send {
    /// Waits until there may be events that were not stored yet when this was called last, or when the watch began;
    /// no longer than `at_most`.
    ///
    /// MUST return soon after one was stored (a second, say), whoever stored it. MAY return for nothing: who waits
    /// looks for themselves, and waits again.
    async fn changed(&mut self, at_most: Duration);

    /// What is written and not yet stored, where that is known here. MUST be what comes right after the event that it
    /// names.
    fn unstored(&self) -> Option<Arc<Unstored>>;
}

/// Those who follow jobs, from the side of whoever has news for them.
#[async_trait]
pub trait Followers: Send + Sync {
    /// Whether somebody watches this job.
    ///
    /// MUST say so from when somebody first waits for news of it until they wait no more, and MUST NOT once nobody has
    /// for some minutes.
    async fn has(&self, job: &JobId) -> Result<bool>;

    /// Waits until it is time to ask [`Self::has`] again: MUST return soon after somebody has begun to watch this job (a
    /// second, say), and MAY return for nothing.
    async fn comes(&self, job: &JobId);

    /// How long what is written should be gathered before more of it is shown.
    fn pace(&self) -> Duration;

    /// Shows what is written and not yet stored. MUST NOT wait for a follower who is slow, and MAY lose it: in all it takes
    /// half a second at most, whoever follows.
    async fn show(&self, job: &JobId, unstored: Unstored);

    /// Says that these events of a job were stored. MUST NOT wait for a follower who is slow, and MAY lose it, as above.
    async fn tell(&self, events: &[Event]);
}
