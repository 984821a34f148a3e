//! Stage: runs one prompt card of a job.
//!
//! Render, look into the memo, take a slot of the model's quota, ask, judge, write: in this order, so
//! that what was paid once is not paid again and nothing waits that need not. The output is written
//! with its memo entry before the cursor moves; whatever dies before that, the next try finds what
//! was there.

mod ask;
mod cards;
mod notes;
mod prepare;
mod questions;
mod telling;

use std::{sync::Arc, time::Duration};

use bedrock_diy_core::{
    Code, Failure,
    catalogue::Catalogue,
    cursor::Cursor,
    error::Result,
    event::Fact,
    job::{Change, Job, JobStatus, StageCompletion},
    model::Usage,
    ports::{Applied, Bus, Clock, Followers, History, Jobs, Memo, Model, ModelQuota, Objects, Projects},
    quota::Place,
    stage::{MemoEntry, StageRecord},
};

pub use crate::questions::Questions;
use crate::{ask::Asked, cards::Cards, prepare::Prepared};

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
    /// Who looks on.
    pub followers: Arc<dyn Followers>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is being asked just now: one for all stages of a process.
    pub questions: Questions,
}

/// Runs stages.
pub struct Stage {
    ports: Ports,
    catalogue: Arc<Catalogue>,
    cards: Cards,
}

/// A wait shorter than this is waited here: the state machine counts in whole seconds.
const SHORT_WAIT: Duration = Duration::from_millis(900);

/// What has been paid for is stored with more patience than anything else: so often, and with a pause before the
/// second try that doubles with each further one; together a quarter of a minute. A new try of the stage would
/// pay once more.
const STORE_TRIES: u32 = 6;
const STORE_PAUSE: Duration = Duration::from_millis(500);

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
        let begun = self.ports.clock.now();
        let job = self.ports.jobs.read(&cursor.job_id).await?.ok_or_else(|| {
            Failure::new(
                Code::InternalError,
                format!("the job {} is not there", cursor.job_id),
            )
        })?;
        if job.status != JobStatus::Running {
            self.leave_closed(&job).await;
            return Ok(Cursor::of(&job));
        }
        if cursor.stage <= job.stages_done {
            self.publish_again(&job, cursor.stage).await?;
            return Ok(Cursor::of(&job));
        }
        let prepared = self.prepare(&job, job.next_stage()).await?;
        let _asking = if job.fresh {
            None
        } else {
            Some(self.ports.questions.begin(&prepared.memo_key).await)
        };
        if !job.fresh
            && let Some(text) = self.remembered(&prepared).await?
        {
            self.leave(&prepared.request.model, &prepared.holder).await;
            let record = self.record(&prepared, &job, &Usage::default(), 0, Duration::ZERO, true);
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
        if let Err(failure) = self.check_budget(&job, &prepared) {
            self.leave(&prepared.request.model, &prepared.holder).await;
            return Err(failure);
        }
        if let Some(slot) = self.take_turn(&prepared, Place::Last, SHORT_WAIT).await? {
            return self.wait(job, &prepared, slot).await;
        }
        let mut job = job;
        let asked = match self.ask(&mut job, &prepared, begun).await {
            Ok(asked) => asked,
            Err(failure) => {
                self.note_retry(job, &prepared, failure.code).await;
                return Err(failure);
            }
        };
        match asked {
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
                let job = self.pay(job, &prepared, failure.code, usage).await?;
                self.note_retry(job, &prepared, failure.code).await;
                Err(failure)
            }
            Asked::Throttled { slot, paid } => {
                let job = match paid {
                    Some((code, usage)) => self.pay(job, &prepared, code, usage).await?,
                    None => job,
                };
                self.wait(job, &prepared, slot).await
            }
        }
    }

    /// What the memo has; an entry whose text is gone is none.
    async fn remembered(&self, prepared: &Prepared) -> Result<Option<String>> {
        let Some(entry) = self.ports.memo.find(&prepared.memo_key).await? else {
            return Ok(None);
        };
        match self.text(&entry.output).await {
            Ok(text) => Ok(Some(text)),
            Err(failure) if failure.code == Code::ArticleNotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    fn check_budget(&self, job: &Job, prepared: &Prepared) -> Result<()> {
        let Some(budget) = prepared.pipeline.settings.limits.cost_per_article else {
            return Ok(());
        };
        let input = Usage {
            input_tokens: prepared.input_tokens,
            ..Usage::default()
        };
        let model = &prepared.request.model;
        self.catalogue.check_price(model)?;
        match job.cost.zip(self.catalogue.cost(model, &input)) {
            Some((spent, next)) if spent + next <= budget => Ok(()),
            Some((spent, next)) => Err(Failure::new(
                Code::BudgetExceeded,
                format!(
                    "the article has cost about {spent:.4} dollars, the next stage at least {next:.4} more, {budget} are allowed"
                ),
            )),
            // A model of an earlier stage had no price when it was asked.
            None => Err(Failure::new(
                Code::BudgetExceeded,
                format!("what the article has cost so far is not known, {budget} dollars are allowed"),
            )),
        }
    }

    /// Gives the stage's place in the model's line back: it ends without asking.
    async fn leave(&self, model: &str, holder: &str) {
        let now = self.ports.clock.now();
        if let Err(failure) = self.ports.quota.leave(model, holder, now).await {
            // The place frees itself after a while: no reason to fail what has just been done.
            tracing::warn!(holder, error = %failure, "a place in a model's line was not given back");
        }
    }

    /// The same for a job that was closed while it waited.
    async fn leave_closed(&self, job: &Job) {
        let stage = job.next_stage();
        if job.status.is_terminal()
            && stage <= job.stages
            && let Ok(pinned) = self.pinned(job, stage).await
        {
            self.leave(&pinned.model, &prepare::holder(job, stage)).await;
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
            let next = || prepared.next_card.clone();
            let change = || job.complete_stage(done.clone(), next(), self.ports.clock.now());
            let applied = self.store(change).await?;
            match applied {
                Applied::Done(job, events) => {
                    let StageRecord {
                        stage,
                        memo_hit,
                        usage,
                        model_ms,
                        ..
                    } = &done.record;
                    tracing::debug!(job_id = %job.job_id, stage, memo_hit, tokens = usage.total(), model_ms, "stage completed");
                    self.ports.bus.publish(&events).await?;
                    return Ok(Cursor::of(&job));
                }
                // Somebody noted something else meanwhile: the stage is still to be written.
                Applied::Stale(now)
                    if now.status == JobStatus::Running && now.stages_done == job.stages_done =>
                {
                    job = now;
                }
                Applied::Stale(now) => {
                    if now.stages_done > job.stages_done {
                        // It is written: by another try of this stage, or by one of ours whose answer was lost.
                        self.publish_again(&now, done.record.stage).await?;
                    } else if let Some(memo) = done.memo {
                        // It was closed while the model answered: the answer is paid, and a retry is to find it.
                        self.ports.memo.keep(memo, done.output).await?;
                    }
                    return Ok(Cursor::of(&now));
                }
            }
        }
    }

    /// Stores what has been paid for.
    async fn store(&self, change: impl Fn() -> Change) -> Result<Applied> {
        let mut pause = STORE_PAUSE;
        for _ in 1..STORE_TRIES {
            match self.ports.jobs.apply(change()).await {
                Err(failure) if failure.code == Code::StorageUnavailable => {
                    tracing::warn!(error = %failure, "an answer that is paid could not be stored, and is kept for another try");
                }
                applied => return applied,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.ports.jobs.apply(change()).await
    }

    /// An earlier try wrote the stage, and may have died before it said so: says everything that has
    /// happened since. Whoever has heard it knows the events by their ids.
    async fn publish_again(&self, job: &Job, stage: u32) -> Result<()> {
        // Mostly the stage's end is among the last few events.
        let mut looked_at = 8;
        loop {
            let after = job.version.saturating_sub(looked_at);
            let events = self
                .ports
                .jobs
                .events(&job.job_id, after, usize::MAX >> 1)
                .await?;
            let end = events.iter().position(
                |event| matches!(&event.fact, Fact::StageCompleted { stage: of, .. } if *of == stage),
            );
            match end {
                Some(end) => return self.ports.bus.publish(&events[end..]).await,
                None if after == 0 => return Ok(()),
                None => looked_at *= 8,
            }
        }
    }
}
