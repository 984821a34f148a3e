//! The commands, one file each.

mod cards;
mod chat;
mod jobs;
mod login;
mod models;
mod projects;
mod results;
mod run;
mod serve;
mod setup;
mod submit;
mod tokens;
mod webhooks;

use std::path::PathBuf;

use bedrock_diy_core::{Code, Failure, catalogue::Catalogue, error::Result};
use clap::CommandFactory;

use crate::{
    arguments::{Arguments, Command},
    exit::Exit,
    folders,
    project_files::{self, InitError},
    terminal::{self, print},
};

/// Does what was typed.
pub async fn run(arguments: Arguments) -> Result<Exit> {
    let data = arguments.data.map_or_else(folders::data, Ok)?;
    let elsewhere = &arguments.elsewhere;
    let catalogue = || catalogue(arguments.models.as_ref());
    match arguments.command {
        Command::Init(init) => {
            let written = project_files::init(&init.dir, &project_name(&init)).map_err(|error| {
                let code = match error {
                    InitError::InTheWay(_) => Code::InvalidRequest,
                    InitError::Unwritable { .. } => Code::StorageUnavailable,
                };
                Failure::new(code, error.to_string())
            })?;
            for path in written {
                print(path.display())?;
            }
            print(format_args!(
                "\nNext: bedrock-diy run ARTICLES --project {}",
                init.dir.display()
            ))?;
            Ok(Exit::Success)
        }
        Command::Run(run) => run::run(&data, catalogue()?, run).await,
        Command::Serve(serve) => serve::serve(&data, catalogue()?, serve).await,
        Command::Projects(command) => projects::projects(elsewhere, &data, command).await,
        Command::Cards(command) => cards::cards(elsewhere, &data, &catalogue()?, command).await,
        Command::Submit(submit) => submit::submit(elsewhere, &data, submit).await,
        Command::Login => login::login(elsewhere, &data).await,
        Command::Logout => login::logout(elsewhere).await,
        Command::Jobs(command) => jobs::jobs(elsewhere, &data, catalogue()?, command).await,
        Command::Follow(follow) => jobs::follow(elsewhere, &data, catalogue()?, &follow).await,
        Command::Chat(chat) => chat::chat(elsewhere, &data, chat).await,
        Command::Results(crate::arguments::Results::Export(export)) => {
            results::export(elsewhere, &data, catalogue()?, export).await
        }
        Command::Webhooks(command) => webhooks::webhooks(elsewhere, &data, command).await,
        Command::Tokens(command) => tokens::tokens(&data, command),
        Command::Models(models) => models::list(&catalogue()?, &models),
        Command::Completions(completions) => {
            // Into memory first: the generator knows no way to fail.
            let mut script = Vec::new();
            clap_complete::generate(
                completions.shell,
                &mut Arguments::command(),
                "bedrock-diy",
                &mut script,
            );
            print(String::from_utf8_lossy(&script).trim_end())?;
            Ok(Exit::Success)
        }
    }
}

/// Sets logs up, on standard error: `RUST_LOG` says which; else what a server's owner wants to see, or
/// nothing beside a command's own words.
pub fn log(arguments: &Arguments) {
    use tracing_subscriber::EnvFilter;
    let default = if matches!(arguments.command, Command::Serve(_)) {
        "warn"
    } else {
        "error"
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| terminal::Log)
        .with_ansi(terminal::has_colours())
        // It would say on standard error that standard error can't be written.
        .log_internal_errors(false);
    if std::env::var_os("BEDROCK_DIY_LOG").is_some_and(|format| format == "json") {
        builder.json().flatten_event(true).init();
    } else {
        builder.compact().init();
    }
}

fn catalogue(user: Option<&PathBuf>) -> Result<Catalogue> {
    let Some(path) = user else { return Catalogue::own() };
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(
            Code::InvalidRequest,
            format!("{} can't be read: {error}", path.display()),
        )
    })?;
    Catalogue::with_overrides(Some((&path.display().to_string(), &text)))
}

fn project_name(init: &crate::arguments::Init) -> String {
    let folder = || {
        init.dir.file_name().map_or_else(
            || "project".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        )
    };
    init.name.clone().unwrap_or_else(folder)
}
