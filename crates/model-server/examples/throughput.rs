//! How many `ConverseStream` calls a second the AWS SDK and the scripted server get through together.
//!
//! `cargo run --release -p bedrock-diy-model-server --example throughput --no-default-features [-- SECONDS]`
//!
//! Each call sends 1 kB of system text and 10 kB of user text, and reads 8 deltas to the end of the stream.
//! The server is a process of its own with one thread, the client one with one or two. Besides calls a second,
//! which depend on what else the machine does, it tells the processor time a call took on either side.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::config::retry::RetryConfig;
use aws_sdk_bedrockruntime::config::timeout::TimeoutConfig;
use aws_sdk_bedrockruntime::config::{
    BehaviorVersion, Builder, Config, Credentials, Region, StalledStreamProtectionConfig, Token,
};
use aws_sdk_bedrockruntime::types::{ContentBlock, ConversationRole, Message, SystemContentBlock};
use aws_smithy_http_client::Builder as HttpClientBuilder;
use aws_smithy_runtime_api::client::auth::http::HTTP_BEARER_AUTH_SCHEME_ID;
use bedrock_diy_model_server::scripted::{Rule, Script, ScriptedModel};
use bedrock_diy_model_server::{ModelServer, Settings};
use tokio::runtime::{self, Runtime};

type Configure = fn(Builder) -> Builder;
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Ways to set up the client, each with what the ones before it have.
const CLIENTS: [(&str, Configure); 4] = [
    ("the SDK's defaults", |config| config),
    ("no stalled stream protection", |config| {
        config.stalled_stream_protection(StalledStreamProtectionConfig::disabled())
    }),
    ("also no retries, timeouts, clock skew", |config| {
        config
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .disable_clock_skew_correction(true)
    }),
    ("also a bearer token for signatures", |config| {
        config
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .disable_clock_skew_correction(true)
            .bearer_token(Token::new("test", None))
            .auth_scheme_preference([HTTP_BEARER_AUTH_SCHEME_ID])
    }),
];

fn main() -> Result<(), Failure> {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("--serve") {
        return runtime(1)?.block_on(serve());
    }
    let seconds = argument.map_or(Ok(2), |seconds| seconds.parse())?;
    let server = Server::start()?;
    for (name, configure) in CLIENTS {
        for threads in [1, 2] {
            let runtime = runtime(threads)?;
            for in_flight in [16, 64] {
                let client = client(&server.url, configure);
                runtime.block_on(calls(&client, in_flight, Duration::from_millis(300)))?;
                let before = (cpu("self"), cpu(&server.child.id().to_string()), Instant::now());
                let done = runtime.block_on(calls(&client, in_flight, Duration::from_secs(seconds)))?;
                let rate = done as f64 / before.2.elapsed().as_secs_f64();
                let micros = |now: f64, then: f64| (now - then) * 1e6 / done as f64;
                println!(
                    "{name:38} {threads} threads, {in_flight:2} in flight: {rate:6.0} calls/s, \
                     {:3.0} µs client + {:3.0} µs server",
                    micros(cpu("self"), before.0),
                    micros(cpu(&server.child.id().to_string()), before.1),
                );
            }
        }
    }
    Ok(())
}

fn runtime(threads: usize) -> std::io::Result<Runtime> {
    if threads == 1 {
        return runtime::Builder::new_current_thread().enable_all().build();
    }
    runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
}

async fn serve() -> Result<(), Failure> {
    let script = Script::default().rule(Rule::text(
        "This is one of the eight deltas of an answer. ".repeat(8),
    ));
    let mut server = ModelServer::start_with(ScriptedModel::new(script)?, Settings::lean()).await?;
    println!("{}", server.url());
    server.wait().await;
    Ok(())
}

struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start() -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--serve")
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("the server has no output")?;
        let mut url = String::new();
        BufReader::new(output).read_line(&mut url)?;
        Ok(Self {
            child,
            url: url.trim().to_owned(),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client(url: &str, configure: Configure) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(url)
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(HttpClientBuilder::new().build_http());
    Client::from_conf(configure(config).build())
}

/// Keeps so many calls going for so long; how many ended.
async fn calls(client: &Client, in_flight: usize, length: Duration) -> Result<usize, Failure> {
    let end = Instant::now() + length;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..in_flight {
        let client = client.clone();
        tasks.spawn(async move {
            let mut done = 0;
            while Instant::now() < end {
                call(&client).await?;
                done += 1;
            }
            Ok::<usize, Failure>(done)
        });
    }
    let mut all = 0;
    while let Some(done) = tasks.join_next().await {
        all += done??;
    }
    Ok(all)
}

async fn call(client: &Client) -> Result<(), Failure> {
    let message = Message::builder()
        .role(ConversationRole::User)
        .content(ContentBlock::Text("An article's text. ".repeat(540)))
        .build()?;
    let call = client
        .converse_stream()
        .model_id("anthropic.claude-test-v1:0")
        .system(SystemContentBlock::Text("Work on the article. ".repeat(48)))
        .messages(message);
    let mut stream = call.send().await?.stream;
    let mut events = 0;
    while stream.recv().await?.is_some() {
        events += 1;
    }
    if events == 12 {
        Ok(())
    } else {
        Err(format!("{events} events came instead of 12").into())
    }
}

/// Processor seconds that a process has used, on Linux; its clock counts in hundredths of a second.
fn cpu(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    // The 14th and 15th fields of proc_pid_stat(5); the first two are before the closing parenthesis.
    after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}
