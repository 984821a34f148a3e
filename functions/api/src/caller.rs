//! Who asks: the door that every request under `/api` goes through.

use std::{borrow::Cow, sync::Arc};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{HeaderValue, Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bedrock_diy_core::{
    Code, Failure,
    access::{Caller, Refused},
    bearer::{self, NoToken},
    ports::Identity,
};

use crate::problem::Problem;

/// The caller of a request.
#[derive(Debug, Clone)]
pub(crate) struct By(pub(crate) Caller);

impl<S: Sync> FromRequestParts<S> for By {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Not there only where a route was left outside the door: it must not open then.
        parts.extensions.remove::<Self>().ok_or_else(nobody)
    }
}

/// The one route that takes a token as a parameter: pages open it as an `EventSource`, which can set no header.
pub(crate) const BY_PARAMETER: (Method, &str) = (Method::GET, "/api/jobs/{jobId}/events");

/// Lets a request in whose caller is known.
pub(crate) async fn identify(
    State(identity): State<Arc<dyn Identity>>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let (caller, by_parameter) = match shown(&parts) {
        Ok((parameter, header)) => (
            caller(&*identity, header, parameter.as_deref()).await,
            parameter.is_some(),
        ),
        Err(problem) => (Err(problem), false),
    };
    let mut response = match caller {
        Ok(caller) => {
            parts.extensions.insert(By(caller));
            next.run(Request::from_parts(parts, body)).await
        }
        Err(problem) => problem.into_response(),
    };
    if by_parameter {
        // Whoever keeps an answer keeps its address, with the token (RFC 6750, section 2.3).
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

async fn caller(
    identity: &dyn Identity,
    header: Option<&str>,
    parameter: Option<&str>,
) -> Result<Caller, Problem> {
    let token = bearer::token(header, parameter).map_err(untold)?;
    identity.caller(token).await.map_err(|refused| match refused {
        Refused::Invalid(why) => Problem::unauthorized(format!("{why}.")),
        Refused::Unavailable(why) => Failure::new(Code::StorageUnavailable, why).into(),
    })
}

/// What a request shows: a token as a parameter, where the route takes one there, and its header.
fn shown(request: &Parts) -> Result<(Option<Cow<'_, str>>, Option<&str>), Problem> {
    let header = request.headers.get(header::AUTHORIZATION);
    let header = header.map(|said| said.to_str()).transpose();
    let header = header.map_err(|_| nobody())?;
    let (method, route) = BY_PARAMETER;
    let path = request.extensions.get::<MatchedPath>();
    if request.method != method || path.is_none_or(|path| path.as_str() != route) {
        return Ok((None, header));
    }
    let parameter = bearer::parameter(request.uri.query().unwrap_or_default());
    Ok((parameter.map_err(untold)?, header))
}

fn untold(why: NoToken) -> Problem {
    match why {
        NoToken::Missing => nobody(),
        NoToken::Twice => Problem::malformed(
            "Show one token, in one way: in the header `Authorization`, or as the parameter `access_token`.",
        ),
    }
}

fn nobody() -> Problem {
    Problem::unauthorized("Say who you are: `Authorization: Bearer …`.")
}
