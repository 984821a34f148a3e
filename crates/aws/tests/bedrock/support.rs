//! A service that gives a prepared reply to whatever it is asked, byte for byte.

use aws_sdk_bedrockruntime::Client;
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message as Frame};
use bedrock_diy_aws::{
    Bedrock,
    clients::{self, BedrockConfig},
};
use bedrock_diy_core::{
    error::Result,
    model::{Message, ModelAnswer, ModelRequest},
    ports::Model,
    project::InferenceParameters,
};
use serde_json::Value;
use std::{fmt::Write as _, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Far beyond any test's need: the deadline of a call that is not to meet it.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// What the service replies.
#[derive(Clone)]
pub(crate) struct Canned {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Canned {
    /// An error instead of an answer; `name` goes into `x-amzn-errortype`, as Bedrock does it.
    pub(crate) fn error(status: u16, name: &str, message: &str) -> Self {
        let body = serde_json::json!({ "message": message });
        let named = (!name.is_empty()).then(|| ("x-amzn-errortype", format!("{name}:http://internal/")));
        Self {
            status,
            headers: named.into_iter().collect(),
            body: body.to_string().into_bytes(),
        }
    }

    /// A reply that isn't Bedrock's: a proxy's error page.
    pub(crate) fn page(status: u16) -> Self {
        Self {
            status,
            headers: vec![("content-type", "text/html".into())],
            body: b"<html><body>Sorry</body></html>".to_vec(),
        }
    }

    /// An answer made of these frames.
    pub(crate) fn stream(frames: &[Frame]) -> Self {
        let mut body = Vec::new();
        for frame in frames {
            write_message_to(frame, &mut body).unwrap();
        }
        Self {
            status: 200,
            headers: vec![("content-type", "application/vnd.amazon.eventstream".into())],
            body,
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Starts the service; its address as an endpoint.
    pub(crate) async fn serve(self) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(reply(connection, self.clone()));
            }
        });
        endpoint
    }

    /// What [`Bedrock`] makes of it.
    pub(crate) async fn asked(self, request: &ModelRequest) -> Result<ModelAnswer> {
        let bedrock = bedrock(self.serve().await).await;
        bedrock.converse(request, LONG, &mut |_| {}).await
    }
}

async fn reply(mut connection: TcpStream, reply: Canned) {
    let mut request = Vec::new();
    while !is_whole(&request) {
        if connection.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let mut head = format!("HTTP/1.1 {} Canned\r\nconnection: close\r\n", reply.status);
    write!(head, "content-length: {}\r\n", reply.body.len()).unwrap();
    for (name, value) in &reply.headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    let whole = [head.as_bytes(), b"\r\n", reply.body.as_slice()].concat();
    // Whoever hung up early has what it wanted.
    let _ = connection.write_all(&whole).await;
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, _)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.parse::<usize>().unwrap())
    });
    request.len() >= head.len() + 4 + length.unwrap_or(0)
}

/// An event of an answer.
pub(crate) fn event(kind: &str, payload: &Value) -> Frame {
    frame(("event", ":event-type", kind), payload)
}

/// An exception within an answer.
pub(crate) fn exception(kind: &str, message: &str) -> Frame {
    let payload = serde_json::json!({ "message": message });
    frame(("exception", ":exception-type", kind), &payload)
}

fn frame((kind, of, name): (&'static str, &'static str, &str), payload: &Value) -> Frame {
    let header = |name: &'static str, value: String| Header::new(name, HeaderValue::String(value.into()));
    Frame::new(payload.to_string().into_bytes())
        .add_header(header(":message-type", kind.into()))
        .add_header(header(of, name.into()))
        .add_header(header(":content-type", "application/json".into()))
}

/// The adapter over a service at this endpoint.
pub(crate) async fn bedrock(endpoint: String) -> Bedrock {
    Bedrock::new(client(endpoint).await)
}

/// A client for a service at this endpoint.
pub(crate) async fn client(endpoint: String) -> Client {
    clients::bedrock(BedrockConfig::LocalServer(endpoint)).await
}

/// A small request.
pub(crate) fn request() -> ModelRequest {
    ModelRequest {
        model: "us.anthropic.claude-haiku-4-5-20251001-v1:0".into(),
        parameters: InferenceParameters::default(),
        system: "Write a headline for the article that follows, in one line.".into(),
        messages: vec![Message::user(
            "The council of Nordhafen voted on Monday to close the old bridge for repairs until spring.",
        )],
        guardrail: None,
        output_schema: None,
        send_schema: false,
    }
}
