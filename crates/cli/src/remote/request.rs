//! Requests: put together, sent, and sent again where that can do no harm.

use std::time::Duration;

use bedrock_diy_core::{Code, Failure, error::Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, IF_MATCH, USER_AGENT},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use tokio::time::{sleep, timeout};

use super::{
    Refusal, Remote,
    answer::{Answer, document, retry_after},
};

/// How long an answer may take to begin: API Gateway ends a request after 29 seconds, an export looks at every job
/// of its batch before it begins.
const ANSWER: Duration = Duration::from_mins(3);

/// How often a request is sent at most.
const TRIES: u32 = 5;

/// The same of one that outlasts a restart of the other side, which may take a minute: half of that to stop.
const PATIENT_TRIES: u32 = 10;

/// The longest that is waited before it is sent again, whatever the other side asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A request that is being put together.
pub(crate) struct Call<'a> {
    remote: &'a Remote,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
    patience: Patience,
    /// What is wrong with it already; told when it is sent.
    unfit: Option<Failure>,
}

/// When a request is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// Never: it may have been done, and would be done twice.
    Never,
    /// Where the other side says that it has not been done, or has no time for it now.
    WhenTold,
    /// Also where there is no connection.
    Always,
    /// The same, for a minute and more.
    Long,
}

impl Remote {
    /// Reads something.
    pub(crate) fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path, Patience::WhenTold)
    }

    /// Sends something.
    pub(crate) fn post(&self, path: &str) -> Call<'_> {
        self.call(Method::POST, path, Patience::Never)
    }

    /// Changes something.
    pub(crate) fn patch(&self, path: &str) -> Call<'_> {
        self.call(Method::PATCH, path, Patience::Never)
    }

    /// Deletes something.
    pub(crate) fn delete(&self, path: &str) -> Call<'_> {
        self.call(Method::DELETE, path, Patience::Never)
    }

    fn call(&self, method: Method, path: &str, patience: Patience) -> Call<'_> {
        Call {
            remote: self,
            method,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            patience,
            unfit: None,
        }
    }

    /// Puts a file where a ticket says: an address, or a path of this API. The ticket is what opens it, so that no
    /// token goes along.
    pub(crate) async fn put(
        &self,
        url: &str,
        headers: impl IntoIterator<Item = (&str, &str)>,
        file: Bytes,
    ) -> Result<(), Refusal> {
        let uri = if url.starts_with('/') {
            self.endpoint.at(url)?
        } else {
            let address = bedrock_diy_http::Address::parse(url).map_err(|why| {
                // The address itself is what opens the place: it is not repeated.
                Failure::new(Code::InternalError, format!("the upload's address {why}"))
            })?;
            address.uri().clone()
        };
        let mut call = self.call(Method::PUT, "the upload", Patience::Always);
        call.body = file;
        for (name, value) in headers {
            call = call.header(name, value);
        }
        call.tried(&uri, None).await.map(drop)
    }
}

impl Call<'_> {
    /// With a parameter behind the question mark.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.path += if self.path.contains('?') { "&" } else { "?" };
        self.path += &format!("{name}={}", escaped(value));
        self
    }

    /// With a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            self.headers.insert(name, value);
        } else {
            let detail = format!("{value:?} can't be sent as `{name}`");
            self.unfit = Some(Failure::new(Code::InvalidRequest, detail));
        }
        self
    }

    /// Made from this version of what it changes: refused where there is a newer one.
    pub(crate) fn if_match(self, version: u32) -> Self {
        self.header(IF_MATCH.as_str(), &format!("\"{version}\""))
    }

    /// With a JSON document.
    pub(crate) fn json(self, document: &impl Serialize) -> Self {
        match serde_json::to_vec(document) {
            Ok(bytes) => self.body("application/json", bytes.into()),
            Err(error) => {
                let detail = format!("it can't be sent as JSON: {error}");
                Self {
                    unfit: Some(Failure::new(Code::InternalError, detail)),
                    ..self
                }
            }
        }
    }

    /// With a body.
    pub(crate) fn body(mut self, media_type: &str, body: Bytes) -> Self {
        self.body = body;
        self.header(CONTENT_TYPE.as_str(), media_type)
    }

    /// Sent again also where there is no connection: doing it twice is as good as doing it once.
    pub(crate) fn persistent(self) -> Self {
        Self {
            patience: Patience::Always,
            ..self
        }
    }

    /// The same, through a restart of the other side.
    pub(crate) fn patient(self) -> Self {
        Self {
            patience: Patience::Long,
            ..self
        }
    }

    /// Sends it.
    pub(crate) async fn send(self) -> Result<Answer, Refusal> {
        let uri = self.remote.endpoint.at(&self.path)?;
        let (tokens, http) = (&self.remote.tokens, &self.remote.http);
        let token = tokens.token(http).await?;
        let refused = match self.tried(&uri, Some(&token)).await {
            Err(refused) if refused.status == Some(401) => refused,
            answered => return answered,
        };
        // A token that was kept may be too old, or taken back.
        match tokens.renew(http, &token).await? {
            Some(token) => self.tried(&uri, Some(&token)).await,
            None => Err(refused),
        }
    }

    async fn tried(&self, uri: &Uri, token: Option<&str>) -> Result<Answer, Refusal> {
        let most = if self.patience == Patience::Long {
            PATIENT_TRIES
        } else {
            TRIES
        };
        let mut tries = 0;
        loop {
            tries += 1;
            let (refusal, asked) = match self.once(uri, token).await {
                Ok(answer) => return Ok(answer),
                Err(refused) => refused,
            };
            let again = match refusal.status {
                None => matches!(self.patience, Patience::Always | Patience::Long),
                Some(429 | 503) => self.patience != Patience::Never,
                Some(_) => false,
            };
            if !again || tries == most {
                return Err(refusal);
            }
            tracing::info!(tries, error = %refusal.failure.detail, "sent again soon");
            sleep(asked.unwrap_or_else(|| backoff(tries)).min(LONGEST_WAIT)).await;
        }
    }

    /// Sends it once. A refusal comes with how long to wait before it is sent again, where that was said.
    async fn once(&self, uri: &Uri, token: Option<&str>) -> Result<Answer, (Refusal, Option<Duration>)> {
        let at_once = |refusal: Refusal| (refusal, None);
        let request = self
            .request(uri, token)
            .map_err(|failure| at_once(failure.into()))?;
        let address = || self.remote.address();
        let sent = timeout(ANSWER, self.remote.http.send(request))
            .await
            .map_err(|_| {
                let seconds = ANSWER.as_secs();
                at_once(Refusal::unanswered(format!(
                    "{} did not answer within {seconds} seconds",
                    address()
                )))
            })?;
        let response = sent.map_err(|error| at_once(Refusal::unanswered(unreachable(&address(), &error))))?;
        let status = response.status();
        if status.is_success() {
            return Ok(Answer::of(response, self.what()));
        }
        let asked = retry_after(response.headers());
        let status = status.as_u16();
        let body = document(response.into_body()).await.unwrap_or_default();
        let advice = self.remote.tokens.advice();
        Err((Refusal::of(status, &body, &self.what(), &advice), asked))
    }

    fn request(&self, uri: &Uri, token: Option<&str>) -> Result<Request<Full<Bytes>>> {
        if let Some(unfit) = &self.unfit {
            return Err(unfit.clone());
        }
        let unfit = |what: &str| Failure::new(Code::InvalidRequest, format!("{what} can't be sent"));
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri.clone();
        let headers = request.headers_mut();
        headers.insert(
            ACCEPT,
            HeaderValue::from_static("application/json, application/problem+json, */*"),
        );
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("bedrock-diy/", env!("CARGO_PKG_VERSION"))),
        );
        headers.extend(self.headers.clone());
        if let Some(token) = token {
            let bearer = HeaderValue::try_from(format!("Bearer {token}"));
            let mut bearer = bearer.map_err(|_| unfit("the token has characters that no token has: it"))?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        Ok(request)
    }

    /// The request as people name it.
    fn what(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{} {path}", self.method)
    }
}

/// A name that people chose, as a part of a path or a parameter (RFC 3986, section 3.3).
pub(crate) fn escaped(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

fn unreachable(address: &str, error: &bedrock_diy_http::SendError) -> String {
    if error.is_connect() {
        format!("{address} can't be reached: {error}. Is the address right, and does the server run?")
    } else {
        format!("{address} gave no answer: {error}")
    }
}

/// 0.25 s, 0.5 s, 1 s …, up to half as much again, so that many do not come at once.
fn backoff(tries: u32) -> Duration {
    let base = Duration::from_millis(250 << (tries - 1).min(6));
    base.mul_f64(1.0 + rand::random::<f64>() / 2.0)
}
