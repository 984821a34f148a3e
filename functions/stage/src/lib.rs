//! Stage: runs one prompt card of a job.
//!
//! Render, look into the memo, take a slot of the model's quota, ask, judge, write: in this order, so
//! that what was paid once is not paid again and nothing waits that need not. The output is written
//! with its memo entry before the cursor moves; whatever dies before that, the next try finds what
//! was there.

mod cards;
mod prepare;

use std::{sync::Arc, time::Duration};

use bedrock_diy_core::{
    Code, Failure,
    catalogue::Catalogue,
    cursor::Cursor,
    error::Result,
    event::StageDelta,
    job::{Change, Job, JobStatus, StageCompletion},
    judge::{self, Verdict},
    limits,
    model::{ModelAnswer, ModelRequest, Usage},
    ports::{Applied, Bus, Clock, History, Jobs, Memo, Model, ModelQuota, Objects, Projects},
    stage::{MemoEntry, StageRecord},
    time::Timestamp,
};

use crate::{cards::Cards, prepare::Prepared};

/// What a stage needs.
#[derive(Clone)]
pub struct Ports {
    /// Projects and cards.
    pub projects: Arc<dyn Projects>,
    /// Jobs.
    pub jobs: Arc<dyn Jobs>,
    /// Texts.
    pub objects: Arc<dyn Objects>,
    /// Answers that were paid for.
    pub memo: Arc<dyn Memo>,
    /// Chat history.
    pub history: Arc<dyn History>,
    /// The model.
    pub model: Arc<dyn Model>,
    /// Its quota.
    pub quota: Arc<dyn ModelQuota>,
    /// Who is told.
    pub bus: Arc<dyn Bus>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Runs stages.
pub struct Stage {
    ports: Ports,
    catalogue: Arc<Catalogue>,
    cards: Cards,
}

/// A wait shorter than this is waited here: the state machine counts in whole seconds.
const SHORT_WAIT: Duration = Duration::from_millis(900);

/// What became of asking the model.
enum Asked {
    /// A good output.
    Output {
        text: String,
        usage: Usage,
        calls: u32,
        model_time: Duration,
    },
    /// Not now; the quota has a slot then.
    Throttled { slot: Timestamp },
    /// An answer that can't be an output.
    Failed { failure: Failure, usage: Usage },
}

impl Stage {
    /// A stage runner. What it learns of cards it keeps: revisions are immutable.
    #[must_use]
    pub fn new(ports: Ports, catalogue: Arc<Catalogue>) -> Self {
        Self {
            ports,
            catalogue,
            cards: Cards::default(),
        }
    }

    /// Runs the cursor's stage and says what comes next; a stage that is done already is not run again.
    pub async fn handle(&self, cursor: Cursor) -> Result<Cursor> {
        let job = self.ports.jobs.read(&cursor.job_id).await?.ok_or_else(|| {
            Failure::new(
                Code::InternalError,
                format!("the job {} is not there", cursor.job_id),
            )
        })?;
        if job.status != JobStatus::Running {
            return Ok(Cursor::of(&job));
        }
        if cursor.stage <= job.stages_done {
            self.publish_again(&job, cursor.stage).await?;
            return Ok(Cursor::of(&job));
        }
        let prepared = self.prepare(&job, job.next_stage()).await?;
        if !job.fresh
            && let Some((entry, text)) = self.remembered(&prepared).await?
        {
            let record = self.record(&prepared, &job, &Usage::default(), 0, Duration::ZERO, true);
            tracing::debug!(job_id = %job.job_id, stage = record.stage, memo_hit = true, tokens = entry.usage.total(), "stage completed");
            return self
                .complete(
                    job,
                    &prepared,
                    StageCompletion {
                        record,
                        output: text,
                        memo: None,
                    },
                )
                .await;
        }
        self.check_budget(&job, &prepared)?;
        if let Some(slot) = self.take_turn(&prepared).await? {
            return self.wait(job, &prepared, slot).await;
        }
        match self.ask(&job, &prepared).await? {
            Asked::Output {
                text,
                usage,
                calls,
                model_time,
            } => {
                let record = self.record(&prepared, &job, &usage, calls, model_time, false);
                let memo = MemoEntry {
                    memo_key: prepared.memo_key.clone(),
                    output: record.output.clone(),
                    usage,
                };
                let done = StageCompletion {
                    record,
                    output: text,
                    memo: Some(memo),
                };
                self.complete(job, &prepared, done).await
            }
            Asked::Failed { failure, usage } => {
                self.pay(job, &prepared, &failure, usage).await?;
                Err(failure)
            }
            Asked::Throttled { slot } => self.wait(job, &prepared, slot).await,
        }
    }

    /// What the memo has; an entry whose text is gone is none.
    async fn remembered(&self, prepared: &Prepared) -> Result<Option<(MemoEntry, String)>> {
        let Some(entry) = self.ports.memo.find(&prepared.memo_key).await? else {
            return Ok(None);
        };
        match self.text(&entry.output).await {
            Ok(text) => Ok(Some((entry, text))),
            Err(failure) if failure.code == Code::ArticleNotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    fn check_budget(&self, job: &Job, prepared: &Prepared) -> Result<()> {
        let Some(budget) = prepared.settings.limits.cost_per_article else {
            return Ok(());
        };
        let input = Usage {
            input_tokens: self.catalogue.estimated_input_tokens(&prepared.request),
            ..Usage::default()
        };
        let next = self.catalogue.cost(&prepared.request.model, &input);
        match job.cost.zip(next) {
            Some((spent, next)) if spent + next > budget => Err(Failure::new(
                Code::BudgetExceeded,
                format!(
                    "the article has cost about {spent:.4} dollars, the next stage at least {next:.4} more, {budget} are allowed"
                ),
            )),
            _ => Ok(()),
        }
    }

    async fn reserve(&self, prepared: &Prepared) -> Result<Timestamp> {
        let tokens = self.catalogue.estimated_quota_tokens(&prepared.request);
        let now = self.ports.clock.now();
        self.ports
            .quota
            .reserve(&prepared.request.model, tokens, &prepared.holder, now)
            .await
    }

    /// Takes the stage's turn at the model; waits here where it is near, and says when to ask again
    /// where it is not.
    async fn take_turn(&self, prepared: &Prepared) -> Result<Option<Timestamp>> {
        loop {
            let slot = self.reserve(prepared).await?;
            let wait = Duration::from_millis(slot.millis_since(self.ports.clock.now()));
            if wait.is_zero() {
                return Ok(None);
            }
            if wait > SHORT_WAIT {
                return Ok(Some(slot));
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Notes that the job waits, and tells the state machine for how long.
    async fn wait(&self, mut job: Job, prepared: &Prepared, slot: Timestamp) -> Result<Cursor> {
        loop {
            let now = self.ports.clock.now();
            if let Some(since) = job.waiting_since
                && now.millis_since(since) / 1_000 >= limits::PATIENCE_SECONDS
            {
                return Err(Failure::new(
                    Code::ModelThrottled,
                    format!(
                        "stage {} has waited a day for the quota of {}",
                        job.next_stage(),
                        prepared.request.model
                    ),
                ));
            }
            let reason = format!("the quota of {} is used up", prepared.request.model);
            let change = job.wait(reason, slot, now);
            let events = change.events.clone();
            match self.ports.jobs.apply(change).await? {
                Applied::Done(job) => {
                    self.ports.bus.publish(&events).await?;
                    let seconds = u32::try_from(slot.millis_since(now).div_ceil(1_000)).unwrap_or(u32::MAX);
                    return Ok(Cursor::wait(job.job_id.clone(), job.next_stage(), seconds));
                }
                Applied::Stale(now)
                    if now.status == JobStatus::Running && now.stages_done == job.stages_done =>
                {
                    job = now;
                }
                Applied::Stale(now) => return Ok(Cursor::of(&now)),
            }
        }
    }

    /// Asks the model, once more where its answer can be repaired.
    async fn ask(&self, job: &Job, prepared: &Prepared) -> Result<Asked> {
        let answer = match self.call(job, prepared, &prepared.request).await? {
            Ok(answer) => answer,
            Err(slot) => return Ok(Asked::Throttled { slot }),
        };
        let faults = match judge::judge(&answer, prepared.card.schema()) {
            Ok(Verdict::Output(text)) => {
                return Ok(Asked::Output {
                    text,
                    usage: answer.usage,
                    calls: 1,
                    model_time: answer.latency,
                });
            }
            Ok(Verdict::Repair(faults)) => faults,
            Err(failure) => {
                return Ok(Asked::Failed {
                    failure,
                    usage: answer.usage,
                });
            }
        };
        let repair = judge::repair(&prepared.request, &answer, &faults);
        let slot = self.reserve(prepared).await?;
        // The first answer is paid: better to stand here for a while than to pay for it again.
        let wait = Duration::from_millis(slot.millis_since(self.ports.clock.now())).min(prepared.deadline);
        tokio::time::sleep(wait).await;
        let second = match self.call(job, prepared, &repair).await? {
            Ok(answer) => answer,
            Err(slot) => return Ok(Asked::Throttled { slot }),
        };
        let mut usage = answer.usage;
        usage += second.usage;
        Ok(match judge::judge(&second, prepared.card.schema()) {
            Ok(Verdict::Output(text)) => Asked::Output {
                text,
                usage,
                calls: 2,
                model_time: answer.latency + second.latency,
            },
            Ok(Verdict::Repair(faults)) => Asked::Failed {
                failure: judge::mismatch(&faults),
                usage,
            },
            Err(failure) => Asked::Failed { failure, usage },
        })
    }

    /// Keeps what an answer cost that can't be an output.
    async fn pay(&self, mut job: Job, prepared: &Prepared, failure: &Failure, usage: Usage) -> Result<()> {
        let cost = self.catalogue.cost(&prepared.request.model, &usage);
        let prompt_id = prepared.card.prompt_id();
        while !job.status.is_terminal() {
            let change = job.pay(
                prompt_id.clone(),
                failure.code,
                usage,
                cost,
                self.ports.clock.now(),
            );
            let events = change.events.clone();
            match self.ports.jobs.apply(change).await? {
                Applied::Done(_) => return self.ports.bus.publish(&events).await,
                Applied::Stale(now) => job = now,
            }
        }
        Ok(())
    }

    /// One call. A throttle is no failure here: it is the slot to come back at.
    async fn call(
        &self,
        job: &Job,
        prepared: &Prepared,
        request: &ModelRequest,
    ) -> Result<std::result::Result<ModelAnswer, Timestamp>> {
        let followed = self.ports.bus.has_followers();
        let mut on_delta = |text: &str| {
            if followed {
                self.ports.bus.delta(StageDelta {
                    job_id: job.job_id.clone(),
                    stage: job.next_stage(),
                    prompt_id: prepared.card.prompt_id().clone(),
                    text: text.to_owned(),
                });
            }
        };
        let answer = self
            .ports
            .model
            .converse(request, prepared.deadline, &mut on_delta)
            .await;
        let now = self.ports.clock.now();
        match answer {
            Err(failure) if failure.code == Code::ModelThrottled => {
                let (model, holder) = (&request.model, &prepared.holder);
                self.ports
                    .quota
                    .throttled(model, holder, now, failure.retry_after)
                    .await?;
                Ok(Err(self.reserve(prepared).await?))
            }
            other => {
                self.ports
                    .quota
                    .answered(&request.model, &prepared.holder, now)
                    .await?;
                other.map(Ok)
            }
        }
    }

    fn record(
        &self,
        prepared: &Prepared,
        job: &Job,
        usage: &Usage,
        calls: u32,
        model_time: Duration,
        memo_hit: bool,
    ) -> StageRecord {
        let stage = job.next_stage();
        StageRecord {
            stage,
            prompt_id: prepared.card.prompt_id().clone(),
            title: prepared.card.title().to_owned(),
            revision: prepared.card.revision(),
            model: prepared.request.model.clone(),
            output: prepared.output(job, stage),
            memo_key: prepared.memo_key.clone(),
            memo_hit,
            calls,
            usage: *usage,
            cost: if memo_hit {
                Some(0.0)
            } else {
                self.catalogue.cost(&prepared.request.model, usage)
            },
            model_ms: u64::try_from(model_time.as_millis()).unwrap_or(u64::MAX),
            completed_at: self.ports.clock.now(),
        }
    }

    async fn complete(&self, mut job: Job, prepared: &Prepared, mut done: StageCompletion) -> Result<Cursor> {
        done.record.output.size = done.output.len() as u64;
        if let Some(memo) = &mut done.memo {
            memo.output = done.record.output.clone();
        }
        loop {
            let change: Change =
                job.complete_stage(done.clone(), prepared.next_card.clone(), self.ports.clock.now());
            let events = change.events.clone();
            match self.ports.jobs.apply(change).await? {
                Applied::Done(job) => {
                    self.ports.bus.publish(&events).await?;
                    return Ok(Cursor::of(&job));
                }
                // Somebody noted something else meanwhile: the stage is still to be written.
                Applied::Stale(now)
                    if now.status == JobStatus::Running && now.stages_done == job.stages_done =>
                {
                    job = now;
                }
                // It was cancelled, or another try of this stage was faster: a late duplicate changes nothing.
                Applied::Stale(now) => return Ok(Cursor::of(&now)),
            }
        }
    }

    /// An earlier try wrote the stage and may have died before it said so.
    async fn publish_again(&self, job: &Job, stage: u32) -> Result<()> {
        let events = self.ports.jobs.events(&job.job_id, 0, usize::MAX >> 1).await?;
        let of_stage: Vec<_> = events
            .into_iter()
            .filter(|event| {
                matches!(&event.fact, bedrock_diy_core::event::Fact::StageCompleted { stage: of, .. } if *of == stage)
            })
            .collect();
        self.ports.bus.publish(&of_stage).await
    }
}
