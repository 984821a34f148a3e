//! Long lists, a page at a time.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bedrock_diy_core::page;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;

/// How many items a page has where nothing is said, and at most.
const USUAL: usize = 50;
const MOST: usize = 200;

/// Which page of a list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// At most so many items; 50 where nothing is said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Where the page begins: `next` of the page before. Only what this list gave is understood.
    #[param(max_length = 2000)]
    cursor: Option<String>,
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// Its items.
    pub(crate) items: Vec<T>,
    /// Where the next page begins: send it as `cursor`. Not there on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

impl PageQuery {
    /// What the ports are asked for. Fails with 400.
    pub(crate) fn request(&self) -> Result<page::PageRequest, Problem> {
        let limit = self.limit.unwrap_or(USUAL);
        if !(1..=MOST).contains(&limit) {
            return Err(Problem::parameter(
                "limit",
                format!("it must lie between 1 and {MOST}"),
            ));
        }
        let cursor = self.cursor.as_deref().map(decode).transpose()?;
        Ok(page::PageRequest { limit, cursor })
    }
}

impl<T> Page<T> {
    /// A page of the ports, as it is shown.
    pub(crate) fn of<U>(found: page::Page<U>, show: impl FnMut(U) -> T) -> Self {
        Self {
            items: found.items.into_iter().map(show).collect(),
            next: found.next.map(|cursor| URL_SAFE_NO_PAD.encode(cursor)),
        }
    }
}

/// Adapters' cursors hold keys; nobody is to read them, or to make their own.
fn decode(cursor: &str) -> Result<String, Problem> {
    let unknown = || Problem::parameter("cursor", "this list gave no such cursor");
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| unknown())?;
    String::from_utf8(bytes).map_err(|_| unknown())
}

/// The parameters behind the question mark. Fails with 400.
pub(crate) struct Asking<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asking<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => Err(Problem::malformed(format!(
                "The parameters behind the question mark can't be read: {}.",
                rejection.body_text()
            ))),
        }
    }
}
