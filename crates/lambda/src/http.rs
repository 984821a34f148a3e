//! HTTP requests as API Gateway hands them over.

use axum::{Router, extract::OriginalUri, http::Uri};
use lambda_http::{Request, request::RequestContext};
use lambda_runtime::Error;
use tower::{Layer, util::MapRequestLayer};

/// Answers requests for as long as the process lives.
///
/// `AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH` must be set: the router knows its paths without a stage in front.
pub async fn serve(router: Router) -> Result<(), Error> {
    lambda_http::run(MapRequestLayer::new(with_original).layer(router)).await
}

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
