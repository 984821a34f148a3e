//! Follows the jobs of a run until each has ended.

use std::{collections::HashSet, sync::Arc};

use bedrock_diy_core::{
    JobId,
    error::Result,
    event::{Event, Fact, StageDelta},
    ports::Jobs,
};
use tokio::sync::{broadcast, watch};

use super::submit::Entry;
use crate::{
    machine::Machine,
    progress::{Display, Tally},
};

/// Watches jobs; counts and shows what happens to them.
pub(super) struct Follower<'a> {
    pub(super) machine: &'a Machine,
    pub(super) events: broadcast::Receiver<Arc<Event>>,
    pub(super) deltas: Option<broadcast::Receiver<Arc<StageDelta>>>,
    pub(super) display: Display,
    pub(super) tally: Tally,
    pub(super) open: HashSet<JobId>,
}

impl Follower<'_> {
    /// An article of this run.
    pub(super) fn add(&mut self, entry: &Entry) {
        self.tally.articles += 1;
        match &entry.job {
            Ok(job) if !entry.done_before => {
                self.display.name(job, &entry.name);
                self.open.insert(job.clone());
            }
            Ok(_) => self.tally.ended += 1,
            Err(failure) => {
                self.tally.ended += 1;
                self.display.say(&format!(
                    "        {}: {}: {}",
                    entry.name,
                    failure.code,
                    failure.message()
                ));
            }
        }
    }

    /// Follows until every job has ended (true) or a stop is asked for (false).
    pub(super) async fn follow(&mut self, mut stop: watch::Receiver<bool>) -> Result<bool> {
        self.drop_ended().await?;
        while !self.open.is_empty() {
            tokio::select! {
                biased;
                delta = next(&mut self.deltas) => if let Some(delta) = delta { self.display.delta(&delta) },
                event = self.events.recv() => match event {
                    Ok(event) => self.take(&event),
                    // Too slow for the events: the jobs themselves say how they stand.
                    Err(broadcast::error::RecvError::Lagged(_)) => self.drop_ended().await?,
                    Err(broadcast::error::RecvError::Closed) => return Ok(false),
                },
                _ = stop.changed() => return Ok(false),
            }
        }
        Ok(true)
    }

    fn take(&mut self, event: &Event) {
        if !self.open.contains(&event.job_id) {
            return;
        }
        match &event.fact {
            Fact::StageCompleted {
                memo_hit,
                usage,
                cost,
                ..
            } => {
                self.display.end_stream();
                *(if *memo_hit {
                    &mut self.tally.from_memo
                } else {
                    &mut self.tally.asked
                }) += 1;
                self.tally.pay(*usage, *cost);
            }
            Fact::StageFailed { usage, cost, .. } => {
                self.display.end_stream();
                self.tally.asked += 1;
                self.tally.pay(*usage, *cost);
            }
            Fact::JobSucceeded { .. } | Fact::JobFailed { .. } | Fact::JobCancelled { .. } => {
                self.display.end_stream();
                self.open.remove(&event.job_id);
                self.tally.ended += 1;
            }
            _ => {}
        }
        self.display.event(event, &self.tally);
    }

    async fn drop_ended(&mut self) -> Result<()> {
        let open: Vec<_> = self.open.iter().cloned().collect();
        for job_id in open {
            if let Some(job) = self.machine.jobs.read(&job_id).await?
                && job.status.is_terminal()
            {
                self.open.remove(&job_id);
                self.tally.ended += 1;
            }
        }
        Ok(())
    }
}

async fn next(deltas: &mut Option<broadcast::Receiver<Arc<StageDelta>>>) -> Option<Arc<StageDelta>> {
    match deltas {
        Some(deltas) => deltas.recv().await.ok(),
        None => std::future::pending().await,
    }
}
