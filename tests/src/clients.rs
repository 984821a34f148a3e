//! Clients that others wrote, used as their users use them: Chromium, AsyncAPI's parser, and libraries for Python.
//!
//! What uses them lies in `tests/clients`: pages (`*.html`), each of which says in `window.told` what it was told when
//! it is done, and scripts (`*.js`, `*.py`).

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    extract::{Path as At, State},
    http::StatusCode,
    response::Html,
    routing::{get, post},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::net::TcpListener;

/// A web site with our pages, of an origin of its own.
pub struct Pages {
    origin: String,
    connected: Arc<AtomicU64>,
}

impl Pages {
    /// Serves them for as long as the test runs.
    pub async fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let connected = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&connected);
        let connect = move || async move {
            count.fetch_add(1, Ordering::SeqCst);
        };
        let router = Router::new()
            .route("/connected", post(connect))
            .route("/{page}", get(page))
            .with_state(folder());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { origin, connected }
    }

    /// How often a page has said that it is connected with the API.
    #[must_use]
    pub fn connected(&self) -> u64 {
        self.connected.load(Ordering::SeqCst)
    }

    /// Their origin, as CORS names it.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Opens a page in Chromium with these parameters, and returns what it was told when it is done.
    #[must_use]
    pub fn open(&self, page: &str, parameters: &[(&str, &str)]) -> Value {
        let parameters = parameters.iter().map(|(name, value)| {
            let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
            format!("{name}={value}")
        });
        let parameters: Vec<_> = parameters.collect();
        let address = format!("{}/{page}?{}", self.origin, parameters.join("&"));
        let folder = installed("BEDROCK_DIY_BROWSER");
        let mut node = Command::new("node");
        node.arg(folder.join("open.js")).arg(address);
        serde_json::from_str(&output(node)).unwrap()
    }
}

/// What AsyncAPI's own parser finds wrong in a document, as it says it.
#[must_use]
pub fn asyncapi_faults(document: &Path) -> Vec<String> {
    let mut node = Command::new("node");
    node.arg(installed("BEDROCK_DIY_BROWSER").join("asyncapi.js"))
        .arg(document);
    serde_json::from_str(&output(node)).unwrap()
}

/// Runs a script of ours, and returns the lines that it prints, each a JSON document. Once the first one is there,
/// `begun` is called.
#[must_use]
pub fn python(script: &str, arguments: &[&str], begun: impl FnOnce()) -> Vec<Value> {
    let mut python = Command::new(installed("BEDROCK_DIY_CLIENTS").join("python"));
    let mut running = python
        .arg(folder().join(script))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let printed = BufReader::new(running.stdout.take().unwrap());
    let mut begun = Some(begun);
    let printed: Vec<String> = printed
        .lines()
        .map(|line| {
            if let Some(begun) = begun.take() {
                begun();
            }
            line.unwrap()
        })
        .collect();
    succeeded(&python, &running.wait_with_output().unwrap());
    printed
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn page(State(folder): State<PathBuf>, At(page): At<String>) -> Result<Html<String>, StatusCode> {
    let is_name = page.chars().all(char::is_alphanumeric);
    let text = is_name.then(|| std::fs::read_to_string(folder.join(format!("{page}.html"))));
    text.and_then(Result::ok).map(Html).ok_or(StatusCode::NOT_FOUND)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// A folder that `cargo verify` has filled.
fn installed(variable: &str) -> PathBuf {
    let folder = std::env::var_os(variable);
    PathBuf::from(
        folder.unwrap_or_else(|| panic!("`cargo verify` installs the clients, and names them in {variable}")),
    )
}

fn output(mut command: Command) -> String {
    let ended = command.output().unwrap();
    succeeded(&command, &ended);
    String::from_utf8(ended.stdout).unwrap()
}

fn succeeded(command: &Command, ended: &Output) {
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{command:?}: {said}");
}
