//! Finish: closes a job, well or badly, once, and says so.

use std::sync::Arc;

use bedrock_diy_core::{
    Code, Failure, JobId, PromptId,
    article::{self, Bucket, ObjectRef},
    cursor::{CaughtError, Cursor},
    error::Result,
    history::Exchange,
    job::{Change, Job},
    ports::{Applied, Bus, Clock, Jobs, Objects},
    stage::StageRecord,
};
use serde::{Deserialize, Serialize};

/// What closing a job needs.
#[derive(Clone)]
pub struct Finish {
    /// Jobs.
    pub jobs: Arc<dyn Jobs>,
    /// Texts.
    pub objects: Arc<dyn Objects>,
    /// Who is told.
    pub bus: Arc<dyn Bus>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// An execution that ended, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its name: the job's id.
    pub job_id: JobId,
    /// What was wrong.
    pub error: CaughtError,
}

/// What the function is sent on AWS.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Request {
    /// By the state machine.
    Cursor(Cursor),
    /// By the rule on the executions' status changes.
    StatusChange(StatusChange),
}

/// An execution's status change as EventBridge tells of it ("Step Functions Execution Status Change",
/// AWS Step Functions Developer Guide, 2026-11).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StatusChange {
    /// What changed.
    pub detail: StatusChangeDetail,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StatusChangeDetail {
    /// The execution's name: the job's id.
    pub name: JobId,
    /// `FAILED`, `TIMED_OUT` or `ABORTED`; others are no concern of ours.
    pub status: String,
    /// The error's name, where it failed.
    #[serde(default)]
    pub error: Option<String>,
    /// Why, where it failed or was stopped.
    #[serde(default)]
    pub cause: Option<String>,
}

impl StatusChangeDetail {
    /// The execution's end; none where it goes on or went well.
    fn ended(self) -> Option<Ended> {
        let (name, otherwise) = match self.status.as_str() {
            "FAILED" => (self.error, "the execution failed"),
            "TIMED_OUT" => (Some("States.Timeout".to_owned()), "the execution took too long"),
            "ABORTED" => (
                Some(Code::Cancelled.as_str().to_owned()),
                "the execution was stopped",
            ),
            _ => return None,
        };
        let cause = self.cause.filter(|cause| !cause.is_empty());
        Some(Ended {
            job_id: self.name,
            error: CaughtError {
                error: name.unwrap_or_else(|| Code::InternalError.as_str().to_owned()),
                cause: cause.unwrap_or_else(|| otherwise.to_owned()),
            },
        })
    }
}

/// A job's result document: what it passed through and where every output lies.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultDocument<'a> {
    /// The job as it was when its last stage was done.
    #[serde(flatten)]
    pub job: &'a Job,
    /// Its stages.
    pub results: &'a [StageRecord],
}

impl Finish {
    /// Closes the cursor's job: as FAILED where the cursor carries an error, else as SUCCEEDED. A job
    /// that is closed already stays as it is, and is only told about again.
    pub async fn handle(&self, cursor: Cursor) -> Result<Cursor> {
        let mut job = self.job(&cursor.job_id).await?;
        let mut closed = None;
        while !job.status.is_terminal() {
            let change = match &cursor.error {
                Some(caught) => job.fail(&caught.failure(), self.clock.now()),
                None => self.success(&job).await?,
            };
            job = match self.jobs.apply(change).await? {
                Applied::Done(job, events) => {
                    log_closed(&job);
                    closed = Some(events);
                    job
                }
                Applied::Stale(job) => job,
            };
        }
        let events = match closed {
            Some(events) => events,
            // Whoever closed it may have died before it said so.
            None => self.jobs.events(&job.job_id, job.version - 1, 1).await?,
        };
        self.bus.publish(&events).await?;
        Ok(Cursor {
            error: cursor.error,
            ..Cursor::of(&job)
        })
    }

    /// Handles what the function is sent on AWS. The rule wants no answer.
    pub async fn answer(&self, request: Request) -> Result<Option<Cursor>> {
        match request {
            Request::Cursor(cursor) => self.handle(cursor).await.map(Some),
            Request::StatusChange(change) => {
                if let Some(ended) = change.detail.ended() {
                    self.close(ended).await?;
                }
                Ok(None)
            }
        }
    }

    /// Closes the job of an execution that ended without doing so: no job stays RUNNING for ever. A job
    /// that is not there, or is closed, stays as it is.
    pub async fn close(&self, ended: Ended) -> Result<()> {
        let job = self.jobs.read(&ended.job_id).await?;
        // The usual way: the state machine's own states were there before.
        if job.is_none_or(|job| job.status.is_terminal()) {
            return Ok(());
        }
        let cursor = Cursor {
            error: Some(ended.error),
            ..Cursor::start(ended.job_id)
        };
        self.handle(cursor).await.map(|_| ())
    }

    async fn success(&self, job: &Job) -> Result<Change> {
        if job.stages == 0 || job.stages_done < job.stages {
            let what = format!("{} of {} stages are done", job.stages_done, job.stages);
            return Ok(job.fail(&Failure::new(Code::InternalError, what), self.clock.now()));
        }
        let stages = self.jobs.stages(&job.job_id).await?;
        let document = serde_json::to_string_pretty(&ResultDocument {
            job,
            results: &stages,
        })
        .map_err(|error| {
            Failure::new(
                Code::InternalError,
                format!("the result can't be written: {error}"),
            )
        })?;
        let result = ObjectRef {
            bucket: Bucket::Results,
            key: article::result_key(&job.project_id, &job.job_id),
            version: None,
            size: document.len() as u64,
        };
        let exchange = self.exchange(job, &stages).await?;
        Ok(job.succeed((result, document), exchange, self.clock.now()))
    }

    /// What the job's session is to remember.
    async fn exchange(&self, job: &Job, stages: &[StageRecord]) -> Result<Option<Exchange>> {
        let (Some(session_id), Some(text), Some(last)) =
            (&job.session_id, &job.article.text, &job.last_output)
        else {
            return Ok(None);
        };
        let now = self.clock.now();
        Ok(Some(Exchange {
            session_id: session_id.clone(),
            timestamp: now,
            project_id: job.project_id.clone(),
            user_input: self.text(text).await?,
            assistant_response: self.text(last).await?,
            prompt_cards_used: stages
                .iter()
                .map(|stage| stage.prompt_id.clone())
                .collect::<Vec<PromptId>>(),
            processing_time: now.millis_since(job.accepted_at),
        }))
    }

    async fn text(&self, object: &ObjectRef) -> Result<String> {
        String::from_utf8(self.objects.get(object).await?).map_err(|_| {
            Failure::new(
                Code::InternalError,
                format!("{} was stored as text and is none", object.key),
            )
        })
    }

    async fn job(&self, job: &JobId) -> Result<Job> {
        self.jobs
            .read(job)
            .await?
            .ok_or_else(|| Failure::new(Code::InternalError, format!("the job {job} is not there")))
    }
}

/// Each failure is logged once, here, where the job is closed.
fn log_closed(job: &Job) {
    let duration_ms = job.ended_at.unwrap_or_default().millis_since(job.accepted_at);
    match &job.error {
        Some(error) => {
            tracing::warn!(job_id = %job.job_id, project_id = %job.project_id, stage = error.stage, code = %error.code, duration_ms, "job failed");
        }
        None => {
            tracing::info!(job_id = %job.job_id, project_id = %job.project_id, tokens = job.usage.total(), memo_hits = job.memo_hits, duration_ms, "job succeeded");
        }
    }
}
