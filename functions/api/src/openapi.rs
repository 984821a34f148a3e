//! The OpenAPI document: made from the routes, so that it says what they do.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::http::{HeaderName, Method, header};
use bedrock_diy_core::bearer;
use utoipa::openapi::{
    Content, Info, License, OpenApi, OpenApiBuilder, PathItem, RefOr, ResponseBuilder, Tag,
    path::Operation,
    schema::Ref,
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
};
use utoipa_axum::router::OpenApiRouter;

use crate::{Api, caller, problem, requests::REQUEST_ID, routes, verbs};

/// How long a browser may keep what it was told of CORS.
pub(crate) const PREFLIGHT_AGE: Duration = Duration::from_mins(10);

const BEARER: &str = "bearer";

/// The same token, where no header can be set.
const BY_PARAMETER: &str = "accessToken";

const ABOUT: &str = "Articles in, ordered prompt cards applied, results out.

Every request but `/health` and `/hooks/{hookId}` says who asks: `Authorization: Bearer …`. What you may not \
know of is answered with 404. Errors are problem details (RFC 9457), with a stable `code`. Lists come in pages: \
send `next` of one as `cursor` for the next. Changes name the version that they were made from: send the `ETag` \
that you have read in `If-Match`.";

/// What only a known caller may ask.
pub(crate) fn closed() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .merge(routes::projects::routes())
        .merge(routes::prompts::routes())
        .merge(routes::revisions::routes())
        .merge(routes::trying::routes())
        .merge(routes::articles::routes())
        .merge(routes::uploads::routes())
        .merge(routes::estimates::routes())
        .merge(routes::batches::routes())
        .merge(routes::tables::routes())
        .merge(routes::hooks::routes())
        .merge(routes::webhooks::routes())
        .merge(routes::webhook_deliveries::routes())
        .merge(routes::jobs::routes())
        .merge(routes::events::routes())
        .merge(routes::results::routes())
        .merge(routes::sessions::routes())
        .merge(routes::about::routes())
}

/// What anybody may ask.
pub(crate) fn open() -> OpenApiRouter<Arc<Api>> {
    routes::about::open_routes().merge(routes::deliveries::routes())
}

/// The whole document.
#[must_use]
pub fn openapi() -> OpenApi {
    let (_, routes) = open().merge(closed()).split_for_parts();
    let mut info = Info::new("BedrockDiy", env!("CARGO_PKG_VERSION"));
    info.description = Some(ABOUT.to_owned());
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".to_owned());
    info.license = Some(license);
    let mut document = OpenApiBuilder::new()
        .info(info)
        .paths(routes.paths)
        .components(routes.components)
        .tags(Some(
            [
                "Projects",
                "Prompt cards",
                "Articles",
                "Jobs",
                "Batches",
                "Sessions",
                "Hooks",
                "Webhooks",
                "About",
            ]
            .map(Tag::new),
        ))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(
        BEARER,
        SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
    );
    components.add_security_scheme(
        BY_PARAMETER,
        SecurityScheme::ApiKey(ApiKey::Query(ApiKeyValue::with_description(
            bearer::PARAMETER,
            "The bearer token, for browsers' `EventSource`, which can set no header (RFC 6750, section 2.3).",
        ))),
    );
    problem::describe(components);
    let mut document = verbs::outward(document);
    for (path, item) in &mut document.paths.paths {
        for operation in operations_mut(item) {
            complete(path, operation);
        }
        let (_, by_parameter) = caller::BY_PARAMETER;
        if path == by_parameter
            && let Some(operation) = &mut item.get
        {
            let other = SecurityRequirement::new(BY_PARAMETER, Vec::<String>::new());
            operation.security.get_or_insert_default().push(other);
        }
    }
    document
}

/// The headers that a page may read from an answer.
pub(crate) fn exposed_headers() -> [HeaderName; 5] {
    [
        header::ETAG,
        header::LOCATION,
        header::RETRY_AFTER,
        header::LINK,
        REQUEST_ID,
    ]
}

/// The operations of a path.
pub(crate) fn operations(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::DELETE, &item.delete),
        (Method::PATCH, &item.patch),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
    ]
    .into_iter()
    .flatten()
}

/// What all operations of a kind have in common is said here, once: who may ask, and how it can fail.
fn complete(path: &str, operation: &mut Operation) {
    let mut failures = BTreeMap::from([
        (500, "A fault of BedrockDiy"),
        (503, "A service behind it is away: come again after `Retry-After`"),
    ]);
    let parameters = operation.parameters.iter().flatten();
    let parameters = parameters.filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    });
    let has = |name: &str| parameters.clone().any(|parameter| parameter.name == name);
    failures.insert(400, "What was sent can't be read");
    if path.starts_with("/api/") {
        operation.security = Some(vec![SecurityRequirement::new(BEARER, Vec::<String>::new())]);
        failures.insert(401, "Nobody said who asks, or what they showed is not good");
        failures.insert(403, "You may know of it, and not do this to it");
    }
    if path.contains('{') {
        failures.insert(404, "There is no such thing, or none that you may know of");
    }
    if has("If-Match") {
        failures.insert(412, "Somebody else has changed it since you read it");
        failures.insert(428, "`If-Match` is missing");
    }
    if operation.request_body.is_some() {
        failures.insert(413, "The body is too large");
        failures.insert(415, "The body is of a kind that is not read here");
        failures.insert(
            422,
            "What was sent makes no sense: `faults` says all that is wrong",
        );
    }
    for (status, description) in failures {
        let status = status.to_string();
        operation
            .responses
            .responses
            .entry(status)
            .or_insert_with(|| RefOr::T(ResponseBuilder::new().description(description).build()));
    }
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.starts_with(['4', '5'])
        {
            let problem = Content::new(Some(Ref::from_schema_name("Problem")));
            response
                .content
                .insert(problem::MEDIA_TYPE.to_owned(), RefOr::T(problem));
        }
    }
}
