//! The API about itself and its caller.

use std::sync::Arc;

use axum::{Router, http::header, response::IntoResponse, routing::get};
use bedrock_diy_core::access::{self, Role};
use serde::Serialize;
use utoipa::{ToSchema, openapi::OpenApi};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Api, body::Json, caller::By};

const TAG: &str = "About";

/// The page that renders the OpenAPI document.
const PAGE: &str = include_str!("../docs.html");

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(me))
}

/// What anybody may ask.
pub(crate) fn open_routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(health))
}

/// The document and its page, rendered once.
pub(crate) fn document(openapi: &OpenApi) -> Router<Arc<Api>> {
    let json = bytes::Bytes::from(serde_json::to_vec(openapi).unwrap_or_default());
    let kind = [(
        header::CONTENT_TYPE,
        "application/vnd.oai.openapi+json;version=3.1",
    )];
    let page = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        // The page runs its own script, asks its own server and nobody else.
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'",
        ),
    ];
    Router::new()
        .route("/openapi.json", get(move || async move { (kind, json) }))
        .route("/docs", get(move || async move { (page, PAGE) }))
}

/// Who the caller is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Me {
    /// What projects name you by, as owner and members.
    subject: String,
    /// Your name for people.
    name: String,
    /// What you may at most, anywhere.
    role: Role,
    /// Whether you may create projects.
    may_create_projects: bool,
    /// Whether you may list all projects.
    may_list_all_projects: bool,
}

/// Say who I am, and what I may
#[utoipa::path(get, path = "/api/me", tag = TAG, operation_id = "readMe", responses((status = OK, body = Me)))]
async fn me(By(caller): By) -> Json<Me> {
    Json(Me {
        may_create_projects: access::may_create(&caller),
        may_list_all_projects: caller.role == Role::Admin,
        subject: caller.subject,
        name: caller.name,
        role: caller.role,
    })
}

/// That it lives.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// `ok`.
    status: &'static str,
    /// The program's version.
    version: &'static str,
}

/// Say that the API lives
#[utoipa::path(get, path = "/health", tag = TAG, operation_id = "readHealth", security(()), responses((status = OK, body = Health)))]
async fn health() -> impl IntoResponse {
    Json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    })
}
