//! Who asks: the door that every request under `/api` goes through.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bedrock_diy_core::{
    Code, Failure,
    access::{self, Caller, Refused},
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

/// Lets a request in whose caller is known.
pub(crate) async fn identify(
    State(identity): State<Arc<dyn Identity>>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    match caller(&*identity, &parts).await {
        Ok(caller) => {
            parts.extensions.insert(By(caller));
            next.run(Request::from_parts(parts, body)).await
        }
        Err(problem) => problem.into_response(),
    }
}

async fn caller(identity: &dyn Identity, request: &Parts) -> Result<Caller, Problem> {
    let said = request.headers.get(header::AUTHORIZATION);
    let said = said.map(|said| said.to_str().unwrap_or_default());
    let known = match access::bearer(said, None) {
        Ok(token) => identity.caller(token).await,
        Err(refused) => Err(refused),
    };
    known.map_err(|refused| match refused {
        Refused::Invalid(why) => Problem::unauthorized(format!("{why}.")),
        Refused::Unavailable(why) => Failure::new(Code::StorageUnavailable, why).into(),
    })
}

fn nobody() -> Problem {
    Problem::unauthorized("Say who you are: `Authorization: Bearer …`.")
}
