//! Follows the jobs of a run until each has ended.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bedrock_diy_core::{
    JobId,
    error::Result,
    event::{Event, Fact, LiveText},
    ports::Jobs,
    time::Timestamp,
};
use tokio::{
    sync::{broadcast, mpsc, watch},
    time,
};

use super::submit::Entry;
use crate::{
    machine::Machine,
    progress::{Display, Tally},
    terminal::{plain, say},
};

/// How often events are looked at: all that came meanwhile, at once, so that nobody is woken for each of
/// thousands a second.
const LOOK: Duration = Duration::from_millis(25);

/// Looks without an event after which the jobs themselves are asked whether they have ended: somebody may
/// have cancelled them from another process. About a second.
const QUIET: u32 = 40;

/// Watches jobs; counts and shows what happens to them.
pub(super) struct Follower<'a> {
    machine: &'a Machine,
    events: broadcast::Receiver<Arc<Event>>,
    deltas: Option<broadcast::Receiver<Arc<LiveText>>>,
    display: Display,
    /// What was counted.
    pub(super) tally: Tally,
    /// Jobs that have not ended, with the stages that they have passed.
    open: HashMap<JobId, u32>,
    /// Whether events went by unseen, and the tally is not all.
    missed: bool,
    /// Whether some went by since the jobs were last asked.
    behind: bool,
}

impl<'a> Follower<'a> {
    /// Looks on from now on; at answers too where they are to be streamed.
    pub(super) fn new(machine: &'a Machine, stream: bool, display: Display, tally: Tally) -> Self {
        Self {
            machine,
            events: machine.bus.follow_events(),
            deltas: stream.then(|| machine.bus.follow_deltas()),
            display,
            tally,
            open: HashMap::new(),
            missed: false,
            behind: false,
        }
    }

    /// Follows until every job of `entries` has ended (true) or nobody works on them any more (false).
    pub(super) async fn follow(
        &mut self,
        mut entries: mpsc::UnboundedReceiver<Entry>,
        mut over: watch::Receiver<bool>,
    ) -> Result<bool> {
        let mut look = time::interval(LOOK);
        look.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        let mut quiet = 0;
        let mut more = true;
        while more || !self.open.is_empty() {
            tokio::select! {
                biased;
                _ = over.changed() => {
                    // What came to its end at last may not have been heard of.
                    self.missed = true;
                    return Ok(false);
                }
                entry = entries.recv(), if more => if let Some(entry) = entry {
                    self.add(&entry);
                } else {
                    more = false;
                    // What an earlier run left may have ended before it was known to be of this one.
                    self.drop_ended().await?;
                },
                delta = next(&mut self.deltas) => if let Some(delta) = delta {
                    // What it comes after is shown before it.
                    self.take_all(&mut entries);
                    self.display.delta(&delta);
                },
                _ = look.tick() => {
                    quiet = if self.take_all(&mut entries) { 0 } else { quiet + 1 };
                    if std::mem::take(&mut self.behind) || quiet % QUIET == QUIET - 1 {
                        self.drop_ended().await?;
                    }
                    self.display.tick(&self.tally);
                },
            }
        }
        Ok(true)
    }

    /// Ends the show. Where events went by unseen, what happened since `began` is counted again from
    /// what is stored.
    pub(super) async fn finish(&mut self, entries: &[Entry], began: Timestamp) -> Result<()> {
        self.display.finish();
        if !self.missed {
            return Ok(());
        }
        self.tally.forget_stages();
        for job in entries.iter().filter_map(|entry| entry.job.as_ref().ok()) {
            for event in self.machine.jobs.events(job, 0, usize::MAX >> 1).await? {
                if event.at >= began {
                    self.count(&event.fact);
                }
            }
        }
        Ok(())
    }

    /// An article of this run.
    fn add(&mut self, entry: &Entry) {
        self.tally.found += 1;
        match &entry.job {
            Ok(job) if !entry.done_before => {
                self.display.name(job, &entry.name);
                self.open.insert(job.clone(), 0);
            }
            Ok(_) => self.tally.ended += 1,
            Err(failure) => {
                self.tally.ended += 1;
                let told = format!("        {}: {}: {}", entry.name, failure.code, failure.message());
                say(plain(&told));
            }
        }
    }

    /// Takes every event that has come; false where there was none.
    fn take_all(&mut self, entries: &mut mpsc::UnboundedReceiver<Entry>) -> bool {
        // A job is told of before it begins, but by another way.
        while let Ok(entry) = entries.try_recv() {
            self.add(&entry);
        }
        let mut some = false;
        loop {
            match self.events.try_recv() {
                Ok(event) => self.take(&event),
                // Too slow for the events: the jobs themselves say how they stand.
                Err(broadcast::error::TryRecvError::Lagged(_)) => {
                    self.missed = true;
                    self.behind = true;
                }
                Err(_) => return some,
            }
            some = true;
        }
    }

    fn take(&mut self, event: &Event) {
        let Some(passed) = self.open.get_mut(&event.job_id) else {
            return;
        };
        match &event.fact {
            Fact::StageCompleted { .. } => {
                *passed += 1;
                self.tally.open_stages += 1;
                self.display.end_stream();
            }
            Fact::StageFailed { .. } | Fact::StageRetrying { .. } => self.display.end_stream(),
            Fact::JobSucceeded { .. } | Fact::JobFailed { .. } | Fact::JobCancelled { .. } => {
                self.display.end_stream();
                self.end(&event.job_id);
            }
            _ => {}
        }
        self.count(&event.fact);
        self.display.event(event, &self.tally);
    }

    fn count(&mut self, fact: &Fact) {
        match fact {
            Fact::StageCompleted {
                memo_hit,
                usage,
                cost,
                ..
            } => {
                self.tally.stage_done(*memo_hit);
                self.tally.pay(*usage, *cost);
            }
            Fact::StageFailed { usage, cost, .. } => {
                self.tally.stage_done(false);
                self.tally.pay(*usage, *cost);
            }
            _ => {}
        }
    }

    fn end(&mut self, job: &JobId) {
        if let Some(passed) = self.open.remove(job) {
            self.tally.open_stages -= u64::from(passed);
            self.tally.ended += 1;
        }
    }

    async fn drop_ended(&mut self) -> Result<()> {
        let open: Vec<_> = self.open.keys().cloned().collect();
        for job_id in open {
            if let Some(job) = self.machine.jobs.read(&job_id).await?
                && job.status.is_terminal()
            {
                self.end(&job_id);
                self.display.forget(&job_id);
            }
        }
        Ok(())
    }
}

async fn next(deltas: &mut Option<broadcast::Receiver<Arc<LiveText>>>) -> Option<Arc<LiveText>> {
    match deltas {
        Some(deltas) => deltas.recv().await.ok(),
        None => std::future::pending().await,
    }
}
