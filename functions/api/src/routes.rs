//! A file a kind of thing: its routes, and what each does.

pub(crate) mod about;
pub(crate) mod articles;
pub(crate) mod batches;
pub(crate) mod deliveries;
pub(crate) mod estimates;
pub(crate) mod events;
pub(crate) mod hooks;
pub(crate) mod jobs;
pub(crate) mod projects;
pub(crate) mod prompts;
pub(crate) mod results;
pub(crate) mod revisions;
pub(crate) mod sessions;
pub(crate) mod tables;
pub(crate) mod trying;
pub(crate) mod uploads;
pub(crate) mod webhook_deliveries;
pub(crate) mod webhooks;

use axum::{
    extract::{FromRequestParts, Path},
    http::{HeaderValue, request::Parts},
};
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// What a path names. An id that can't be one names nothing: 404.
pub(crate) struct At<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(named)) => Ok(Self(named)),
            Err(_) => Err(Problem::not_found("There is nothing of such a name.")),
        }
    }
}

/// Where something new is. Ids of ours need no escapes.
pub(crate) fn located(path: &str) -> HeaderValue {
    HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"))
}
