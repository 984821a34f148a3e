//! Actions on a thing: `POST /api/jobs/{jobId}:cancel`.
//!
//! The router takes a parameter for a whole segment of a path only, so inside an action is a segment of its
//! own: `/api/jobs/{jobId}/~cancel`. Requests and the OpenAPI document are turned from one into the other
//! here.

use axum::{
    extract::Request,
    http::{Uri, uri::PathAndQuery},
};
use utoipa::openapi::OpenApi;

/// What an action's segment begins with inside.
const INSIDE: &str = "/~";

/// A request for `…:action` as the router knows it.
pub(crate) fn inward(mut request: Request) -> Request {
    if let Some(uri) = inner(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}

fn inner(uri: &Uri) -> Option<Uri> {
    let (things, last) = uri.path().rsplit_once('/')?;
    // What looks like an inner path from outside is none of ours.
    if last.starts_with('~') {
        return with_path(uri, "/");
    }
    let (thing, action) = last.rsplit_once(':')?;
    let is_action = !action.is_empty() && action.bytes().all(|byte| byte.is_ascii_lowercase());
    if thing.is_empty() || !is_action {
        return None;
    }
    with_path(uri, &format!("{things}/{thing}{INSIDE}{action}"))
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let whole = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(whole.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

/// A path as it was asked for.
pub(crate) fn asked(path: &str) -> String {
    path.replace(INSIDE, ":")
}

/// The document with its paths as they are asked for.
pub(crate) fn outward(mut document: OpenApi) -> OpenApi {
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths
        .into_iter()
        .map(|(path, item)| (asked(&path), item))
        .collect();
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(uri: &str) -> String {
        let uri: Uri = uri.parse().unwrap();
        inner(&uri).unwrap_or(uri).to_string()
    }

    #[test]
    fn an_action_is_a_segment_of_its_own_inside() {
        assert_eq!(path("/api/jobs/01J:cancel"), "/api/jobs/01J/~cancel");
        assert_eq!(
            path("/api/projects/news/prompts:reorder?x=a:b"),
            "/api/projects/news/prompts/~reorder?x=a:b"
        );
        assert_eq!(
            path("/api/projects/news/batches/mon:day/results"),
            "/api/projects/news/batches/mon:day/results"
        );
        assert_eq!(path("/api/jobs/01J"), "/api/jobs/01J");
        assert_eq!(path("/api/jobs/01J:"), "/api/jobs/01J:");
    }

    #[test]
    fn nobody_asks_for_an_inner_path() {
        assert_eq!(path("/api/jobs/01J/~cancel"), "/");
    }
}
