//! The floor: the same calls through the same adapter, and nothing is kept.

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
}

pub(crate) fn run(floor: &Floor) -> Outcome {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(ask_all(floor))
}

async fn ask_all(floor: &Floor) -> Outcome {
    let client = clients::bedrock(BedrockConfig::FromEnvironment).await;
    let model = Arc::new(Bedrock::new(client));
    let turns = Arc::new(Semaphore::new(floor.in_flight));
    let mut articles = JoinSet::new();
    let mut paths: Vec<_> = std::fs::read_dir(&floor.articles)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Outcome<_>>()?;
    paths.sort();
    for path in paths {
        let (model, turns, stages) = (Arc::clone(&model), Arc::clone(&turns), floor.stages);
        let turn = turns.acquire_owned().await?;
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
        done??;
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
