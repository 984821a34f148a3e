//! What can be typed.

mod elsewhere;
mod jobs;
mod webhooks;

use std::{ffi::OsStr, net::SocketAddr, path::PathBuf};

use clap::{
    Args, Command as ClapCommand, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint,
    builder::Resettable,
};

pub use self::{
    elsewhere::{
        Cards, Chat, CreateProject, DeleteProject, DiffCards, Elsewhere, ListProjects, OneProject, Projects,
        PullCards, PushCards, Submit, SubmitLane,
    },
    jobs::{DeadLetters, Export, Follow, Format, Jobs, ListJobs, OneJob, Results, SomeJobs, Status},
    webhooks::{
        CreateWebhook, DeleteWebhook, ListDeliveries, ListWebhooks, OneWebhook, Redeliver, RotateWebhook,
        Webhooks,
    },
};

/// Runs articles through ordered prompt cards, each once, with results and history kept.
///
/// A project is a folder with a `project.yaml` and prompt cards in `cards/`. Every article passes the
/// cards in order, each working on the one before; every answer is paid for once.
#[derive(Debug, Parser)]
#[command(name = "bedrock-diy", version, after_long_help = AFTER)]
pub struct Arguments {
    /// Where projects, jobs and results are kept [default: the user's data folder].
    #[arg(long, global = true, help_heading = "Everywhere", env = "BEDROCK_DIY_DATA", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub data: Option<PathBuf>,
    /// Your own entries for the model catalogue, in the format of models.toml.
    #[arg(long, global = true, help_heading = "Everywhere", env = "BEDROCK_DIY_MODELS", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub models: Option<PathBuf>,
    /// Which API is asked.
    #[command(flatten)]
    pub elsewhere: Elsewhere,
    /// What is done.
    #[command(subcommand)]
    pub command: Command,
}

impl Arguments {
    /// What was typed, and what environment variables add to it. Says what is wrong, or the help that was asked for,
    /// and ends the program then.
    #[must_use]
    pub fn typed() -> Self {
        let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
        let matches = without(Self::command(), &is_empty).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// The command, asking none of these environment variables. Files of variables have them empty where nothing is
/// meant; an empty text that is typed is meant, and stays.
fn without(command: ClapCommand, is_empty: &dyn Fn(&OsStr) -> bool) -> ClapCommand {
    command
        .mut_args(|argument| {
            if argument.get_env().is_some_and(is_empty) {
                argument.env(Resettable::Reset)
            } else {
                argument
            }
        })
        .mut_subcommands(|command| without(command, is_empty))
}

const AFTER: &str = "\
Try it:
  bedrock-diy init news                          writes a project to start from
  bedrock-diy run articles/ --project news       runs a folder of articles
  bedrock-diy serve --project news               works what is dropped in the data folder's inbox/

And, with an API elsewhere (--endpoint or --profile):
  bedrock-diy cards push news                    makes its project what the folder says
  bedrock-diy submit articles/ --project news    submits a folder of articles

Stopping:
  Ctrl-C lets answers that are being written come to their end, for half a minute at most,
  because they are paid for; nothing new is begun. A second Ctrl-C stops at once. Nothing that
  is done is lost either way.

Which model answers:
  The model that the cards, the project or --model name, on Amazon Bedrock, with the
  credentials that the AWS command line would use. Where none is named, a small demo model on
  this machine, which is free and not good.

Exit codes:
  0    what was asked for is done; of `run`, `submit` (--wait, --follow), `follow` and
       `chat`: every article succeeded
  1    of the same: some article failed; its row says why. The same `run` tries it again, and so
       does `jobs retry`
  2    what was asked for makes no sense (an argument, a project file, no credentials), or the API
       refuses it
  3    the machine is in the way (disk, network, a data folder that is in use or of another
       version), or a fault of bedrock-diy itself
  130  stopped by Ctrl-C or a polite kill; the same command goes on where it stopped

Logs go to standard error; RUST_LOG=info shows them, BEDROCK_DIY_LOG=json makes them JSON.";

const LOGIN: &str = "\
Signs in with the API of --profile, and says as whom

A profile is an entry of config.toml in the user's configuration folder (~/.config/bedrock-diy on
Linux):

  [profile.work]
  endpoint = \"https://abcdef.execute-api.eu-central-1.amazonaws.com/v1\"

with one of these lines, or none for an API on this machine:

  # People, through Amazon Cognito's sign-in page:
  cognito = { domain = \"https://NAME.auth.REGION.amazoncognito.com\", client_id = \"…\" }
  # Machines, by their secret, here or in the variable BEDROCK_DIY_CLIENT_SECRET:
  client_credentials = { domain = \"https://…\", client_id = \"…\", secret_file = \"…\", scopes = [\"bedrock-diy/read\"] }
  # A token from elsewhere:
  token_file = \"…\"
  token_command = [\"pass\", \"show\", \"bedrock-diy\"]

For people, an address is printed: open it in a browser, sign in, and the command goes on. What is
granted is kept in a file for its owner alone, and renewed as long as the issuer allows. Machines
need no login: their commands get a token where they have none.";

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Writes a project to start from: project.yaml and a few cards, with every setting explained.
    Init(Init),
    /// Runs articles through a project's cards and writes the results.
    ///
    /// Each article passes the active cards in order. What has succeeded before is not run again, what
    /// has failed is tried again from the stage that failed on, and an answer that was given before to
    /// the same question is taken from the memo: change card 4 of 5, and only cards 4 and 5 are asked.
    /// What earlier runs of other articles did not finish is left alone; it is cancelled where the cards
    /// have changed since, because no run can go on with it.
    ///
    /// Results are written when the run ends, however it ends: results.csv (for spreadsheets) and
    /// results.jsonl (for programs) have a row an article and a column a card, and one more a field of a
    /// card with an output schema; articles/ has a folder an article with a file a card, or error.txt.
    Run(Run),
    /// Serves the API, and works what is submitted there or dropped in the inbox folder, until it is stopped.
    ///
    /// The API is described at /docs and in /openapi.json. A token for it is made at the first start: the file
    /// `token` in the data folder holds it.
    ///
    /// Drop files into inbox/PROJECT-ID/BATCH/ in the data folder; folders below are fine. A file is
    /// taken when it no longer grows; hidden files and those that end in ~, .part or .crdownload are
    /// left alone. Look at what came of them with `bedrock-diy jobs list`, and write their results
    /// with `bedrock-diy results export`.
    Serve(Serve),
    /// Lists projects of an API, shows one, creates or deletes.
    #[command(subcommand)]
    Projects(Projects),
    /// Brings a project's files and an API's project to the same state.
    ///
    /// The folder is one as `bedrock-diy init` writes it, and is best kept under version control, with the file
    /// .bedrock-diy.json: that notes what was pushed or pulled last, so that changes of others are told from yours.
    #[command(subcommand)]
    Cards(Cards),
    /// Submits articles to an API.
    ///
    /// Text, Markdown and HTML in UTF-8 of up to 5 MB go as they are; everything else is uploaded, and is called by its
    /// name with the beginning of its contents' SHA-256 (report.3f2a9c1d.pdf). The same command again makes no new jobs:
    /// not for a file of the same name and contents in the same batch.
    ///
    /// A session has one job at a time: its files are submitted one after the other, each when the one before has ended.
    Submit(Submit),
    /// Signs in with the API of --profile, and says as whom.
    #[command(long_about = LOGIN)]
    Login,
    /// Forgets the tokens of --profile, and has the issuer take them back.
    Logout,
    /// Lists jobs, shows one, retries or cancels.
    ///
    /// A job is one article under one revision of the project's cards. Wherever a job is named, the
    /// beginning of its id is enough where no other begins so.
    #[command(subcommand)]
    Jobs(Jobs),
    /// Tells what happens to a job, a line an event, until it has ended.
    ///
    /// Begins with what has happened already. Ends with 0 where the job has succeeded, and with 1 where it has not.
    ///
    /// With --batch: a line for each job of the batch that ends, until all have, and how it went all in all. A job that
    /// was retried is told by its retry.
    Follow(Follow),
    /// Talks with a project's cards through an API: a line is a message, and is answered by each stage.
    ///
    /// What was said before in the session is part of what the cards are asked. Ctrl-C cancels what is being answered,
    /// Ctrl-D ends. Outputs go to standard output, everything about them to standard error; where standard input is no
    /// terminal, its lines are the messages.
    Chat(Chat),
    /// Writes results of finished jobs.
    #[command(subcommand)]
    Results(Results),
    /// Lists a project's webhooks, makes and changes them, and shows what was sent.
    ///
    /// A webhook has what happens to a project's jobs posted to an address of yours, signed as Standard Webhooks says
    /// (docs/WEBHOOKS.md is for whoever receives it).
    #[command(subcommand)]
    Webhooks(Webhooks),
    /// Lists the tokens that this machine's API takes, adds and removes some.
    ///
    /// A token is named after whoever has it; projects name their owner and members so. The first one, `local`, is
    /// an administrator's; it is made with the file and kept in the data folder's file `token`.
    #[command(subcommand)]
    Tokens(Tokens),
    /// Lists the models of the catalogue, with prices.
    ///
    /// The catalogue says what each model takes and costs; costs that are shown elsewhere are
    /// estimates made from it. Other Bedrock models work too, without estimates; --models FILE adds
    /// them, or your own prices.
    Models(Models),
    /// Prints a completion script for a shell
    ///
    ///   bash  bedrock-diy completions bash > ~/.local/share/bash-completion/completions/bedrock-diy
    ///   zsh   bedrock-diy completions zsh > a folder of $fpath, as _bedrock-diy
    ///   fish  bedrock-diy completions fish > ~/.config/fish/completions/bedrock-diy.fish
    #[command(verbatim_doc_comment)]
    Completions(Completions),
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// The folder to write; it need not exist.
    #[arg(value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// The project's name [default: the folder's].
    #[arg(long)]
    pub name: Option<String>,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Articles: files, or folders with files in them (txt, md, html, pdf, docx, json, jsonl).
    #[arg(required = true, value_name = "ARTICLES")]
    pub articles: Vec<PathBuf>,
    /// The project's folder.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub project: PathBuf,
    /// Where results are written: results.jsonl, results.csv, and a folder an article.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, default_value = "results")]
    pub out: PathBuf,
    /// Asks the model again, also for what it has answered before. Where such a run was interrupted, the
    /// same command goes on with it.
    #[arg(long)]
    pub fresh: bool,
    /// How progress is shown. Beside answers that are streamed to a terminal, bars are lines.
    #[arg(long, value_enum, default_value_t = Progress::Auto)]
    pub progress: Progress,
    /// Prints every stage's output while the model writes it (best with --concurrency 1).
    #[arg(long)]
    pub stream: bool,
    /// How models are asked.
    #[command(flatten)]
    pub asking: Asking,
}

/// How models are asked.
#[derive(Debug, Clone, Args)]
pub struct Asking {
    /// Model calls in flight at most.
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
    /// The model for all cards: a Bedrock model id or inference profile, or `demo`.
    #[arg(long, env = "BEDROCK_DIY_MODEL", value_name = "ID")]
    pub model: Option<String>,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// Bars on a terminal, lines elsewhere.
    Auto,
    /// Bars.
    Bars,
    /// A line for each finished stage and article.
    Lines,
    /// Nothing but the summary.
    None,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// A project's folder; may be given several times. Projects that were served before are known.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub project: Vec<PathBuf>,
    /// Ends when nothing is left to do, instead of waiting for more. The API is not served then.
    #[arg(long)]
    pub until_idle: bool,
    /// Lets webhooks lead to this machine, too, and by http: for whoever develops a receiver. Otherwise they lead to https
    /// addresses on the public internet alone.
    #[arg(long)]
    pub webhooks_to_this_machine: bool,
    /// Where the API listens, and who may ask it.
    #[command(flatten)]
    pub listening: Listening,
    /// How models are asked.
    #[command(flatten)]
    pub asking: Asking,
}

/// Where the API listens, and who may ask it.
#[derive(Debug, Args)]
#[command(next_help_heading = "API")]
pub struct Listening {
    /// The address that the API listens at; port 0 takes any that is free.
    #[arg(
        long,
        default_value = "127.0.0.1:8080",
        env = "BEDROCK_DIY_LISTEN",
        value_name = "ADDRESS"
    )]
    pub listen: SocketAddr,
    /// Says that a proxy encrypts what comes here: without that, tokens of this machine are taken on its
    /// loopback addresses only.
    #[arg(long)]
    pub behind_tls: bool,
    /// The OpenID Connect issuer whose tokens are taken, instead of tokens of this machine.
    #[arg(
        long,
        env = "BEDROCK_DIY_OIDC_ISSUER",
        value_name = "URL",
        requires = "oidc_audience"
    )]
    pub oidc_issuer: Option<String>,
    /// Whom the issuer's tokens are for: their `aud`, of Cognito their `client_id`. May be given several times.
    #[arg(
        long,
        env = "BEDROCK_DIY_OIDC_AUDIENCE",
        value_name = "ID",
        value_delimiter = ','
    )]
    pub oidc_audience: Vec<String>,
    /// The claim of the issuer's tokens that holds groups called viewer, editor and admin.
    #[arg(
        long,
        env = "BEDROCK_DIY_OIDC_ROLES_CLAIM",
        value_name = "CLAIM",
        default_value = "cognito:groups"
    )]
    pub oidc_roles_claim: String,
    /// What the issuer's tokens may be signed with.
    #[arg(long, value_enum, value_name = "ALGORITHM", default_values_t = [TokenAlgorithm::Rs256])]
    pub oidc_algorithm: Vec<TokenAlgorithm>,
    /// A web origin whose pages may ask the API, such as `https://admin.example.org`. May be given several times.
    #[arg(
        long,
        env = "BEDROCK_DIY_CORS_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    pub cors_origin: Vec<String>,
    /// After so many seconds a stream of events ends, and its client comes again: who may ask is asked anew then.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..))]
    pub longest_stream: u32,
}

/// What a token may be signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TokenAlgorithm {
    /// RSA with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub enum Tokens {
    /// Lists whose they are, and what they may.
    List(ListTokens),
    /// Prints the token of this machine's owner, `local`.
    Local,
    /// Makes one, and prints it, this once.
    Add(AddToken),
    /// Removes one: it opens nothing from now on.
    Remove(RemoveToken),
}

/// Arguments of `tokens list`.
#[derive(Debug, Args)]
pub struct ListTokens {
    /// Prints JSON, one document a line.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `tokens add`.
#[derive(Debug, Args)]
pub struct AddToken {
    /// Whose it is.
    pub name: String,
    /// What they may at most.
    #[arg(long, value_enum, default_value_t = TokenRole::Editor)]
    pub role: TokenRole,
}

/// Arguments of `tokens remove`.
#[derive(Debug, Args)]
pub struct RemoveToken {
    /// Whose it is.
    pub name: String,
}

/// What the owner of a token may at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TokenRole {
    /// Reads the projects that they are a member of.
    Viewer,
    /// Makes projects, and works in those that they own or are a member of.
    Editor,
    /// May everything.
    Admin,
}

/// Arguments of `models`.
#[derive(Debug, Args)]
pub struct Models {
    /// Prints JSON, one document a line.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(command: &ClapCommand) -> Vec<String> {
        let own = command
            .get_arguments()
            .filter_map(|argument| Some(argument.get_env()?.to_string_lossy().into_owned()));
        own.chain(command.get_subcommands().flat_map(asked)).collect()
    }

    #[test]
    fn an_empty_variable_is_not_asked_whichever_command_it_is_for() {
        let all = asked(&Arguments::command());
        for name in ["BEDROCK_DIY_MODEL", "BEDROCK_DIY_DATA", "BEDROCK_DIY_LISTEN"] {
            assert!(all.iter().any(|asked| asked == name), "{name}");
            let left = asked(&without(Arguments::command(), &|asked| asked == name));
            let others: Vec<_> = all.iter().filter(|asked| *asked != name).collect();
            assert_eq!(left.iter().collect::<Vec<_>>(), others);
        }
        assert_eq!(asked(&without(Arguments::command(), &|_| true)), [""; 0]);
    }

    #[test]
    fn what_is_typed_is_taken_as_it_is() {
        let matches = without(Arguments::command(), &|_| true)
            .try_get_matches_from(["bedrock-diy", "run", "a", "--project", "p", "--model", ""])
            .unwrap();
        let typed = Arguments::from_arg_matches(&matches).unwrap();
        assert!(
            matches!(typed.command, Command::Run(Run { asking, .. }) if asking.model.as_deref() == Some(""))
        );
    }
}
