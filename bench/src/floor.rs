//! The floor: the same calls through the same adapter, and nothing is kept.
//!
//! As a plain program makes them, on one runtime of many threads; or *apart*, on a runtime for each core, as
//! ours is arranged.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bedrock_diy_aws::{
    Bedrock,
    clients::{self, BedrockConfig},
};
use bedrock_diy_core::{
    delimit::delimited,
    model::{Message, ModelRequest},
    ports::Model,
    project::InferenceParameters,
};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::Outcome;

/// What is asked.
#[derive(clap::Args)]
pub(crate) struct Floor {
    /// The folder with the articles.
    #[arg(long)]
    articles: PathBuf,
    /// Stages an article.
    #[arg(long)]
    stages: usize,
    /// Calls in flight.
    #[arg(long)]
    in_flight: usize,
    /// A runtime for each core, with a share of the articles and connections of its own.
    #[arg(long)]
    apart: bool,
}

pub(crate) fn run(floor: &Floor) -> Outcome {
    let mut paths: Vec<_> = std::fs::read_dir(&floor.articles)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Outcome<_>>()?;
    paths.sort();
    if !floor.apart {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        return Ok(runtime.block_on(ask_all(paths, floor.stages, floor.in_flight))?);
    }
    let threads = std::thread::available_parallelism()?.get();
    let (stages, in_flight) = (floor.stages, floor.in_flight / threads);
    let shares: Vec<_> = paths
        .chunks(paths.len().div_ceil(threads))
        .map(|share| {
            let share = share.to_vec();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|error| error.to_string())?;
                runtime.block_on(ask_all(share, stages, in_flight))
            })
        })
        .collect();
    for share in shares {
        share.join().map_err(|_| "a thread panicked")??;
    }
    Ok(())
}

async fn ask_all(paths: Vec<PathBuf>, stages: usize, in_flight: usize) -> Result<(), String> {
    let client = clients::bedrock(BedrockConfig::FromEnvironment).await;
    let model = Arc::new(Bedrock::new(client));
    let turns = Arc::new(Semaphore::new(in_flight));
    let mut articles = JoinSet::new();
    for path in paths {
        let (model, turns) = (Arc::clone(&model), Arc::clone(&turns));
        let turn = turns.acquire_owned().await.map_err(|error| error.to_string())?;
        articles.spawn(async move {
            let mut text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
            for stage in 1..=stages {
                let request = request(stage, &text);
                let answer = model
                    .converse(&request, Duration::from_mins(1), &mut |_| {})
                    .await
                    .map_err(|failure| failure.to_string())?;
                text = answer.text;
            }
            drop(turn);
            Ok::<_, String>(())
        });
    }
    while let Some(done) = articles.join_next().await {
        done.map_err(|error| error.to_string())??;
    }
    Ok(())
}

fn request(stage: usize, text: &str) -> ModelRequest {
    let kind = if stage == 1 { "article" } else { "previous" };
    ModelRequest {
        model: "test.model-v1:0".into(),
        parameters: InferenceParameters::default(),
        system: crate::work::prompt(stage),
        messages: vec![Message::user(delimited(kind, text))],
        guardrail: None,
        output_schema: None,
        send_schema: false,
    }
}
