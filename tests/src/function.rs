//! A function's process under a Runtime API that reads answers as they come (AWS Lambda Developer Guide, "Using the
//! Lambda runtime API" and "Response streaming for custom runtimes").

use std::{
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bedrock_diy_stack::{REGION, Stack};
use futures_util::StreamExt;
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
};

/// Between the head of an answer and its bytes (API Gateway Developer Guide, "Lambda proxy integration format for
/// response streaming").
const END_OF_HEAD: [u8; 8] = [0; 8];

/// A deployed function, in a process of the test's own; ended when dropped.
pub struct Function {
    process: Child,
    invocations: mpsc::UnboundedSender<Invocation>,
}

/// What is asked, and who reads the answer.
struct Invocation {
    event: String,
    answer: oneshot::Sender<Answer>,
}

/// An answer, while it comes.
pub struct Answer {
    /// What the function says of the way in which it answers.
    pub headers: HeaderMap,
    pieces: mpsc::UnboundedReceiver<Result<Vec<u8>, String>>,
    /// Bytes that have come, and were not asked for yet.
    come: Vec<u8>,
}

struct Runtime {
    invocations: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    asked: Mutex<Option<oneshot::Sender<Answer>>>,
}

impl Function {
    /// Starts the program of a function of this stack, with the settings that it was deployed with.
    pub async fn start(stack: &Stack, name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (invocations, asked) = mpsc::unbounded_channel();
        let runtime = Arc::new(Runtime {
            invocations: asked.into(),
            asked: Mutex::default(),
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(answered))
            .with_state(runtime);
        tokio::spawn(axum::serve(listener, router).into_future());

        let settings = settings(stack, name);
        let process = Command::new(crate::program::built(&format!("bedrock-diy-{name}")))
            .env_clear()
            .envs(settings)
            .env("AWS_ENDPOINT_URL", &stack.url)
            .env("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", &stack.model)
            .env("WEBHOOKS_TO_THIS_MACHINE", "local-aws")
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, invocations }
    }

    /// Has the function answer an event: returns when it begins to.
    pub async fn invoke(&self, event: &Value) -> Answer {
        let (answer, begun) = oneshot::channel();
        let event = event.to_string();
        self.invocations.send(Invocation { event, answer }).unwrap();
        begun.await.unwrap()
    }

    /// Waits until the process has ended: its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        self.process.wait().unwrap().code()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Answer {
    /// Its head: status and headers.
    pub async fn head(&mut self) -> Value {
        loop {
            if let Some(end) = self.come.windows(8).position(|bytes| bytes == END_OF_HEAD) {
                let rest = self.come.split_off(end + END_OF_HEAD.len());
                let head = serde_json::from_slice(&self.come[..end]).unwrap();
                self.come = rest;
                return head;
            }
            let piece = self.pieces.recv().await.unwrap().unwrap();
            self.come.extend(piece);
        }
    }

    /// What has come when these words have; the words are the last of it.
    pub async fn until(&mut self, words: &str) -> String {
        loop {
            let begins = |bytes: &[u8]| bytes == words.as_bytes();
            if let Some(start) = self.come.windows(words.len()).position(begins) {
                let rest = self.come.split_off(start + words.len());
                let before = std::mem::replace(&mut self.come, rest);
                return String::from_utf8(before).unwrap();
            }
            let Some(piece) = self.pieces.recv().await else {
                panic!(
                    "it ended without {words:?}: {}",
                    String::from_utf8_lossy(&self.come)
                );
            };
            self.come.extend(piece.unwrap());
        }
    }

    /// The rest of it, or what came of it before it broke off.
    pub async fn rest(mut self) -> Result<Vec<u8>, Vec<u8>> {
        while let Some(piece) = self.pieces.recv().await {
            match piece {
                Ok(piece) => self.come.extend(piece),
                Err(_) => return Err(self.come),
            }
        }
        Ok(self.come)
    }
}

async fn next(State(runtime): State<Arc<Runtime>>) -> Response {
    let Some(invocation) = runtime.invocations.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    *runtime.asked.lock().unwrap() = Some(invocation.answer);
    let headers = [
        ("Content-Type", "application/json"),
        (
            "Lambda-Runtime-Aws-Request-Id",
            "8476a536-e9f4-11e8-9739-000000000001",
        ),
        ("Lambda-Runtime-Deadline-Ms", "9999999999999"),
        (
            "Lambda-Runtime-Invoked-Function-Arn",
            "arn:aws:lambda:us-east-1:123456789012:function:test",
        ),
    ];
    (headers, invocation.event).into_response()
}

async fn answered(State(runtime): State<Arc<Runtime>>, headers: HeaderMap, body: Body) -> StatusCode {
    let Some(asked) = runtime.asked.lock().unwrap().take() else {
        return StatusCode::BAD_REQUEST;
    };
    let (tell, pieces) = mpsc::unbounded_channel();
    let answer = Answer {
        headers,
        pieces,
        come: Vec::new(),
    };
    // Where nobody reads any more, the test has seen what it wanted.
    let _ = asked.send(answer);
    let mut body = body.into_data_stream();
    while let Some(piece) = body.next().await {
        let _ = tell.send(piece.map(Into::into).map_err(|error| error.to_string()));
    }
    StatusCode::ACCEPTED
}

/// The environment that a deployed function has of the template.
fn settings(stack: &Stack, name: &str) -> Vec<(String, String)> {
    let at = format!(
        "{}/2015-03-31/functions/bedrock-diy-{name}-dev/configuration",
        stack.url
    );
    let mut told = ureq::get(at).call().unwrap();
    let told: Value = serde_json::from_reader(told.body_mut().as_reader()).unwrap();
    let variables = told["Environment"]["Variables"].as_object().unwrap();
    let of = |(name, value): (&String, &Value)| (name.clone(), value.as_str().unwrap().to_owned());
    variables.iter().map(of).collect()
}

/// What API Gateway tells a function of a request.
#[must_use]
pub fn gateway_event(
    method: &str,
    path: &str,
    query: &[(&str, &str)],
    token: &str,
    body: Option<&Value>,
) -> Value {
    let authorization = format!("Bearer {token}");
    let query: serde_json::Map<_, _> = query
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
        .collect();
    serde_json::json!({
        "resource": "/api/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {
            header::AUTHORIZATION.as_str(): authorization,
            header::CONTENT_TYPE.as_str(): "application/json",
        },
        "multiValueHeaders": {
            header::AUTHORIZATION.as_str(): [authorization],
            header::CONTENT_TYPE.as_str(): ["application/json"],
        },
        "queryStringParameters": query,
        "multiValueQueryStringParameters": null,
        "pathParameters": null,
        "stageVariables": null,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3d4e5",
            "httpMethod": method,
            "identity": {"sourceIp": "203.0.113.7"},
            "path": format!("/v1{path}"),
            "protocol": "HTTP/1.1",
            "requestId": "b9b8b6a5-1c2d-4e3f-8a7b-6c5d4e3f2a1b",
            "requestTimeEpoch": 1_795_600_800_000_u64,
            "resourceId": "abc123",
            "resourcePath": "/api/{proxy+}",
            "stage": "v1",
        },
        "body": body.map(Value::to_string),
        "isBase64Encoded": false,
    })
}
