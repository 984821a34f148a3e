//! What an earlier process left unfinished: taken up whole, or left alone but for what is asked for again.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bedrock_diy_core::{
    BatchId, JobId, commands,
    error::Result,
    intake::{IntakeMessage, Lane, Submission},
    job::{Job, JobStatus},
    pipeline::PipelineRevision,
    ports::{Bus, Clock, Executions, Jobs},
};
use bedrock_diy_embedded::RowFilter;
use futures_util::{StreamExt, TryStreamExt, stream};
use ulid::Ulid;

use super::Machine;

/// Jobs that are cancelled at once: they share the disk's syncs.
const AT_ONCE: usize = 64;

impl Machine {
    /// Takes up everything that an earlier process left. Called once, by whoever holds the data folder's lock, before
    /// the workers run.
    pub async fn take_up(&self) -> Result<()> {
        let messages = self.queue.recover().await?;
        let executions = self.executions.recover().await?;
        for job in self.jobs.not_begun()? {
            commands::send_on(&self.queue, &job).await?;
        }
        if messages + executions > 0 {
            tracing::info!(messages, executions, "going on with what was left");
        }
        self.memo.recover()
    }

    /// Leaves alone what an earlier process left, because whoever runs some articles pays for no others. Called instead
    /// of [`Machine::take_up`].
    ///
    /// What an earlier run of the same project did not finish is cancelled where it passes other cards than these: no
    /// run can ask for it again.
    pub async fn leave_alone(&self, pipeline: &PipelineRevision) -> Result<Left> {
        self.queue.recover().await?;
        self.executions.recover().await?;
        self.memo.recover()?;
        let mut left = Left {
            machine: self.clone(),
            messages: Mutex::default(),
            jobs: Mutex::new(self.executions.set_aside().await?.into_iter().collect()),
            drops: 0,
            cancelled: HashSet::new(),
        };
        for lane in Lane::ALL {
            left.note_messages(lane, pipeline).await?;
        }
        left.cancel_jobs(pipeline).await?;
        Ok(left)
    }
}

/// What is left alone. It is taken up by the next process that takes up everything.
pub struct Left {
    machine: Machine,
    /// Submissions that intake has not seen or has not done with.
    messages: Mutex<HashMap<JobId, (Lane, i64)>>,
    /// What these and the executions that were set aside are of.
    jobs: Mutex<HashSet<JobId>>,
    /// The inbox's files, which nobody asks for by a job's id.
    drops: usize,
    cancelled: HashSet<JobId>,
}

impl Left {
    async fn note_messages(&mut self, lane: Lane, pipeline: &PipelineRevision) -> Result<()> {
        let mut done_with = Vec::new();
        for (seq, body) in self.machine.queue.set_aside(lane).await? {
            let Ok(IntakeMessage::Submission(submission)) = serde_json::from_str(&body) else {
                self.drops += 1;
                continue;
            };
            let job_id = submission.job_id.clone();
            if self.has_ended(&job_id).await? {
                // Whoever handled it died before it was deleted.
                done_with.push(seq);
            } else if is_outdated(&submission, pipeline) {
                done_with.push(seq);
                locked(&self.jobs).remove(&job_id);
                self.cancelled.insert(job_id);
            } else {
                locked(&self.jobs).insert(job_id.clone());
                locked(&self.messages).insert(job_id, (lane, seq));
            }
        }
        self.machine.queue.forget(done_with, lane).await
    }

    async fn has_ended(&self, job_id: &JobId) -> Result<bool> {
        let job = self.machine.jobs.read(job_id).await?;
        Ok(job.is_some_and(|job| job.status.is_terminal()))
    }

    async fn cancel_jobs(&mut self, pipeline: &PipelineRevision) -> Result<()> {
        let mut outdated = Vec::new();
        for status in [JobStatus::Accepted, JobStatus::Running] {
            let open = self.machine.jobs.rows(&RowFilter {
                project: Some(pipeline.project_id.clone()),
                status: Some(status),
                limit: usize::MAX >> 1,
                ..RowFilter::default()
            })?;
            let open = open.into_iter().map(|row| row.job);
            outdated.extend(open.filter(|job| is_of_run(&job.batch) && is_under_others(job, pipeline)));
        }
        let machine = &self.machine;
        let cancelled: Vec<Job> = stream::iter(outdated)
            .map(|job| async move {
                let ports: (&dyn Jobs, &dyn Executions, &dyn Bus, &dyn Clock) =
                    (&machine.jobs, &machine.executions, &machine.bus, &*machine.clock);
                commands::cancel(ports, job, "a run under other cards").await
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        for job in cancelled {
            locked(&self.jobs).remove(&job.job_id);
            self.cancelled.insert(job.job_id);
        }
        Ok(())
    }

    /// Takes up what was submitted and has become no job yet; says whether there was such a message.
    pub async fn take_up_message(&self, job_id: &JobId) -> Result<bool> {
        let message = locked(&self.messages).remove(job_id);
        if let Some((lane, seq)) = message {
            self.machine.queue.take_up(seq, lane).await?;
            locked(&self.jobs).remove(job_id);
        }
        Ok(message.is_some())
    }

    /// Takes up a job that has not ended.
    pub async fn take_up_job(&self, job: &Job) -> Result<()> {
        // Whoever accepted it may have died before it was started: then its message is still there.
        self.take_up_message(&job.job_id).await?;
        self.machine.executions.take_up(&job.job_id, job.lane).await?;
        locked(&self.jobs).remove(&job.job_id);
        Ok(())
    }

    /// How many articles are still left alone.
    #[must_use]
    pub fn count(&self) -> usize {
        locked(&self.jobs).len() + self.drops
    }

    /// How many were cancelled, because the cards have changed.
    #[must_use]
    pub fn cancelled(&self) -> usize {
        self.cancelled.len()
    }
}

fn is_outdated(submission: &Submission, pipeline: &PipelineRevision) -> bool {
    let under = submission.pipeline.as_ref();
    submission.project_id == pipeline.project_id && under.is_some_and(|hash| *hash != pipeline.hash)
}

fn is_under_others(job: &Job, pipeline: &PipelineRevision) -> bool {
    job.pipeline.as_ref() != Some(&pipeline.hash)
}

/// Whether a batch is a run's: `run-` and a ULID. People name theirs otherwise.
fn is_of_run(batch: &BatchId) -> bool {
    let id = batch.as_str().strip_prefix("run-");
    id.is_some_and(|id| Ulid::from_string(id).is_ok())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is held is a number or a map that is as good as before.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
