//! What is written of a stage that has no output yet: that it waits, what it has cost, that it begins anew.

use bedrock_diy_core::{
    Class, Code, Failure,
    cursor::Cursor,
    error::Result,
    job::{Job, JobStatus},
    limits,
    model::Usage,
    ports::Applied,
    time::Timestamp,
};

use crate::{Stage, prepare::Prepared};

impl Stage {
    /// Notes that the job waits, and tells the state machine for how long.
    pub(crate) async fn wait(&self, mut job: Job, prepared: &Prepared, slot: Timestamp) -> Result<Cursor> {
        let (model, stage) = (&prepared.request.model, prepared.stage);
        while job.status == JobStatus::Running && job.next_stage() == stage {
            let now = self.ports.clock.now();
            if let Some(since) = job.waiting_since
                && now.millis_since(since) / 1_000 >= limits::PATIENCE_SECONDS
            {
                self.leave(model, &prepared.holder).await;
                return Err(Failure::new(
                    Code::ModelThrottled,
                    format!("stage {stage} has waited eight hours for the quota of {model}"),
                ));
            }
            let change = job.wait(format!("the quota of {model} is used up"), slot, now);
            match self.ports.jobs.apply(change).await? {
                Applied::Done(job, events) => {
                    self.ports.bus.publish(&events).await?;
                    let seconds = u32::try_from(slot.millis_since(now).div_ceil(1_000)).unwrap_or(u32::MAX);
                    return Ok(Cursor::wait(job.job_id, stage, seconds));
                }
                Applied::Stale(now) => job = now,
            }
        }
        // It was closed, or another try of this stage was faster.
        self.leave(model, &prepared.holder).await;
        Ok(Cursor::of(&job))
    }

    /// Keeps what an answer cost that is no output. Returns the job as it stands then.
    pub(crate) async fn pay(
        &self,
        mut job: Job,
        prepared: &Prepared,
        code: Code,
        usage: Usage,
    ) -> Result<Job> {
        let cost = self.catalogue.cost(&prepared.request.model, &usage);
        let prompt_id = prepared.card.prompt_id();
        while !job.status.is_terminal() {
            let change = || job.pay(prompt_id.clone(), code, usage, cost, self.ports.clock.now());
            let applied = self.store(change).await?;
            match applied {
                Applied::Done(job, events) => {
                    self.ports.bus.publish(&events).await?;
                    return Ok(job);
                }
                Applied::Stale(now) => job = now,
            }
        }
        Ok(job)
    }

    /// Tells those who follow that the stage begins anew, where its failure may pass. A note that can't be written
    /// changes nothing.
    pub(crate) async fn note_retry(&self, mut job: Job, prepared: &Prepared, code: Code) {
        if code.class() != Class::Retryable {
            return;
        }
        while job.status == JobStatus::Running && job.next_stage() == prepared.stage {
            let prompt_id = prepared.card.prompt_id().clone();
            let change = job.retry_stage(prompt_id, code, self.ports.clock.now());
            let noted = match self.ports.jobs.apply(change).await {
                Ok(Applied::Done(_, events)) => self.ports.bus.publish(&events).await,
                Ok(Applied::Stale(now)) => {
                    job = now;
                    continue;
                }
                Err(failure) => Err(failure),
            };
            if let Err(failure) = noted {
                tracing::warn!(job_id = %job.job_id, error = %failure, "nobody was told that a stage is tried again");
            }
            return;
        }
    }
}
