//! A job's events, read in order as they come, for whoever follows it: the same for every way of following.

use std::sync::Arc;

use bedrock_diy_core::{
    JobId,
    error::Result,
    event::Event,
    follow::{Had, Shown},
    job::Job,
    ports::{Jobs, Watch},
};
use tokio::time::Instant;

use crate::Ports;

/// Events that are read at once at most: a job of the most stages has some hundred.
const PAGE: usize = 200;

/// A job's events after what somebody has had.
pub struct Log {
    job: JobId,
    had: Had,
    has_ended: bool,
    /// Whether there may be events that were not read.
    may_have_more: bool,
    jobs: Arc<dyn Jobs>,
    watch: Box<dyn Watch>,
}

impl Log {
    /// Looks out for news of the job from now on.
    #[must_use]
    pub fn of(ports: &Ports, job: JobId, had: Had) -> Self {
        Self {
            // Before anything is read: what is stored after that is heard of.
            watch: ports.watches.watch(&job),
            jobs: Arc::clone(&ports.jobs),
            job,
            had,
            has_ended: false,
            may_have_more: true,
        }
    }

    /// What was had with everything that was returned.
    #[must_use]
    pub fn had(&self) -> &Had {
        &self.had
    }

    /// Whether the last event was the job's last one.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The next events; none where there were none until then.
    pub(crate) async fn next(&mut self, until: Instant) -> Result<Vec<Event>> {
        loop {
            let events = self.read().await?;
            if let Some(last) = events.last() {
                self.had = Had::up_to(last.number);
                return Ok(events);
            }
            if !self.has_news(until).await {
                return Ok(events);
            }
        }
    }

    /// What is to be shown next to somebody who looks on: events, and pieces of answers before they are events; nothing
    /// where there was nothing until then.
    pub async fn next_shown(&mut self, until: Instant) -> Result<Vec<Shown>> {
        loop {
            if let Some(piece) = self.unstored() {
                return Ok(vec![piece]);
            }
            if self.may_have_more {
                let events = self.read().await?;
                if !events.is_empty() {
                    return Ok(events.into_iter().map(|event| self.had.take(event)).collect());
                }
            }
            if !self.has_news(until).await {
                return Ok(Vec::new());
            }
        }
    }

    async fn read(&mut self) -> Result<Vec<Event>> {
        let events = self.jobs.events(&self.job, self.had.events(), PAGE).await?;
        self.may_have_more = !events.is_empty();
        self.has_ended |= events.last().is_some_and(|last| last.fact.is_last());
        Ok(events)
    }

    /// Waits for news. False where the time was up before.
    async fn has_news(&mut self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        self.watch.changed(left).await;
        self.may_have_more = true;
        true
    }

    fn unstored(&mut self) -> Option<Shown> {
        let unstored = self.watch.unstored()?;
        self.had.take_unstored(&self.job, &unstored)
    }
}

/// Whether nothing will come after the event of this number: a job's version is the number of its last one.
pub(crate) fn has_nothing_after(job: &Job, number: u64) -> bool {
    job.status.is_terminal() && number >= job.version
}
