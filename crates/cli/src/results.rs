//! Results: a row an article, a column a card, and a folder an article.

mod folders;
mod table;

use bedrock_diy_core::{
    Code, JobId, PromptId,
    article::ObjectRef,
    error::Result,
    job::{Job, JobStatus},
    ports::{Jobs, Objects},
    stage::StageRecord,
};
use serde::Serialize;

pub use folders::Folders;
pub use table::{CsvTable, JsonlTable};

use crate::machine::Machine;

/// What came of one article.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// What its owner calls it.
    pub article: String,
    /// Its job; none where it never became one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// How it ended; `FAILED` too where it never became a job.
    pub status: JobStatus,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<RowError>,
    /// Outputs in the order of the stages.
    pub outputs: Vec<Output>,
    /// Tokens paid for.
    pub tokens: u64,
    /// Estimated US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
}

/// Why an article failed.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RowError {
    /// The stable name.
    pub code: Code,
    /// What happened and what to do.
    pub message: String,
}

/// A stage's output.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// Its number, counted from 1.
    pub stage: u32,
    /// The card.
    pub prompt_id: PromptId,
    /// The text.
    pub text: String,
}

impl Row {
    /// The row of a job, with its outputs.
    pub async fn of_job(machine: &Machine, job: &Job) -> Result<Self> {
        let mut outputs = Vec::new();
        for stage in machine.jobs.stages(&job.job_id).await? {
            outputs.push(Output {
                text: text(machine, &stage).await?,
                stage: stage.stage,
                prompt_id: stage.prompt_id,
            });
        }
        Ok(Self {
            article: job.article.name.clone(),
            job_id: Some(job.job_id.clone()),
            status: job.status,
            error: job.error.as_ref().map(|error| RowError {
                code: error.code,
                message: error.message.clone(),
            }),
            outputs,
            tokens: job.usage.total(),
            cost: job.cost,
        })
    }

    /// The row of an article that is submitted and not accepted yet.
    #[must_use]
    pub fn waiting(job: &JobId) -> Self {
        Self {
            article: String::new(),
            job_id: Some(job.clone()),
            status: JobStatus::Accepted,
            error: None,
            outputs: Vec::new(),
            tokens: 0,
            cost: None,
        }
    }

    /// The row of something that never became a job.
    #[must_use]
    pub fn of_failure(article: &str, failure: &bedrock_diy_core::Failure) -> Self {
        Self {
            article: article.to_owned(),
            job_id: None,
            status: JobStatus::Failed,
            error: Some(RowError {
                code: failure.code,
                message: failure.message(),
            }),
            outputs: Vec::new(),
            tokens: 0,
            cost: None,
        }
    }
}

async fn text(machine: &Machine, stage: &StageRecord) -> Result<String> {
    let output: &ObjectRef = &stage.output;
    String::from_utf8(machine.objects.get(output).await?).map_err(|_| {
        bedrock_diy_core::Failure::new(
            Code::InternalError,
            format!("{} was stored as text and is none", output.key),
        )
    })
}
