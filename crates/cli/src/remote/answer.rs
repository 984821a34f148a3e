//! Answers: their heads first, their bodies as they are wanted.

use std::{io::Write, time::Duration};

use bedrock_diy_core::{Code, Failure, error::Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Collected, Limited};
use hyper::{HeaderMap, Response, body::Incoming, header::RETRY_AFTER};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

/// How long the next piece of an answer may take.
const PIECE: Duration = Duration::from_mins(1);

/// How long a document may take.
const DOCUMENT_TIME: Duration = Duration::from_mins(3);

/// The largest document that is read into memory, in bytes.
const DOCUMENT: usize = 64 * 1024 * 1024;

/// What came back: its head, and a body that is still to come.
pub(crate) struct Answer {
    headers: HeaderMap,
    body: Incoming,
    what: String,
}

impl Answer {
    pub(super) fn of(response: Response<Incoming>, what: String) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            headers: parts.headers,
            body,
            what,
        }
    }

    /// When to ask again, where the answer says.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.headers)
    }

    /// Whether what was asked for had been done before.
    pub(crate) fn is_replay(&self) -> bool {
        self.headers.contains_key("idempotent-replayed")
    }

    /// The body as a document.
    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<T> {
        let body = document(self.body)
            .await
            .map_err(|error| broken(&self.what, &error))?;
        serde_json::from_slice(&body).map_err(|error| {
            let detail = format!(
                "{} was answered with something that is not understood: {error}",
                self.what
            );
            Failure::new(Code::StorageUnavailable, detail)
        })
    }

    /// The body as text.
    pub(crate) async fn text(self) -> Result<String> {
        let body = document(self.body)
            .await
            .map_err(|error| broken(&self.what, &error))?;
        String::from_utf8(body.into()).map_err(|_| broken(&self.what, "it is no text in UTF-8"))
    }

    /// Writes the body as it comes. The outer failure is the transfer's, the inner one the writer's.
    pub(crate) async fn save(mut self, out: &mut impl Write) -> Result<std::io::Result<()>> {
        loop {
            let frame = timeout(PIECE, self.body.frame()).await;
            let frame = frame.map_err(|_| broken(&self.what, "no more came"))?;
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|error| broken(&self.what, &bedrock_diy_http::causes(&error)))?;
            if let Some(piece) = frame.data_ref()
                && let Err(error) = out.write_all(piece)
            {
                return Ok(Err(error));
            }
        }
        Ok(out.flush())
    }
}

/// The whole body, or why it can't be had.
pub(super) async fn document(body: Incoming) -> Result<Bytes, String> {
    let read = timeout(DOCUMENT_TIME, Limited::new(body, DOCUMENT).collect()).await;
    let read = read.map_err(|_| "it did not come to its end".to_owned())?;
    read.map(Collected::to_bytes)
        .map_err(|error| bedrock_diy_http::causes(error.as_ref()))
}

fn broken(what: &str, why: &str) -> Failure {
    Failure::new(
        Code::StorageUnavailable,
        format!("the answer to {what} broke off: {why}; do this again"),
    )
}

/// `Retry-After` in seconds (RFC 9110, section 10.2.3). A date is not taken: clocks differ.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
