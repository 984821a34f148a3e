//! What an OAuth 2.0 token endpoint is asked (RFC 6749), as Amazon Cognito has it.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bedrock_diy_core::{Code, Failure, error::Result};
use bedrock_diy_http::{Address, Client};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;
use tokio::time::timeout;

use super::request::escaped;
use crate::terminal::plain;

/// How long one answer may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// The longest answer, in bytes: some tokens.
const LONGEST: usize = 256 * 1024;

/// What was granted.
#[derive(Deserialize)]
pub(super) struct Grant {
    pub(super) access_token: String,
    /// In seconds.
    #[serde(default)]
    pub(super) expires_in: u64,
    pub(super) refresh_token: Option<String>,
}

/// Who a client is, where it has a secret.
pub(super) struct Secret<'a> {
    pub(super) client_id: &'a str,
    pub(super) secret: &'a str,
}

/// Why nothing was granted.
pub(super) enum Refused {
    /// The issuer says so, by this name (RFC 6749, section 5.2).
    Error(String),
    /// There was no answer that could be understood.
    Unavailable(Failure),
}

#[derive(Deserialize)]
struct Said {
    error: String,
}

/// Asks for tokens. No secret and no token gets into an error.
pub(super) async fn grant(
    http: &Client,
    endpoint: &Address,
    form: &[(&str, &str)],
    secret: Option<Secret<'_>>,
) -> Result<Grant, Refused> {
    let unavailable = |why: String| {
        let detail = format!("{endpoint} grants no token: {why}");
        Refused::Unavailable(Failure::new(Code::StorageUnavailable, detail))
    };
    let (status, body) = post(http, endpoint, form, secret).await.map_err(unavailable)?;
    if status.is_success() {
        // What is wrong with it may quote it.
        return serde_json::from_slice(&body).map_err(|_| unavailable("its answer is not understood".into()));
    }
    match serde_json::from_slice::<Said>(&body) {
        Ok(said) if status.is_client_error() => Err(Refused::Error(plain(&said.error).into_owned())),
        _ => Err(unavailable(format!("the answer is {status}"))),
    }
}

/// Has a refresh token taken back (RFC 7009). It is forgotten here either way.
pub(super) async fn revoke(http: &Client, endpoint: &Address, client_id: &str, token: &str) -> bool {
    let form = [("token", token), ("client_id", client_id)];
    post(http, endpoint, &form, None)
        .await
        .is_ok_and(|(status, _)| status.is_success())
}

async fn post(
    http: &Client,
    endpoint: &Address,
    form: &[(&str, &str)],
    secret: Option<Secret<'_>>,
) -> Result<(StatusCode, Bytes), String> {
    let pairs: Vec<_> = form
        .iter()
        .map(|(name, value)| format!("{name}={}", escaped(value)))
        .collect();
    let mut request = Request::new(Full::new(Bytes::from(pairs.join("&"))));
    *request.method_mut() = hyper::Method::POST;
    *request.uri_mut() = endpoint.uri().clone();
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    if let Some(Secret { client_id, secret }) = secret {
        let both = STANDARD.encode(format!("{}:{}", escaped(client_id), escaped(secret)));
        let mut basic = HeaderValue::try_from(format!("Basic {both}")).map_err(|error| error.to_string())?;
        basic.set_sensitive(true);
        headers.insert(AUTHORIZATION, basic);
    }
    let asked = async {
        let response = http.send(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
        let body = body.map_err(|error| error.to_string())?;
        Ok((status, body.to_bytes()))
    };
    let answered = timeout(DEADLINE, asked).await;
    answered.map_err(|_| format!("it did not answer within {} seconds", DEADLINE.as_secs()))?
}
