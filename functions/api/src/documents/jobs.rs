use std::sync::Arc;

use bedrock_diy_core::{
    BatchId, JobId, ProjectId, PromptId, SessionId,
    article::Article,
    event::JobError,
    intake::Lane,
    job::{Job, JobStatus},
    model::Usage,
    stage::StageRecord,
    time::Timestamp,
};
use serde::Serialize;
use utoipa::ToSchema;

/// A job in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobSummary {
    #[schema(value_type = String)]
    job_id: JobId,
    #[schema(value_type = String)]
    project_id: ProjectId,
    #[schema(value_type = String)]
    batch: BatchId,
    lane: Lane,
    status: JobStatus,
    article: ArticleDocument,
    /// How many stages it passes; 0 before its article is read.
    stages: u32,
    /// How many it has passed.
    stages_done: u32,
    /// The conversation that it belongs to.
    #[schema(value_type = Option<String>, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<SessionId>,
    /// The job that this one tries or runs again.
    #[schema(value_type = Option<String>, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_of: Option<JobId>,
    /// Tokens paid for.
    usage: Usage,
    /// Estimated US dollars; not there where a model has no price.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    /// Stages whose answer was paid for before.
    memo_hits: u32,
    /// Why it failed.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JobError>,
    #[schema(value_type = String, format = DateTime)]
    accepted_at: Timestamp,
    /// When its article was read.
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    /// Since when it waits for model quota.
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_since: Option<Timestamp>,
    /// The number of its last event: its `ETag`.
    version: u64,
    links: JobLinks,
}

/// A job with its stages.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub(crate) struct JobDocument<'a> {
    #[serde(flatten)]
    job: JobSummary,
    /// The hash of the pipeline revision that it runs.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline: Option<String>,
    /// Its finished stages, in order.
    #[serde(rename = "finishedStages")]
    finished: Vec<StageDocument<'a>>,
}

/// A job's article.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Article)]
pub(crate) struct ArticleDocument {
    /// What its owner calls it.
    name: String,
    /// The size of the file as it came.
    bytes: u64,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// A BCP 47 tag.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
}

/// A finished stage.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Stage)]
pub(crate) struct StageDocument<'a> {
    /// Counted from 1.
    stage: u32,
    #[schema(value_type = String)]
    prompt_id: &'a PromptId,
    /// The card's title in that revision.
    title: &'a str,
    /// The card's revision.
    revision: u32,
    model: &'a str,
    /// Whether the answer was paid for before.
    memo_hit: bool,
    /// Model calls made.
    calls: u32,
    /// Tokens paid for.
    usage: Usage,
    /// Estimated US dollars.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    /// How long the model took, in milliseconds.
    model_ms: u64,
    #[schema(value_type = String, format = DateTime)]
    completed_at: Timestamp,
    /// Where its output is.
    output: String,
}

/// Where a job leads.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobLinks {
    #[serde(rename = "self")]
    this: String,
    /// Its outputs.
    results: String,
    /// What happened to it.
    events: String,
    project: String,
    batch: String,
}

impl From<Job> for JobSummary {
    fn from(job: Job) -> Self {
        let links = JobLinks {
            this: place(&job.job_id),
            results: format!("{}/results", place(&job.job_id)),
            events: format!("{}/events", place(&job.job_id)),
            project: format!("/api/projects/{}", job.project_id),
            batch: format!(
                "/api/projects/{}/batches/{}",
                job.project_id,
                segment(job.batch.as_str())
            ),
        };
        Self {
            links,
            job_id: job.job_id,
            project_id: job.project_id,
            batch: job.batch,
            lane: job.lane,
            status: job.status,
            article: Arc::unwrap_or_clone(job.article).into(),
            stages: job.stages,
            stages_done: job.stages_done,
            session_id: job.session_id,
            retry_of: job.retry_of,
            usage: job.usage,
            cost: job.cost,
            memo_hits: job.memo_hits,
            error: job.error,
            accepted_at: job.accepted_at,
            started_at: job.started_at,
            ended_at: job.ended_at,
            waiting_since: job.waiting_since,
            version: job.version,
        }
    }
}

impl<'a> JobDocument<'a> {
    /// The job with its finished stages.
    pub(crate) fn of(mut job: Job, stages: &'a [StageRecord]) -> Self {
        let place = place(&job.job_id);
        Self {
            pipeline: job.pipeline.take(),
            finished: stages
                .iter()
                .map(|stage| StageDocument::of(stage, &place))
                .collect(),
            job: job.into(),
        }
    }
}

impl<'a> StageDocument<'a> {
    fn of(stage: &'a StageRecord, job: &str) -> Self {
        Self {
            output: format!("{job}/results/{}", stage.stage),
            stage: stage.stage,
            prompt_id: &stage.prompt_id,
            title: &stage.title,
            revision: stage.revision,
            model: &stage.model,
            memo_hit: stage.memo_hit,
            calls: stage.calls,
            usage: stage.usage,
            cost: stage.cost,
            model_ms: stage.model_ms,
            completed_at: stage.completed_at,
        }
    }
}

impl From<Article> for ArticleDocument {
    fn from(article: Article) -> Self {
        Self {
            name: article.name,
            bytes: article.source.size,
            title: article.meta.title,
            language: article.meta.language,
            media_type: article.meta.media_type,
        }
    }
}

/// Where a job is.
pub(crate) fn place(job: &JobId) -> String {
    format!("/api/jobs/{job}")
}

/// A name that people chose as a segment of a path (RFC 3986, section 3.3).
pub(crate) fn segment(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}
