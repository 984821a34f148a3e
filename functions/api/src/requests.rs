//! What every request has: an id, a line in the log, and an answer that is a document where it is a problem.

use std::{any::Any, time::Instant};

use axum::{
    body::{Body, to_bytes},
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use ulid::Ulid;

use crate::{problem::Problem, verbs};

/// The header that has the request's id.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A body of so many bytes is small.
const SMALL_BODY: usize = 64 * 1024;

/// The longest request id that is taken from a caller, in bytes.
const LONGEST_ID: usize = 128;

/// The outermost layer.
pub(crate) async fn attend(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = request_id(&request);
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = match with_small_body(request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let code = response.extensions().get::<Problem>().map(Problem::code);
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let headers = std::mem::take(response.headers_mut());
        response = problem.response(&verbs::asked(uri.path()), &id);
        // Whatever layers added: CORS, `Allow`.
        for (name, value) in &headers {
            response
                .headers_mut()
                .entry(name)
                .or_insert_with(|| value.clone());
        }
    }
    let duration = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(
        request_id = id.as_str(),
        // The template of the path, and no address: those hold ids of sessions and batches, which people choose.
        route = route.map_or_else(|| "none".to_owned(), |route| verbs::asked(route.as_str())),
        %method,
        status = response.status().as_u16(),
        code,
        duration_ms = duration,
        "request"
    );
    if let Ok(value) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The request with its body read, where that is said to be small: whoever is refused before anybody looks at the
/// body keeps their connection. One with unread bytes on it would have to be closed, under the next request maybe.
async fn with_small_body(request: Request) -> Result<Request, Problem> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_none_or(|length| length == 0 || length > SMALL_BODY) {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, SMALL_BODY).await;
    let bytes = bytes.map_err(|_| Problem::malformed("The body broke off before its end."))?;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

/// The caller's id for the request where it is one, else a new one.
fn request_id(request: &Request) -> String {
    let said = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let plain = |id: &&str| {
        !id.is_empty()
            && id.len() <= LONGEST_ID
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.=".contains(&byte))
    };
    said.filter(plain)
        .map_or_else(|| new_id().to_string(), str::to_owned)
}

fn new_id() -> Ulid {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Ulid::from_parts(
        now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX)),
        rand::random(),
    )
}

/// A handler that died is a fault of ours, not a connection that breaks.
pub(crate) fn died(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a handler panicked");
    Problem::internal().into_response()
}

/// No route has this path.
pub(crate) async fn nowhere() -> Problem {
    Problem::not_found("There is nothing here: /docs shows what there is.")
}

/// The path has no such method.
pub(crate) async fn no_such_method() -> Problem {
    Problem::method_not_allowed()
}
