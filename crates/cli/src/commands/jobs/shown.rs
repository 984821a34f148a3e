//! Jobs as they are shown, wherever they come from.

use std::time::Duration;

use bedrock_diy_core::{
    JobId,
    error::Result,
    job::{Job, JobStatus},
    stage::StageRecord,
    time::Timestamp,
};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};

use crate::{
    remote::{JobDocument, StageDocument},
    terminal::{plain, print},
    text::{dollars, duration, grouped, shortened},
};

/// As much of an id as tells a million jobs apart. The whole would take a fifth of the table.
const SHORT_ID: usize = 12;

/// What is shown of a job.
pub(super) struct Shown<'a> {
    pub(super) job_id: &'a JobId,
    project: &'a str,
    batch: &'a str,
    article: &'a str,
    bytes: u64,
    status: JobStatus,
    /// Its code, and what it says.
    error: Option<(&'a str, &'a str)>,
    stages: u32,
    stages_done: u32,
    tokens: u64,
    cost: Option<f64>,
    retry_of: Option<&'a JobId>,
    accepted_at: Timestamp,
    ended_at: Option<Timestamp>,
}

impl<'a> From<&'a Job> for Shown<'a> {
    fn from(job: &'a Job) -> Self {
        Self {
            job_id: &job.job_id,
            project: job.project_id.as_str(),
            batch: job.batch.as_str(),
            article: &job.article.name,
            bytes: job.article.source.size,
            status: job.status,
            error: job
                .error
                .as_ref()
                .map(|error| (error.code.as_str(), error.message.as_str())),
            stages: job.stages,
            stages_done: job.stages_done,
            tokens: job.usage.total(),
            cost: job.cost,
            retry_of: job.retry_of.as_ref(),
            accepted_at: job.accepted_at,
            ended_at: job.ended_at,
        }
    }
}

impl<'a> From<&'a JobDocument> for Shown<'a> {
    fn from(job: &'a JobDocument) -> Self {
        Self {
            job_id: &job.job_id,
            project: job.project_id.as_str(),
            batch: job.batch.as_str(),
            article: &job.article.name,
            bytes: job.article.bytes,
            status: job.status,
            error: job
                .error
                .as_ref()
                .map(|error| (error.code.as_str(), error.message.as_str())),
            stages: job.stages,
            stages_done: job.stages_done,
            tokens: job.usage.total(),
            cost: job.cost,
            retry_of: job.retry_of.as_ref(),
            accepted_at: job.accepted_at,
            ended_at: job.ended_at,
        }
    }
}

/// A table of jobs, without a row.
pub(super) fn list_table() -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "Job",
        "Article",
        "Project",
        "Status",
        "Stages",
        "Tokens",
        "Cost",
        "Accepted (UTC)",
    ]);
    table
}

impl Shown<'_> {
    /// Its row.
    pub(super) fn row(&self) -> [String; 8] {
        let status = self.error.map_or_else(
            || self.status.to_string(),
            |(code, _)| format!("{} {}", self.status, plain(code)),
        );
        // How many stages it has is known once it is planned.
        let stages = match self.stages {
            0 => "-".to_owned(),
            stages => format!("{}/{stages}", self.stages_done),
        };
        let accepted = self.accepted_at.to_string().replace('T', " ");
        [
            self.job_id.as_str().chars().take(SHORT_ID).collect(),
            shortened(&plain(self.article), 28),
            self.project.to_owned(),
            status,
            stages,
            grouped(self.tokens),
            dollars(self.cost),
            accepted.chars().take(16).collect(),
        ]
    }

    /// Prints all of it; `later` is the job that tries it again.
    pub(super) fn print(&self, later: Option<&JobId>) -> Result<()> {
        print(format_args!("Job      {}", self.job_id))?;
        print(format_args!(
            "Article  {} ({} bytes)",
            plain(self.article),
            grouped(self.bytes)
        ))?;
        print(format_args!(
            "Project  {}, batch {}",
            self.project,
            plain(self.batch)
        ))?;
        print(format_args!("Status   {}", self.status))?;
        if let Some((code, message)) = self.error {
            print(format_args!("         {}: {}", plain(code), plain(message)))?;
        }
        if let Some(earlier) = self.retry_of {
            print(format_args!("Retry of {earlier}"))?;
        }
        if let Some(later) = later {
            print(format_args!("Retried  as {later}"))?;
        }
        if let Some(ended) = self.ended_at {
            let time = Duration::from_millis(ended.millis_since(self.accepted_at));
            print(format_args!(
                "Time     {} (accepted {})",
                duration(time),
                self.accepted_at
            ))?;
        }
        print(format_args!(
            "Cost     {}, {} tokens",
            dollars(self.cost),
            grouped(self.tokens)
        ))
    }
}

/// What is shown of a finished stage.
pub(super) struct ShownStage<'a> {
    stage: u32,
    prompt: &'a str,
    revision: u32,
    model: &'a str,
    /// Nothing where it came from the memo.
    tokens: Option<u64>,
    cost: Option<f64>,
    model_ms: u64,
    output: &'a str,
}

impl<'a> From<&'a StageRecord> for ShownStage<'a> {
    fn from(stage: &'a StageRecord) -> Self {
        Self {
            stage: stage.stage,
            prompt: stage.prompt_id.as_str(),
            revision: stage.revision,
            model: &stage.model,
            tokens: (!stage.memo_hit).then(|| stage.usage.total()),
            cost: stage.cost,
            model_ms: stage.model_ms,
            output: &stage.output.key,
        }
    }
}

impl<'a> From<&'a StageDocument> for ShownStage<'a> {
    fn from(stage: &'a StageDocument) -> Self {
        Self {
            stage: stage.stage,
            prompt: stage.prompt_id.as_str(),
            revision: stage.revision,
            model: &stage.model,
            tokens: (!stage.memo_hit).then(|| stage.usage.total()),
            cost: stage.cost,
            model_ms: stage.model_ms,
            output: &stage.output,
        }
    }
}

/// Prints the table of a job's finished stages, where it has any.
pub(super) fn print_stages<'a>(stages: impl Iterator<Item = ShownStage<'a>>) -> Result<()> {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "Stage",
        "Card",
        "Revision",
        "Model",
        "Tokens",
        "Cost",
        "Model time",
        "Output",
    ]);
    for stage in stages {
        table.add_row([
            stage.stage.to_string(),
            stage.prompt.to_owned(),
            stage.revision.to_string(),
            plain(stage.model).into_owned(),
            stage.tokens.map_or_else(|| "from the memo".to_owned(), grouped),
            dollars(stage.cost),
            duration(Duration::from_millis(stage.model_ms)),
            plain(stage.output).into_owned(),
        ]);
    }
    if table.is_empty() { Ok(()) } else { print(table) }
}
