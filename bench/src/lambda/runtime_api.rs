//! Lambda's Runtime API, as a function sees it (AWS Lambda Developer Guide, "Using the Lambda runtime API",
//! 2026-11).

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::{Outcome, server::Server};

const PATH: &str = "/2018-06-01/runtime/";

/// How long a function is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The Runtime API of one function.
pub(crate) struct RuntimeApi {
    server: Server,
    said: mpsc::UnboundedReceiver<Said>,
    /// The function's open question for work.
    open: Option<oneshot::Sender<Work>>,
    invocations: u64,
}

/// What a function says, and when.
enum Said {
    /// It wants the next invocation.
    Next(Instant, oneshot::Sender<Work>),
    /// It has done it.
    Done(Instant, Bytes),
    /// It failed, or could not start.
    Failed(Bytes),
}

/// An invocation.
struct Work {
    id: String,
    payload: String,
}

impl RuntimeApi {
    pub(crate) async fn start() -> Outcome<Self> {
        let (say, said) = mpsc::unbounded_channel();
        let say = Arc::new(say);
        let server = Server::http(None, move |request| serve(Arc::clone(&say), request)).await?;
        Ok(Self {
            server,
            said,
            open: None,
            invocations: 0,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// When the function asked for its next invocation.
    pub(crate) async fn next(&mut self) -> Outcome<Instant> {
        match self.hear().await? {
            Said::Next(at, open) => {
                self.open = Some(open);
                Ok(at)
            }
            Said::Done(..) => Err("the function answered what it was not asked".into()),
            Said::Failed(why) => Err(failed(&why)),
        }
    }

    /// Has the function do something: what it answered, and how long that took.
    pub(crate) async fn invoke(&mut self, payload: &Value) -> Outcome<(Value, Duration)> {
        let open = self.open.take().ok_or("the function has not asked for work")?;
        self.invocations += 1;
        let work = Work {
            id: format!("8476a536-e9f4-11e8-9739-{:012}", self.invocations),
            payload: payload.to_string(),
        };
        let began = Instant::now();
        open.send(work).map_err(|_| "the function hung up")?;
        match self.hear().await? {
            Said::Done(at, answer) => Ok((serde_json::from_slice(&answer)?, at - began)),
            Said::Next(..) => Err("the function asked for work before it had done what it had".into()),
            Said::Failed(why) => Err(failed(&why)),
        }
    }

    async fn hear(&mut self) -> Outcome<Said> {
        let said = tokio::time::timeout(PATIENCE, self.said.recv()).await;
        let said = said.map_err(|_| format!("the function said nothing for {} s", PATIENCE.as_secs()))?;
        Ok(said.ok_or("the Runtime API has ended")?)
    }
}

fn failed(why: &Bytes) -> Box<dyn std::error::Error + Send + Sync> {
    format!("the function failed: {}", String::from_utf8_lossy(why)).into()
}

async fn serve(say: Arc<mpsc::UnboundedSender<Said>>, request: Request<Bytes>) -> Response<Full<Bytes>> {
    let at = Instant::now();
    let path = request.uri().path().to_owned();
    let said = match path.strip_prefix(PATH) {
        Some("invocation/next") => {
            let (open, work) = oneshot::channel();
            // Where nobody listens any more, the function is about to be ended.
            let _ = say.send(Said::Next(at, open));
            return match work.await {
                Ok(work) => invocation(work),
                Err(_) => status(StatusCode::GONE),
            };
        }
        Some(path) if path.ends_with("/response") => Said::Done(at, request.into_body()),
        Some(path) if path.ends_with("/error") => Said::Failed(request.into_body()),
        _ => return status(StatusCode::NOT_FOUND),
    };
    let _ = say.send(said);
    status(StatusCode::ACCEPTED)
}

fn invocation(work: Work) -> Response<Full<Bytes>> {
    let deadline = SystemTime::now() + Duration::from_mins(1);
    let deadline = deadline
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    let trace = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0";
    Response::builder()
        .header("Content-Type", "application/json")
        .header("Lambda-Runtime-Aws-Request-Id", work.id)
        .header("Lambda-Runtime-Deadline-Ms", deadline.to_string())
        .header(
            "Lambda-Runtime-Invoked-Function-Arn",
            "arn:aws:lambda:us-east-1:123456789012:function:bench",
        )
        .header("Lambda-Runtime-Trace-Id", trace)
        .body(Full::from(work.payload))
        .unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR))
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
