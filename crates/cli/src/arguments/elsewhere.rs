//! What can be asked of an API that is served elsewhere.

use std::path::PathBuf;

use bedrock_diy_core::{BatchId, ProjectId, SessionId};
use clap::{Args, Subcommand, ValueEnum, ValueHint};

/// Which API is asked, and with whose token.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "An API")]
pub struct Elsewhere {
    /// The API that is asked: everything before its /api, such as
    /// `https://abcdef.execute-api.eu-central-1.amazonaws.com/v1`, or `http://127.0.0.1:8080` for `bedrock-diy serve` on
    /// this machine. Without it, jobs, follow and results look into the data folder.
    #[arg(long, global = true, env = "BEDROCK_DIY_ENDPOINT", value_name = "URL", value_hint = ValueHint::Url)]
    pub endpoint: Option<String>,
    /// The profile of config.toml that says which API is asked and how tokens are had, instead of --endpoint.
    #[arg(long, global = true, env = "BEDROCK_DIY_PROFILE", value_name = "NAME")]
    pub profile: Option<String>,
    /// A file with the token to show, for its owner alone. The variable `BEDROCK_DIY_TOKEN` may hold the token itself. For
    /// an API on this machine neither is needed.
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub token_file: Option<PathBuf>,
}

/// What can be done with projects.
#[derive(Debug, Subcommand)]
pub enum Projects {
    /// Lists the projects that you own or are a member of, the newest first.
    List(ListProjects),
    /// Shows one project with its prompt cards.
    Show(OneProject),
    /// Creates a project, which is yours then, and prints its id.
    ///
    /// It has no cards yet. `bedrock-diy cards push DIR` makes a project from files, cards and all.
    Create(CreateProject),
    /// Deletes a project that runs no jobs. Its id is not used twice.
    Delete(DeleteProject),
}

/// Arguments of `projects list`.
#[derive(Debug, Args)]
pub struct ListProjects {
    /// All projects instead of yours: for administrators.
    #[arg(long)]
    pub all: bool,
    /// Prints JSON, one document a line.
    #[arg(long)]
    pub json: bool,
}

/// A project.
#[derive(Debug, Args)]
pub struct OneProject {
    /// The project's id.
    pub project: ProjectId,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `projects create`.
#[derive(Debug, Args)]
pub struct CreateProject {
    /// Its name for people.
    pub name: String,
    /// Its id [default: made from the name].
    #[arg(long)]
    pub id: Option<ProjectId>,
    /// What it is for.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub description: String,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `projects delete`.
#[derive(Debug, Args)]
pub struct DeleteProject {
    /// The project's id.
    pub project: ProjectId,
    /// Does not ask.
    #[arg(long, short)]
    pub yes: bool,
}

/// What can be done with a project's files and the API's project.
#[derive(Debug, Subcommand)]
pub enum Cards {
    /// Makes the API's project what the folder says.
    ///
    /// Shows what would change, and asks. A project that is not there is created. A card whose file has changed gets a
    /// new revision; one whose file is gone is deleted, which takes nothing from jobs that were accepted with it. What
    /// somebody else has changed since your last push or pull is told and left as it is.
    Push(PushCards),
    /// Makes the folder what the API's project is.
    ///
    /// Files that say the same already stay as they are, with their comments. Files with changes that were not pushed
    /// are told and left alone.
    Pull(PullCards),
    /// Shows what a push would change, and changes nothing.
    Diff(DiffCards),
}

/// Arguments of `cards push`.
#[derive(Debug, Args)]
pub struct PushCards {
    /// The project's folder, as `bedrock-diy init` writes one.
    #[arg(value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// Why, for whoever reads the cards' revisions.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    pub note: String,
    /// Does not ask. Needed where nobody sits at a terminal.
    #[arg(long, short)]
    pub yes: bool,
    /// Also over what somebody else has changed since your last push or pull.
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `cards pull`.
#[derive(Debug, Args)]
pub struct PullCards {
    /// The project's folder; it need not exist.
    #[arg(value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// The project [default: the one that the folder is of].
    #[arg(long)]
    pub project: Option<ProjectId>,
    /// Also over changes that were not pushed.
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `cards diff`.
#[derive(Debug, Args)]
pub struct DiffCards {
    /// The project's folder.
    #[arg(value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
}

/// Arguments of `submit`.
#[derive(Debug, Args)]
pub struct Submit {
    /// Articles: files, or folders with files in them (txt, md, html, pdf, docx, json, jsonl).
    #[arg(required = true, value_name = "FILES")]
    pub files: Vec<PathBuf>,
    /// The project whose cards they pass.
    #[arg(long, value_name = "ID")]
    pub project: ProjectId,
    /// The batch that their jobs are listed in.
    #[arg(long, default_value = "api")]
    pub batch: BatchId,
    /// The chat conversation that they belong to. Only for text, Markdown and HTML of up to 5 MB.
    #[arg(long, value_name = "ID")]
    pub session: Option<SessionId>,
    /// Whether somebody waits for them. Files that are uploaded stand behind others either way.
    #[arg(long, value_enum, default_value_t = SubmitLane::Bulk)]
    pub lane: SubmitLane,
    /// Waits until each job has ended.
    #[arg(long)]
    pub wait: bool,
    /// Shows each job's stages while they run, one file after the other: outputs on standard output, everything about
    /// them on standard error.
    #[arg(long, conflicts_with = "wait")]
    pub follow: bool,
    /// Prints JSON, one document a line.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `chat`.
#[derive(Debug, Args)]
pub struct Chat {
    /// The project whose cards answer.
    #[arg(long, value_name = "ID")]
    pub project: ProjectId,
    /// The session that is gone on with [default: a new one].
    #[arg(long, value_name = "ID")]
    pub session: Option<SessionId>,
}

/// Where articles wait for their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SubmitLane {
    /// Somebody waits for them.
    Live,
    /// They can stand behind others.
    Bulk,
}
