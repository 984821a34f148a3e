//! HTTP requests as API Gateway hands them over.

use std::convert::Infallible;

use axum::{Router, body::Body, extract::OriginalUri, http::Uri, response::Response};
use http_body_util::{BodyExt, combinators::MapErr};
use lambda_http::{Request, request::RequestContext};
use lambda_runtime::Error;
use tower::{
    Layer,
    util::{MapRequestLayer, MapResponseLayer},
};

/// Answers requests for as long as the process lives, each answer as it is made: the gateway's integrations must
/// have the response transfer mode `STREAM`.
///
/// `AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH` must be set: the router knows its paths without a stage in front.
pub async fn serve(router: Router) -> Result<(), Error> {
    let handler = MapRequestLayer::new(with_original).layer(router);
    lambda_http::run_with_streaming_response(MapResponseLayer::new(whole_or_broken_off).layer(handler)).await
}

/// An answer that ends is whole: one that can't be ends the process.
///
/// The runtime has no other way to say so: it writes an error into the answer as if that were more of it, and ends
/// it well (`lambda_runtime` 1.5, `requests.rs`); so does one that is dropped. When the process ends, Lambda breaks
/// the answer off, as the gateway does then, and starts another one for the next request.
fn whole_or_broken_off(response: Response) -> Response<Whole> {
    let end: fn(_) -> _ = |error| {
        tracing::error!(%error, "an answer broke off; so does this process");
        std::process::exit(1)
    };
    response.map(|body| BodyExt::map_err(body, end))
}

/// A body that ends only where it is whole.
type Whole = MapErr<Body, fn(axum::Error) -> Infallible>;

/// What was asked for as the caller sees it, with the stage or a domain's base path in front: some signatures
/// are over that.
fn with_original(mut request: Request) -> Request {
    let Some(RequestContext::ApiGatewayV1(context)) = request.extensions().get::<RequestContext>() else {
        return request;
    };
    let query = request
        .uri()
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let path = context.path.as_deref().map(|path| format!("{path}{query}"));
    if let Some(asked) = path.and_then(|path| path.parse::<Uri>().ok()) {
        request.extensions_mut().insert(OriginalUri(asked));
    }
    request
}
