//! What can be asked of jobs and their results.

use std::path::PathBuf;

use bedrock_diy_core::{BatchId, ProjectId};
use clap::{Args, Subcommand, ValueEnum, ValueHint};

/// What can be done with jobs.
#[derive(Debug, Subcommand)]
pub enum Jobs {
    /// Lists jobs, the newest first.
    List(ListJobs),
    /// Shows one job with its stages.
    Show(OneJob),
    /// Shows what happened to one job.
    Events(OneJob),
    /// Tries failed or cancelled jobs again, from the stage that failed on
    ///
    /// A retry is a new job, whose id is printed; `bedrock-diy serve` works it, with the cards as they
    /// are now: what has not changed comes from the memo. All failed ones:
    ///
    ///   bedrock-diy jobs list --all --status failed --json | jq -r .jobId | xargs bedrock-diy jobs retry
    #[command(verbatim_doc_comment)]
    Retry(SomeJobs),
    /// Shows messages that could not be handled and why, the newest first.
    ///
    /// A message is what brings an article in. It is given up when it can't be of use however often it
    /// is handled; what it was for has a failed job where one could be named.
    DeadLetters(DeadLetters),
    /// Cancels jobs that have not ended, also while `run` or `serve` works them.
    Cancel(SomeJobs),
}

/// Arguments of `jobs list`.
#[derive(Debug, Args)]
pub struct ListJobs {
    /// Only of this project. An API lists the jobs of one project.
    #[arg(long)]
    pub project: Option<ProjectId>,
    /// Only of this batch.
    #[arg(long)]
    pub batch: Option<BatchId>,
    /// Only in this status.
    #[arg(long, value_enum, ignore_case = true)]
    pub status: Option<Status>,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub limit: usize,
    /// All of them.
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
    /// Only those that were accepted before this job: the last one of the list before.
    #[arg(long, value_name = "JOB")]
    pub before: Option<String>,
    /// Prints JSON, one document a line.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `jobs dead-letters`.
#[derive(Debug, Args)]
pub struct DeadLetters {
    /// At most so many.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub limit: usize,
    /// Prints JSON, one document a line.
    #[arg(long)]
    pub json: bool,
}

/// A job's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Status {
    /// Known, not begun.
    Accepted,
    /// Its stages run.
    Running,
    /// Every stage has a good output.
    Succeeded,
    /// It could not go on.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

/// A job.
#[derive(Debug, Args)]
pub struct OneJob {
    /// The job's id, or as much of its beginning as no other has.
    pub job: String,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `follow`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("followed").required(true).args(["job", "batch"]))]
pub struct Follow {
    /// The job's id, or as much of its beginning as no other has.
    #[arg(conflicts_with = "project")]
    pub job: Option<String>,
    /// Follows all jobs of this batch instead.
    #[arg(long, requires = "project", value_name = "NAME")]
    pub batch: Option<BatchId>,
    /// The batch's project.
    #[arg(long, requires = "batch", value_name = "ID")]
    pub project: Option<ProjectId>,
    /// Prints JSON, one document a line: a job's events; of a batch, each job when it has ended.
    #[arg(long)]
    pub json: bool,
}

/// Some jobs.
#[derive(Debug, Args)]
pub struct SomeJobs {
    /// The jobs' ids, or as much of their beginnings as no other has.
    #[arg(required = true)]
    pub jobs: Vec<String>,
}

/// What can be done with results.
#[derive(Debug, Subcommand)]
pub enum Results {
    /// Writes the results of finished jobs as one table: a row a job, a column a card.
    ///
    /// A card with an output schema has a column more for each of its fields: CARD.FIELD. Tokens, cost in
    /// US dollars and the job's id stand in the last columns. The newest jobs come first. A job that was retried is told by its retry. An article that ran again
    /// under changed cards has a row for each time; --batch picks one run.
    Export(Export),
}

/// Arguments of `results export`.
#[derive(Debug, Args)]
pub struct Export {
    /// Of this project.
    #[arg(long)]
    pub project: ProjectId,
    /// Only of this batch. An API exports the results of one batch.
    #[arg(long)]
    pub batch: Option<BatchId>,
    /// The table's format.
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    pub format: Format,
    /// The file to write [default: standard output].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
}

/// A table's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Comma-separated values, for spreadsheets.
    Csv,
    /// One JSON document a line, for programs.
    Jsonl,
    /// Apache Parquet, for data tools; to a file or another program.
    Parquet,
}
