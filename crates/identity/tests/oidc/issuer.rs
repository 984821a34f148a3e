//! An OIDC issuer on the loopback address.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use bedrock_diy_core::{ports::Clock, time::Timestamp};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, StatusCode, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{Notify, Semaphore},
    task::JoinHandle,
};

/// What the issuer does with a request.
#[derive(Clone, PartialEq)]
pub(crate) enum Mood {
    /// Answers.
    Well,
    /// Answers that it can't.
    Away,
    /// Answers so much that nobody should read it.
    Endless,
    /// Waits until [`Issuer::let_go`], and answers then.
    Slow,
    /// Sends everybody elsewhere.
    Redirects,
}

pub(crate) struct State {
    pub(crate) mood: Mood,
    /// What it says that it is; its own address where nothing is said.
    pub(crate) calls_itself: Option<String>,
    /// Where it says that its keys are; where they are, where nothing is said.
    pub(crate) keys_at: Option<String>,
    pub(crate) keys: Vec<Value>,
    /// How often its keys were asked for.
    pub(crate) fetches: usize,
}

pub(crate) struct Issuer {
    pub(crate) url: String,
    pub(crate) state: Arc<Mutex<State>>,
    gate: Arc<Semaphore>,
    /// Told of each request when it comes.
    pub(crate) asked: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Issuer {
    pub(crate) async fn start(keys: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State {
            mood: Mood::Well,
            calls_itself: None,
            keys_at: None,
            keys,
            fetches: 0,
        }));
        let (gate, asked) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
        let shared = (
            url.clone(),
            Arc::clone(&state),
            Arc::clone(&gate),
            Arc::clone(&asked),
        );
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let shared = shared.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
                        let (url, state, gate, asked) = shared.clone();
                        async move {
                            asked.notify_one();
                            if state.lock().mood == Mood::Slow {
                                gate.acquire().await.unwrap().forget();
                            }
                            Ok::<_, Infallible>(answer(&url, &mut state.lock(), request.uri().path()))
                        }
                    });
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            url,
            state,
            gate,
            asked,
            task,
        }
    }

    /// Lets everybody go on who waits, and everybody who comes.
    pub(crate) fn let_go(&self) {
        self.state.lock().mood = Mood::Well;
        self.gate.add_permits(100);
    }

    pub(crate) fn fetches(&self) -> usize {
        self.state.lock().fetches
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn answer(url: &str, state: &mut State, path: &str) -> Response<Full<Bytes>> {
    let keys_path = "/keys";
    if path == keys_path {
        state.fetches += 1;
    }
    let body = match (path, &state.mood) {
        (_, Mood::Away) => return status(StatusCode::SERVICE_UNAVAILABLE),
        (_, Mood::Redirects) => {
            let mut response = status(StatusCode::FOUND);
            let there = format!("{url}/elsewhere").parse().unwrap();
            response.headers_mut().insert("location", there);
            return response;
        }
        (_, Mood::Endless) => " ".repeat(300 * 1024) + "{}",
        ("/.well-known/openid-configuration", _) => json!({
            "issuer": state.calls_itself.as_deref().unwrap_or(url),
            "jwks_uri": state.keys_at.clone().unwrap_or_else(|| format!("{url}{keys_path}")),
        })
        .to_string(),
        (path, _) if path == keys_path => json!({"keys": state.keys}).to_string(),
        _ => return status(StatusCode::NOT_FOUND),
    };
    Response::new(Full::from(body))
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// A clock that goes when it is told to.
#[derive(Clone)]
pub(crate) struct Hands(Arc<AtomicI64>);

impl Hands {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_800_000_000_000)))
    }

    pub(crate) fn go_on(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000, Ordering::Relaxed);
    }

    pub(crate) fn seconds(&self) -> i64 {
        self.0.load(Ordering::Relaxed) / 1_000
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}
