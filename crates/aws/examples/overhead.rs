//! What a model call costs this machine: calls a second through [`Bedrock`], with the scripted model
//! server in the same process, so that the figure is for both together.
//!
//! `cargo run --release -p bedrock-diy-aws --example overhead -- [calls in flight] [seconds]`
//!
//! Each call sends 1 kB of system prompt and 10 kB of article, and reads an answer of eight deltas.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bedrock_diy_aws::{
    Bedrock,
    clients::{self, BedrockConfig},
};
use bedrock_diy_core::{
    model::{Message, ModelRequest},
    ports::Model,
    project::InferenceParameters,
};
use bedrock_diy_model_server::{
    ModelServer, Settings,
    scripted::{Reply, Rule, Script, ScriptedModel},
};

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let in_flight: usize = arguments.next().map_or(Ok(32), |word| word.parse())?;
    let seconds: u64 = arguments.next().map_or(Ok(5), |word| word.parse())?;

    let answer = Reply::text("This is one of the eight deltas of an answer. ".repeat(8)).chunks(8);
    let script = Script::default().rule(Rule::reply(answer));
    let server = ModelServer::start_with(ScriptedModel::new(script)?, Settings::lean()).await?;
    let client = clients::bedrock(BedrockConfig::LocalServer(server.url())).await;
    let bedrock = Bedrock::new(client);

    measure(&bedrock, in_flight, Duration::from_secs(1)).await;
    let start = Instant::now();
    let calls = measure(&bedrock, in_flight, Duration::from_secs(seconds)).await;
    let rate = calls as f64 / start.elapsed().as_secs_f64();
    println!("{in_flight} in flight: {rate:.0} calls/s");
    Ok(())
}

async fn measure(bedrock: &Bedrock, in_flight: usize, length: Duration) -> usize {
    let (start, done) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..in_flight {
        let (bedrock, done, request) = (bedrock.clone(), Arc::clone(&done), request());
        callers.spawn(async move {
            while start.elapsed() < length {
                let answer = bedrock
                    .converse(&request, Duration::from_secs(10), &mut |_| {})
                    .await;
                if let Err(failure) = answer {
                    eprintln!("{failure}");
                    return;
                }
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    callers.join_all().await;
    done.load(Ordering::Relaxed)
}

fn request() -> ModelRequest {
    ModelRequest {
        model: "us.anthropic.claude-haiku-4-5-20251001-v1:0".into(),
        parameters: InferenceParameters {
            max_tokens: Some(4096),
            temperature: Some(0.3),
            ..Default::default()
        },
        system: "Work on the article. ".repeat(48),
        messages: vec![Message::user("An article's text. ".repeat(540))],
        guardrail: None,
        output_schema: None,
        send_schema: false,
    }
}
