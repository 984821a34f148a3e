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
    let url = server.url();
    let our = clients::bedrock(BedrockConfig::LocalServer(url.clone())).await;
    let variant = std::env::var("V").unwrap_or_default();
    let http = our.config().http_client().unwrap();
    let base = || aws_sdk_bedrockruntime::config::Builder::new()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_sdk_bedrockruntime::config::Region::from_static("us-east-1"))
        .endpoint_url(url.clone())
        .http_client(http.clone())
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .timeout_config(aws_config::timeout::TimeoutConfig::builder().connect_timeout(Duration::from_millis(3100)).build())
        .stalled_stream_protection(aws_sdk_bedrockruntime::config::StalledStreamProtectionConfig::disabled());
    let creds = || aws_sdk_bedrockruntime::config::Credentials::new("a", "b", None, None, "x");
    let tok = || aws_sdk_bedrockruntime::config::Token::new("local", None);
    let nocache = || aws_sdk_bedrockruntime::config::IdentityCache::no_cache();
    let conf = match variant.as_str() {
        "sigv4" => base().credentials_provider(creds()),
        "sigv4-nocache" => base().credentials_provider(creds()).identity_cache(nocache()),
        "bearer" => base().bearer_token(tok()),
        "bearer-nocache" => base().bearer_token(tok()).identity_cache(nocache()),
        "bearer-noskew" => base().bearer_token(tok()).disable_clock_skew_correction(true),
        "bearer-notimeout" => base().bearer_token(tok()).timeout_config(aws_config::timeout::TimeoutConfig::disabled()),
        "bearer-ssp" => base().bearer_token(tok()).stalled_stream_protection(aws_sdk_bedrockruntime::config::StalledStreamProtectionConfig::enabled().build()),
        "bearer-retry" => base().bearer_token(tok()).retry_config(aws_config::retry::RetryConfig::standard()),
        "bearer-plainhttp" => base().bearer_token(tok()).http_client(aws_smithy_http_client::Builder::new().build_http()),
        "bearer-pool" => {
            let pool = aws_smithy_http_client::pool::ConnectionPool::builder().build_http().unwrap();
            base().bearer_token(tok()).http_client(aws_smithy_http_client::pool::Client::new(&pool).unwrap())
        }
        "noauth" => base().allow_no_auth(),
        _ => base().bearer_token(tok()),
    };
    let client = aws_sdk_bedrockruntime::Client::from_conf(conf.build());
    let bedrock = Bedrock::new(client);

    measure(&bedrock, in_flight, Duration::from_millis(300)).await;
    let cpu = || { let s = std::fs::read_to_string("/proc/self/schedstat").unwrap(); let _ = s; let st = std::fs::read_to_string("/proc/self/stat").unwrap(); let f: Vec<&str> = st.rsplit(')').next().unwrap().split_whitespace().collect(); (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) * 10_000.0 };
    let c0 = cpu();
    let start = Instant::now();
    let calls = measure(&bedrock, in_flight, Duration::from_secs(seconds)).await;
    let rate = calls as f64 / start.elapsed().as_secs_f64();
    println!("{variant} {rate:.0} calls/s {:.1} us/call", (cpu() - c0) / calls as f64);
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
