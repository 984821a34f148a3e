//! What came of one article.

use bedrock_diy_core::{
    Code, Failure, JobId, PromptId,
    error::Result,
    job::{Job, JobStatus},
    ports::{Jobs, Objects},
    stage::StageRecord,
};

/// What came of one article.
#[derive(Debug, Clone)]
pub struct Row {
    /// What its owner calls it.
    pub article: String,
    /// Its job; none where it never became one.
    pub job_id: Option<JobId>,
    /// How it ended; `FAILED` too where it never became a job.
    pub status: JobStatus,
    /// Why it failed.
    pub error: Option<RowError>,
    /// Outputs in the order of the stages.
    pub outputs: Vec<Output>,
    /// Tokens paid for.
    pub tokens: u64,
    /// Estimated US dollars.
    pub cost: Option<f64>,
}

/// Why an article failed.
#[derive(Debug, Clone)]
pub struct RowError {
    /// The stable name.
    pub code: Code,
    /// What happened and what to do.
    pub message: String,
}

/// A stage's output.
#[derive(Debug, Clone)]
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
    ///
    /// Fails as the ports do, and with [`Code::InternalError`] where an output is no text.
    pub async fn of_job(jobs: &dyn Jobs, objects: &dyn Objects, job: &Job) -> Result<Self> {
        let mut outputs = Vec::new();
        for stage in jobs.stages(&job.job_id).await?.iter() {
            outputs.push(Output {
                text: text(objects, stage).await?,
                stage: stage.stage,
                prompt_id: stage.prompt_id.clone(),
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
    pub fn of_failure(article: &str, failure: &Failure) -> Self {
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

    /// The output of a card; none where its stage is not done.
    pub(crate) fn output(&self, card: &PromptId) -> Option<&str> {
        self.outputs
            .iter()
            .find(|output| output.prompt_id == *card)
            .map(|output| output.text.as_str())
    }
}

async fn text(objects: &dyn Objects, stage: &StageRecord) -> Result<String> {
    String::from_utf8(objects.get(&stage.output).await?).map_err(|_| {
        Failure::new(
            Code::InternalError,
            format!("{} was stored as text and is none", stage.output.key),
        )
    })
}
