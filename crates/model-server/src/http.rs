//! From an HTTP request to a model and back.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request as HttpRequest, Response, StatusCode};
use percent_encoding::percent_decode_str;
use thiserror::Error;

use crate::body::{Body, StreamBody, collect};
use crate::control;
use crate::model::{Model, Operation, Refusal, Request};
use crate::observe::{CallGuard, Observer};
use crate::server::Settings;
use crate::wire::anthropic::Messages;
use crate::wire::converse::Converse;
use crate::wire::dialect::{Dialect, Timing};
use crate::wire::errors::{ErrorKind, ServiceError};
use crate::wire::request::parse;

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const STREAM_CONTENT_TYPE: HeaderName = HeaderName::from_static("x-amzn-bedrock-content-type");
const INPUT_TOKENS: HeaderName = HeaderName::from_static("x-amzn-bedrock-input-token-count");
const OUTPUT_TOKENS: HeaderName = HeaderName::from_static("x-amzn-bedrock-output-token-count");
const LATENCY: HeaderName = HeaderName::from_static("x-amzn-bedrock-invocation-latency");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("application/vnd.amazon.eventstream");

/// What all connections of a server share.
pub(crate) struct Shared {
    pub(crate) model: Arc<dyn Model>,
    pub(crate) observer: Arc<Observer>,
    pub(crate) settings: Settings,
}

/// Makes the HTTP layer close a connection without another byte.
#[derive(Debug, Error)]
#[error("the connection is closed on purpose")]
pub(crate) struct Disconnect;

/// Answers one HTTP request.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    peer: SocketAddr,
    request: HttpRequest<Incoming>,
) -> Result<Response<Body>, Disconnect> {
    let path = request.uri().path();
    if let Some(command) = path.strip_prefix(control::PREFIX) {
        let command = command.to_owned();
        return Ok(control::serve(&shared, peer, &command, request).await);
    }
    let Some((operation, model_id)) = route(request.method(), path) else {
        return Ok(error(&ErrorKind::UnknownOperation.into()));
    };
    let mut call = shared.observer.begin(&model_id);
    match answer(&shared, operation, &model_id, request, &mut call).await {
        Ok(Reply::Whole(response)) => Ok(response),
        Ok(Reply::Stream(answer, dialect, timing)) => Ok(with_id(
            Response::new(Body::Stream(Box::new(StreamBody::new(
                answer, dialect, timing, call,
            )))),
            &[(CONTENT_TYPE, EVENT_STREAM), (STREAM_CONTENT_TYPE, JSON)],
        )),
        Err(Refusal::Error(refusal)) => {
            call.outcome(refusal.kind.code());
            Ok(error(&refusal))
        }
        Err(Refusal::Disconnect) => {
            call.outcome("disconnected");
            Err(Disconnect)
        }
    }
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read(mut body: Incoming, limit: usize) -> Result<Bytes, ServiceError> {
    let too_long = || ServiceError::validation(format!("The request's body has more than {limit} bytes."));
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if expected > limit {
        return Err(too_long());
    }
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| ServiceError::validation(format!("The body broke off: {error}.")))?;
        let Ok(data) = frame.into_data() else { continue };
        // One frame is the whole body of most requests, and needs no copy then.
        if all.is_empty() && body.is_end_stream() {
            return if data.len() > limit {
                Err(too_long())
            } else {
                Ok(data)
            };
        }
        if all.len() + data.len() > limit {
            return Err(too_long());
        }
        all.reserve(data.len().max(expected.saturating_sub(all.len())));
        all.extend_from_slice(&data);
    }
    Ok(all.freeze())
}

/// A response with a JSON body.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = with_id(Response::new(Body::whole(body)), &[(CONTENT_TYPE, JSON)]);
    *response.status_mut() = status;
    response
}

/// A response that carries one of Bedrock's exceptions.
pub(crate) fn error(error: &ServiceError) -> Response<Body> {
    let status = StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, error.body());
    // The name's tail is Bedrock's own; SDKs cut it off at the colon.
    let name = format!(
        "{}:http://internal.amazon.com/coral/com.amazon.bedrock/",
        error.kind.code()
    );
    insert(&mut response, ERROR_TYPE, name);
    response
}

enum Reply {
    Whole(Response<Body>),
    Stream(crate::model::Answer, Box<dyn Dialect>, Timing),
}

async fn answer(
    shared: &Shared,
    operation: Operation,
    model_id: &str,
    http: HttpRequest<Incoming>,
    call: &mut CallGuard,
) -> Result<Reply, Refusal> {
    let timing = Timing::start();
    let may_ask = !shared.settings.require_authorization || http.headers().contains_key(AUTHORIZATION);
    // In any case: a connection that is closed on an unread body is reset, and the refusal may be lost.
    let body = read(http.into_body(), shared.settings.max_body_bytes).await?;
    if !may_ask {
        return Err(ServiceError::from(ErrorKind::MissingAuthenticationToken).into());
    }
    let request = Arc::new(parse(operation, model_id, body)?);
    call.record(operation, &request);
    match operation {
        Operation::CountTokens => {
            let tokens = shared.model.count_tokens(&request)?;
            call.outcome("counted");
            Ok(Reply::Whole(json(
                StatusCode::OK,
                format!(r#"{{"inputTokens":{tokens}}}"#),
            )))
        }
        Operation::Converse | Operation::InvokeModel => {
            let dialect = dialect(shared, operation, &request);
            let answer = shared.model.answer(request).await?;
            let mut timing = timing;
            let (blocks, stop) = collect(answer, &mut timing).await?;
            call.outcome(stop.reason.as_str());
            let mut response = json(StatusCode::OK, dialect.whole(&blocks, &stop, &timing));
            insert(&mut response, INPUT_TOKENS, stop.usage.input_tokens.to_string());
            insert(&mut response, OUTPUT_TOKENS, stop.usage.output_tokens.to_string());
            insert(&mut response, LATENCY, timing.latency_ms().to_string());
            Ok(Reply::Whole(response))
        }
        Operation::ConverseStream | Operation::InvokeModelWithResponseStream => {
            let dialect = dialect(shared, operation, &request);
            let answer = shared.model.answer(request).await?;
            Ok(Reply::Stream(answer, dialect, timing))
        }
    }
}

fn dialect(shared: &Shared, operation: Operation, request: &Request) -> Box<dyn Dialect> {
    match operation {
        Operation::InvokeModel | Operation::InvokeModelWithResponseStream => Box::new(Messages {
            model_id: request.model_id.clone(),
            message_id: format!("msg_bdrk_{:024x}", fastrand::u128(..) >> 32),
            input_tokens: shared.model.count_tokens(request).unwrap_or(0),
        }),
        Operation::Converse | Operation::ConverseStream | Operation::CountTokens => Box::new(Converse),
    }
}

/// `POST /model/{modelId}/{operation}`. A model id may be an ARN, whose slashes some clients leave as they are.
fn route(method: &Method, path: &str) -> Option<(Operation, String)> {
    if method != Method::POST {
        return None;
    }
    let (model_id, operation) = path.strip_prefix("/model/")?.rsplit_once('/')?;
    let operation = Operation::of_segment(operation)?;
    let model_id = percent_decode_str(model_id).decode_utf8().ok()?;
    (!model_id.is_empty()).then(|| (operation, model_id.into_owned()))
}

fn with_id(mut response: Response<Body>, headers: &[(HeaderName, HeaderValue)]) -> Response<Body> {
    for (name, value) in headers {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    let id = fastrand::u128(..);
    // The shape of a random UUID, without being one: nothing but people reads it.
    let id = format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        id >> 96,
        (id >> 80) & 0xffff,
        (id >> 64) & 0xfff,
        (id >> 48) & 0xfff,
        id & 0xffff_ffff_ffff
    );
    insert(&mut response, REQUEST_ID, id);
    response
}

fn insert(response: &mut Response<Body>, name: HeaderName, value: String) {
    // Every value here is made of printable ASCII.
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_ids_and_arns_are_decoded() {
        let arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-v1:0";
        let encoded = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.anthropic.claude-v1%3A0/converse";
        let bare = format!("/model/{arn}/converse");
        for path in [encoded, &bare] {
            assert_eq!(
                route(&Method::POST, path),
                Some((Operation::Converse, arn.to_owned()))
            );
        }
    }

    #[test]
    fn other_methods_and_paths_are_no_operation() {
        assert_eq!(route(&Method::GET, "/model/m/converse"), None);
        for path in [
            "/",
            "/model/m",
            "/model/m/delete",
            "/model//converse",
            "/model/%ff/converse",
        ] {
            assert_eq!(route(&Method::POST, path), None, "{path}");
        }
    }
}
