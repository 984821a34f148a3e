use std::time::Duration;

use async_trait::async_trait;

use crate::ids::JobId;

/// Looks out for news of jobs.
pub trait Watches: Send + Sync {
    /// Looks out for news of a job, from now on.
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
}
