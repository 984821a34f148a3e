//! Jobs: one article under one pipeline revision, and everything that may happen to it.
//!
//! Every rule is a function from the job as it stands (and what happened, and when) to a [`Change`]:
//! the job as it is to be, and what is to be written with it. A port writes the change only if
//! nobody else has changed the job meanwhile. So a status moves one way only, and events have no
//! holes, whoever delivers what how often.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    article::{Article, ArticleMeta, ObjectRef},
    error::{Code, Failure},
    event::{Event, Fact, JobError, StageDelta},
    history::Exchange,
    ids::{BatchId, JobId, ProjectId, PromptId, SessionId},
    intake::{Lane, Submission},
    model::Usage,
    pipeline::PipelineRevision,
    stage::{MemoEntry, StageRecord},
    time::Timestamp,
};

/// One article under one pipeline revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// The job's id.
    pub job_id: JobId,
    /// Its project.
    pub project_id: ProjectId,
    /// Its batch.
    pub batch: BatchId,
    /// The queue that it came through.
    pub lane: Lane,
    /// Where it stands.
    pub status: JobStatus,
    /// The number of its last event. Grows with every change.
    pub version: u64,
    /// The article; shared, because jobs are copied at every change and their article hardly ever changes.
    pub article: Arc<Article>,
    /// The hash of its pipeline revision; none where the project had none to give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// How many stages it passes; 0 before it is planned.
    pub stages: u32,
    /// How many it has passed.
    pub stages_done: u32,
    /// The last finished stage's output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_output: Option<ObjectRef>,
    /// The conversation that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// Whether the memo is not asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
    /// The job that this one tries again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<JobId>,
    /// Tokens paid for.
    #[serde(default)]
    pub usage: Usage,
    /// Estimated US dollars; `None` once a stage had no price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// Stages whose answer came from the memo.
    #[serde(default)]
    pub memo_hits: u32,
    /// Since when the present stage waits for model quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<Timestamp>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When it was planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

/// Where a job stands. Moves down this list only, and ends at one of the last three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum JobStatus {
    /// It is known, once.
    Accepted,
    /// Its stages run.
    Running,
    /// Every stage has a good output.
    Succeeded,
    /// It can't go on.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl JobStatus {
    /// Whether nothing can change any more.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// The name as it stands in the API and in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "ACCEPTED",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

impl std::fmt::Display for JobStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is to be written: the job as it is to be, and what comes with it, all or nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The job as it is to be.
    pub job: Job,
    /// The version that the stored job must have; 0 where there must be none.
    pub expected_version: u64,
    /// What happened, numbered from `expected_version + 1`.
    pub events: Vec<Event>,
    /// A finished stage.
    pub stage: Option<StageRecord>,
    /// A text to store under its reference: a stage's output, a job's result document.
    pub output: Option<(ObjectRef, String)>,
    /// An answer to remember.
    pub memo: Option<MemoEntry>,
    /// What a session is to remember.
    pub exchange: Option<Exchange>,
}

/// What a new job is made of.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its id, derived.
    pub job_id: JobId,
    /// Its project.
    pub project_id: ProjectId,
    /// Its batch.
    pub batch: BatchId,
    /// The queue that it came through.
    pub lane: Lane,
    /// The article.
    pub article: Article,
    /// The conversation that it belongs to.
    pub session_id: Option<SessionId>,
    /// Whether the memo is not asked.
    pub fresh: bool,
    /// The job that it tries again.
    pub retry_of: Option<JobId>,
    /// The hash of the pipeline revision that it is to run under, instead of the current one.
    pub pipeline: Option<String>,
}

impl NewJob {
    /// What a submission asks for.
    #[must_use]
    pub fn submitted(lane: Lane, submission: Submission) -> Self {
        Self {
            job_id: submission.job_id,
            project_id: submission.project_id,
            batch: submission.batch,
            lane,
            article: submission.article,
            session_id: submission.session_id,
            fresh: submission.fresh,
            retry_of: submission.retry_of,
            pipeline: submission.pipeline,
        }
    }
}

impl Job {
    /// Accepts an article under a pipeline revision, or as a job that failed at once where the
    /// project has none to give (unknown, inactive, without cards): the article is not lost, its job
    /// says why, and it can be retried.
    #[must_use]
    pub fn accept(new: NewJob, pipeline: Result<&PipelineRevision, Failure>, now: Timestamp) -> Change {
        let job = Self {
            job_id: new.job_id,
            project_id: new.project_id,
            batch: new.batch,
            lane: new.lane,
            status: JobStatus::Accepted,
            version: 0,
            article: Arc::new(new.article),
            pipeline: pipeline.as_ref().ok().map(|pipeline| pipeline.hash.clone()),
            stages: 0,
            stages_done: 0,
            last_output: None,
            session_id: new.session_id,
            fresh: new.fresh,
            retry_of: new.retry_of,
            usage: Usage::default(),
            cost: Some(0.0),
            memo_hits: 0,
            waiting_since: None,
            error: None,
            accepted_at: now,
            started_at: None,
            ended_at: None,
        };
        let accepted = Fact::JobAccepted {
            batch: job.batch.clone(),
            article: job.article.name.clone(),
        };
        let mut change = job.change(now, [accepted]);
        if let Err(failure) = pipeline {
            change.close(now, JobStatus::Failed, Some(&failure));
        }
        change
    }

    /// The session in which no other job may run while this one does, because what it answers is part of what the
    /// next one is asked. A job that fails as it is accepted says nothing there, and takes nobody's turn.
    #[must_use]
    pub fn takes_turn_in(&self) -> Option<&SessionId> {
        self.session_id.as_ref().filter(|_| !self.status.is_terminal())
    }

    /// What was submitted: the message that leads to this very job.
    #[must_use]
    pub fn submission(&self) -> Submission {
        Submission {
            job_id: self.job_id.clone(),
            project_id: self.project_id.clone(),
            batch: self.batch.clone(),
            article: Article::clone(&self.article),
            session_id: self.session_id.clone(),
            fresh: self.fresh,
            retry_of: self.retry_of.clone(),
            pipeline: None,
        }
    }

    /// The article was read: its text lies at `text`, and work begins.
    #[must_use]
    pub fn start(
        &self,
        text: ObjectRef,
        meta: ArticleMeta,
        pipeline: &PipelineRevision,
        now: Timestamp,
    ) -> Change {
        let mut job = self.clone();
        job.status = JobStatus::Running;
        job.started_at = Some(now);
        let article = Arc::make_mut(&mut job.article);
        article.text = Some(text);
        article.meta = meta;
        job.stages = pipeline.stages();
        let first = pipeline.cards.first().map(|card| card.prompt_id.clone());
        let started = Fact::JobStarted { stages: job.stages };
        let next = first.map(|prompt_id| Fact::StageStarted { stage: 1, prompt_id });
        job.change(now, std::iter::once(started).chain(next))
    }

    /// A stage has a good output. The next one's start is written along: one write a stage.
    #[must_use]
    pub fn complete_stage(&self, done: StageCompletion, next: Option<PromptId>, now: Timestamp) -> Change {
        let StageCompletion { record, output, memo } = done;
        let mut job = self.clone();
        job.stages_done = record.stage;
        job.last_output = Some(record.output.clone());
        job.usage += record.usage;
        job.cost = job.cost.zip(record.cost).map(|(so_far, more)| so_far + more);
        job.memo_hits += u32::from(record.memo_hit);
        job.waiting_since = None;
        let completed = Fact::StageCompleted {
            stage: record.stage,
            prompt_id: record.prompt_id.clone(),
            output: record.output.clone(),
            memo_hit: record.memo_hit,
            usage: record.usage,
            cost: record.cost,
            model_ms: record.model_ms,
        };
        let started = next.map(|prompt_id| Fact::StageStarted {
            stage: record.stage + 1,
            prompt_id,
        });
        let mut change = job.change(now, std::iter::once(completed).chain(started));
        change.output = Some((record.output.clone(), output));
        change.stage = Some(record);
        change.memo = memo;
        change
    }

    /// The present stage was answered, and the answer can't be an output: what it cost is kept.
    #[must_use]
    pub fn pay(
        &self,
        prompt_id: PromptId,
        code: Code,
        usage: Usage,
        cost: Option<f64>,
        now: Timestamp,
    ) -> Change {
        let mut job = self.clone();
        job.usage += usage;
        job.cost = job.cost.zip(cost).map(|(so_far, more)| so_far + more);
        let failed = Fact::StageFailed {
            stage: job.next_stage(),
            prompt_id,
            code,
            usage,
            cost,
        };
        job.change(now, [failed])
    }

    /// A try of the present stage came to nothing, for a reason that may pass.
    #[must_use]
    pub fn retry_stage(&self, prompt_id: PromptId, code: Code, now: Timestamp) -> Change {
        let retrying = Fact::StageRetrying {
            stage: self.next_stage(),
            prompt_id,
            code,
        };
        self.clone().change(now, [retrying])
    }

    /// The present stage's answer goes on.
    #[must_use]
    pub fn write_on(&self, deltas: Vec<StageDelta>, now: Timestamp) -> Change {
        self.clone().change(now, deltas.into_iter().map(Fact::StageDelta))
    }

    /// The present stage waits for model quota.
    #[must_use]
    pub fn wait(&self, reason: impl Into<String>, until: Timestamp, now: Timestamp) -> Change {
        let mut job = self.clone();
        job.waiting_since.get_or_insert(now);
        let waiting = Fact::JobWaiting {
            stage: job.stages_done + 1,
            reason: reason.into(),
            until,
        };
        job.change(now, [waiting])
    }

    /// Every stage is done; `result` is the result document.
    #[must_use]
    pub fn succeed(&self, result: (ObjectRef, String), exchange: Option<Exchange>, now: Timestamp) -> Change {
        let mut job = self.clone();
        job.status = JobStatus::Succeeded;
        job.ended_at = Some(now);
        let succeeded = Fact::JobSucceeded {
            result: result.0.clone(),
            usage: job.usage,
            cost: job.cost,
        };
        let mut change = job.change(now, [succeeded]);
        change.output = Some(result);
        change.exchange = exchange;
        change
    }

    /// The job can't go on.
    #[must_use]
    pub fn fail(&self, failure: &Failure, now: Timestamp) -> Change {
        let mut change = self.clone().change(now, []);
        change.close(now, JobStatus::Failed, Some(failure));
        change
    }

    /// Somebody cancels the job.
    #[must_use]
    pub fn cancel(&self, by: &str, now: Timestamp) -> Change {
        let mut change = self.clone().change(now, []);
        change.close(now, JobStatus::Cancelled, None);
        change.push(now, Fact::JobCancelled { by: by.to_owned() });
        change
    }

    /// The stage that is next.
    #[must_use]
    pub fn next_stage(&self) -> u32 {
        self.stages_done + 1
    }

    fn change(self, now: Timestamp, facts: impl IntoIterator<Item = Fact>) -> Change {
        let mut change = Change {
            expected_version: self.version,
            job: self,
            events: Vec::new(),
            stage: None,
            output: None,
            memo: None,
            exchange: None,
        };
        for fact in facts {
            change.push(now, fact);
        }
        change
    }
}

/// A stage's good output, and what is to be kept of it.
#[derive(Debug, Clone)]
pub struct StageCompletion {
    /// The facts.
    pub record: StageRecord,
    /// The text.
    pub output: String,
    /// What the memo is to keep; nothing where it came from there.
    pub memo: Option<MemoEntry>,
}

impl Change {
    /// The output was stored under this reference, which names a version that nobody could know before:
    /// everything that refers to the output names it from now on.
    ///
    /// So another try of the same stage, which writes another version, changes nothing of this one.
    pub fn output_is(&mut self, stored: &ObjectRef) {
        let events = self.events.iter_mut().filter_map(|event| match &mut event.fact {
            Fact::StageCompleted { output, .. } => Some(output),
            Fact::JobSucceeded { result, .. } => Some(result),
            _ => None,
        });
        let stage = self.stage.iter_mut().map(|stage| &mut stage.output);
        let memo = self.memo.iter_mut().map(|memo| &mut memo.output);
        for reference in events.chain(stage).chain(memo).chain(&mut self.job.last_output) {
            if reference.bucket == stored.bucket && reference.key == stored.key {
                reference.clone_from(stored);
            }
        }
    }

    fn push(&mut self, now: Timestamp, fact: Fact) {
        self.job.version += 1;
        self.events.push(Event {
            job_id: self.job.job_id.clone(),
            project_id: self.job.project_id.clone(),
            number: self.job.version,
            at: now,
            fact,
        });
    }

    fn close(&mut self, now: Timestamp, status: JobStatus, failure: Option<&Failure>) {
        self.job.status = status;
        self.job.ended_at = Some(now);
        self.job.waiting_since = None;
        if let Some(failure) = failure {
            let stage = if self.job.stages == 0 {
                0
            } else {
                self.job.stages_done + 1
            };
            let error = JobError {
                code: failure.code,
                message: failure.message(),
                stage,
            };
            self.job.error = Some(error.clone());
            self.push(now, Fact::JobFailed { error });
        }
    }
}

/// The failure of a caller whose session's last job has not ended.
#[must_use]
pub fn session_busy(open: &Job) -> Failure {
    let session = open.session_id.as_ref().map_or("", SessionId::as_str);
    Failure::new(
        Code::SessionBusy,
        format!(
            "the session {session} is busy with the job {}, which is {}",
            open.job_id, open.status
        ),
    )
}

/// The failure of a caller that asks for a job which is not there.
#[must_use]
pub fn unknown_job(job: &JobId) -> Failure {
    Failure::new(Code::InvalidRequest, format!("there is no job {job}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::article::Bucket;

    fn object(key: &str) -> ObjectRef {
        ObjectRef {
            bucket: Bucket::Articles,
            key: key.into(),
            version: None,
            size: 1,
        }
    }

    fn new_job() -> NewJob {
        NewJob {
            job_id: JobId::new("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap(),
            project_id: ProjectId::new("news").unwrap(),
            batch: BatchId::new("monday").unwrap(),
            lane: Lane::Bulk,
            article: Article::new("a.txt", object("inbox/news/monday/a.txt")),
            session_id: None,
            fresh: false,
            retry_of: None,
            pipeline: None,
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_millis(1_795_395_600_000)
    }

    #[test]
    fn a_project_without_cards_fails_the_job_and_keeps_the_article() {
        let change = Job::accept(
            new_job(),
            Err(Failure::new(Code::NoActiveCards, "news has no active card")),
            now(),
        );
        assert_eq!(change.job.status, JobStatus::Failed);
        assert_eq!(change.job.error.as_ref().unwrap().code, Code::NoActiveCards);
        let facts: Vec<_> = change
            .events
            .iter()
            .map(|event| (event.number, event.fact.name()))
            .collect();
        assert_eq!(facts, [(1, "job.accepted"), (2, "job.failed")]);
    }

    #[test]
    fn versions_are_event_numbers_and_have_no_holes() {
        let pipeline = PipelineRevision {
            hash: "h".into(),
            project_id: ProjectId::new("news").unwrap(),
            cards: vec![crate::pipeline::PipelineCard {
                prompt_id: PromptId::new("facts").unwrap(),
                revision: 1,
            }],
            settings: crate::project::Settings::default(),
        };
        let accepted = Job::accept(new_job(), Ok(&pipeline), now());
        let started = accepted
            .job
            .start(object("a"), ArticleMeta::default(), &pipeline, now());
        assert_eq!(started.expected_version, accepted.job.version);
        let numbers: Vec<_> = accepted
            .events
            .iter()
            .chain(&started.events)
            .map(|event| event.number)
            .collect();
        assert_eq!(numbers, [1, 2, 3]);
        let cancelled = started.job.cancel("jo", now());
        assert_eq!(
            (cancelled.job.status, cancelled.job.version),
            (JobStatus::Cancelled, 4)
        );
    }
}
