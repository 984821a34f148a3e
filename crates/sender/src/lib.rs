//! Sends webhooks to their receivers, and nowhere else.
//!
//! **Architecture invariant:** an address that somebody outside wrote down never leads inward. That it does not is
//! seen to when a connection is made, by [`bedrock_diy_http::Client::public`].

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bedrock_diy_core::{
    limits,
    ports::{Sender, Sent},
    webhook::Signed,
};
use bedrock_diy_http::Client;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue, USER_AGENT},
};
use tokio::time::{Instant, timeout_at};

/// Sends by HTTP/1.1, with a connection for each delivery.
#[derive(Clone)]
pub struct HttpSender {
    client: Arc<Client>,
    to_this_machine: bool,
}

impl HttpSender {
    /// To the public internet; to this machine, too, only where that is said, for development and tests.
    #[must_use]
    pub fn new(to_this_machine: bool) -> Self {
        let client = Client::public(
            to_this_machine,
            limits::WEBHOOK_HEAD_BYTES,
            limits::WEBHOOK_HEADERS,
        );
        Self {
            client: Arc::new(client),
            to_this_machine,
        }
    }
}

#[async_trait]
impl Sender for HttpSender {
    fn accepts(&self, url: &str) -> Result<(), String> {
        self.client
            .accepts(url)
            .map_err(|must| format!("this can't be a webhook's address: it {must}"))
    }

    async fn send(&self, signed: &Signed) -> Sent {
        let deadline = Instant::now() + Duration::from_secs(limits::WEBHOOK_SECONDS);
        let request = match request(signed) {
            Ok(request) => request,
            Err(why) => return Sent::Unanswered(why),
        };
        let response = match timeout_at(deadline, self.client.send(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Sent::Unanswered(error.to_string()),
            Err(_) => {
                return Sent::Unanswered(format!(
                    "there was no answer within {} seconds",
                    limits::WEBHOOK_SECONDS
                ));
            }
        };
        Sent::Answered {
            status: response.status().as_u16(),
            body: beginning(response.into_body(), deadline).await,
        }
    }
}

/// The request as it goes out.
fn request(signed: &Signed) -> Result<Request<Full<Bytes>>, String> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(&signed.url)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(
            USER_AGENT,
            HeaderValue::from_static(concat!("BedrockDiy/", env!("CARGO_PKG_VERSION"))),
        );
    for (name, value) in &signed.headers {
        request = request.header(*name, value);
    }
    request
        .body(Full::new(signed.body.clone().into()))
        .map_err(|error| format!("the request can't be made: {error}"))
}

/// An answer's first bytes, as text, as far as they come in time. No more is read: the connection is closed.
async fn beginning(mut body: Incoming, deadline: Instant) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < limits::WEBHOOK_ANSWER_BYTES {
        match timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    bytes.extend_from_slice(data);
                }
            }
            // It ended, broke off, or is too slow: the status counts all the same.
            Ok(None | Some(Err(_))) | Err(_) => break,
        }
    }
    bytes.truncate(limits::WEBHOOK_ANSWER_BYTES);
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    // What is no text is longer as text.
    let end = text.floor_char_boundary(limits::WEBHOOK_ANSWER_BYTES);
    text.truncate(end);
    text
}

impl fmt::Debug for HttpSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSender")
            .field("to_this_machine", &self.to_this_machine)
            .finish_non_exhaustive()
    }
}
