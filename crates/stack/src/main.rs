//! `cargo stack`: a local AWS with everything deployed, until Ctrl-C.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use bedrock_diy::{project_files::ProjectFiles, push::push};
use bedrock_diy_aws::SystemClock;
use bedrock_diy_core::{
    job::{Job, JobStatus},
    ports::Clock,
};
use bedrock_diy_model_server::{
    ModelServer, Settings,
    scripted::{Script, ScriptedModel},
};
use bedrock_diy_stack::{Endpoint, LocalAws, Outcome, Stack, Tools, drop_articles};
use clap::Parser;

#[derive(Parser)]
#[command(about = "A local AWS with everything deployed, until Ctrl-C")]
struct Arguments {
    /// The project's root.
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// Where the Python tools are.
    #[arg(long)]
    tools: PathBuf,
    /// Where the functions are, built for this machine.
    #[arg(long)]
    programs: PathBuf,
    /// The port of the local AWS; 0 takes a free one.
    #[arg(long, default_value_t = 4566)]
    port: u16,
    /// The address of a model server; without it, one that answers by script is started.
    #[arg(long)]
    model: Option<String>,
    /// What the scripted model answers, as JSON.
    #[arg(long)]
    script: Option<PathBuf>,
    /// A file to write the endpoints to once everything is there.
    #[arg(long)]
    ready: Option<PathBuf>,
    /// End when standard input ends, instead of with Ctrl-C.
    #[arg(long)]
    end_with_stdin: bool,
    /// A folder of articles to drop into the bucket; the program ends when they have.
    #[arg(long)]
    drop: Option<PathBuf>,
    /// The project that dropped articles are for, as files.
    #[arg(long, default_value = "examples/newsroom")]
    project: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match run(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all went well.
async fn run(arguments: Arguments) -> Outcome<bool> {
    let scripted = match &arguments.model {
        Some(_) => None,
        None => Some(scripted(arguments.script.as_deref()).await?),
    };
    let model = match (&arguments.model, &scripted) {
        (Some(url), _) => url.clone(),
        (None, Some(server)) => server.url(),
        (None, None) => return Err("there is no model".into()),
    };
    let tools = Tools {
        root: absolute(&arguments.root)?,
        bin: absolute(&arguments.tools)?,
        programs: absolute(&arguments.programs)?,
    };
    eprintln!("Starting the local AWS and deploying template.yaml to it.");
    let local = LocalAws::start(&tools, arguments.port, &model, Endpoint::Direct).await?;
    let stack = Stack::deploy(&tools, &local, &model).await?;
    println!("AWS    {}", stack.url);
    println!("Model  {model}");
    for (name, value) in &stack.outputs {
        println!("{name:28} {value}");
    }
    if let Some(ready) = &arguments.ready {
        stack.write(ready)?;
    }
    if let Some(folder) = &arguments.drop {
        return drop_and_follow(&stack, &arguments.project, folder).await;
    }
    if arguments.end_with_stdin {
        let ended = tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await;
        ended.map_err(|error| format!("standard input can't be read: {error}"))?;
    } else {
        eprintln!("Ctrl-C ends it.");
        let asked = tokio::signal::ctrl_c().await;
        asked.map_err(|error| format!("Ctrl-C can't be waited for: {error}"))?;
    }
    Ok(true)
}

async fn drop_and_follow(stack: &Stack, project: &Path, folder: &Path) -> Outcome<bool> {
    let files = ProjectFiles::read(project).map_err(|faults| {
        faults
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    })?;
    let now = SystemClock.now();
    push(&*stack.projects()?, &files, "cargo stack", now)
        .await
        .map_err(|failure| failure.to_string())?;
    // A batch of its own each time: the same articles are new ones, and their answers remembered.
    let batch = format!("stack-{}", now.millis());
    let dropped = drop_articles(stack, &files.id, &batch, folder).await?;
    println!(
        "\nDropped {} articles into inbox/{}/{batch}/ of the bucket.",
        dropped.len(),
        files.id
    );
    let results = stack.config()?.buckets.results;
    let all_well = dropped
        .follow(stack, |name, job| println!("{}", line(name, job, &results)))
        .await?;
    Ok(all_well)
}

/// What became of an article, in a line.
fn line(name: &str, job: &Job, results: &str) -> String {
    let outcome = match (&job.error, job.status) {
        (Some(error), _) => format!("{}: {}", error.code, error.message),
        (None, JobStatus::Succeeded) => {
            format!("s3://{results}/{}/{}/result.json", job.project_id, job.job_id)
        }
        (None, _) => String::new(),
    };
    format!(
        "{:9} {name}  {} stages, {} from memo, {} tokens  {outcome}",
        job.status,
        job.stages_done,
        job.memo_hits,
        job.usage.total()
    )
}

async fn scripted(script: Option<&Path>) -> Outcome<ModelServer<ScriptedModel>> {
    let script = match script {
        Some(file) => {
            let json =
                std::fs::read(file).map_err(|error| format!("{} can't be read: {error}", file.display()))?;
            serde_json::from_slice(&json)
                .map_err(|error| format!("{} is no script: {error}", file.display()))?
        }
        None => Script::default(),
    };
    let model = ScriptedModel::new(script).map_err(|error| format!("the script: {error}"))?;
    let settings = Settings {
        // The tests ask how often it was asked.
        control: true,
        ..Settings::default()
    };
    ModelServer::start_with(model, settings)
        .await
        .map_err(|error| format!("the model server can't be started: {error}"))
}

fn absolute(path: &Path) -> Outcome<PathBuf> {
    std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))
}
