//! The local AWS as a process of this one.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use bedrock_diy_aws::clients::{self, Services};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time,
};

use crate::{Outcome, Tools};

/// The Region that everything is in.
pub const REGION: &str = "us-east-1";

/// How long the local AWS may take to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the functions find AWS.
#[derive(Debug, Clone)]
pub enum Endpoint {
    /// At the local AWS itself.
    Direct,
    /// At something in front of it, which listens at this address once the local AWS has its port.
    Through(String),
}

/// A running local AWS. It and every function that runs in it end with this value.
pub struct LocalAws {
    process: Child,
    port: u16,
}

impl LocalAws {
    /// Starts one on this port; 0 takes a free one. Its functions ask the model at `model`.
    pub async fn start(tools: &Tools, port: u16, model: &str, endpoint: Endpoint) -> Outcome<Self> {
        let port = if port == 0 { free_port()? } else { port };
        let python = tools.bin.join("python");
        let own = format!("http://127.0.0.1:{port}");
        let for_functions = match endpoint {
            Endpoint::Direct => own,
            Endpoint::Through(address) => address,
        };
        let mut process = Command::new(&python)
            .arg("-B")
            .arg(tools.root.join("tests/local_aws/start.py"))
            .current_dir(&tools.root)
            // The functions inherit all of this.
            .env("BIND_HOST", "127.0.0.1")
            // What the queues' URLs say.
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .env("AWS_ENDPOINT_URL", for_functions)
            .env("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", model)
            // The tests' receivers are here.
            .env("WEBHOOKS_TO_THIS_MACHINE", "local-aws")
            .env("AWS_REGION", REGION)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_SESSION_TOKEN")
            .env_remove("AWS_BEARER_TOKEN_BEDROCK")
            // It ends when its standard input does, with every function that it runs: so with this process,
            // whatever that ends of.
            .env("ENDS_WITH_STDIN", "1")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} can't be started: {error}", python.display()))?;
        if let Some(out) = process.stdout.take() {
            tokio::spawn(pass_on(out));
        }
        if let Some(err) = process.stderr.take() {
            tokio::spawn(pass_on(err));
        }
        let mut local = Self { process, port };
        local.wait_until_there().await?;
        Ok(local)
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Clients of its services.
    #[must_use]
    pub fn services(&self) -> Services {
        clients::local_services(&self.url(), REGION)
    }

    async fn wait_until_there(&mut self) -> Outcome {
        let began = Instant::now();
        loop {
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return Ok(());
            }
            let ended = self.process.try_wait().ok().flatten();
            if let Some(status) = ended {
                return Err(format!(
                    "the local AWS ended at once ({status}): RUST_LOG=debug shows what it said"
                ));
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("the local AWS does not answer on port {}", self.port));
            }
            time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A port that is free just now.
fn free_port() -> Outcome<u16> {
    std::net::TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("there is no free port: {error}"))
}

/// What it and its functions say goes to our log.
async fn pass_on(from: impl tokio::io::AsyncRead + Unpin) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::debug!(target: "local_aws", "{line}");
    }
}
