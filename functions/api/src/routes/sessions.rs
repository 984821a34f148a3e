//! Sessions: the conversations of a project, and what was said in them.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use bedrock_diy_core::{ProjectId, SessionId, access::Action};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Api,
    body::Json,
    caller::By,
    documents::sessions::{MessageDocument, SessionDocument},
    page::{Asking, Page, PageQuery},
    problem::Problem,
    routes::{At, projects::ProjectPath},
};

const TAG: &str = "Sessions";

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(messages, delete))
}

/// A session's place.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Path)]
struct SessionPath {
    /// The session's id, which the client chose.
    #[param(value_type = String, min_length = 1, max_length = 255, pattern = r"^[^/\\\x00-\x1f\x7f-\x9f]+$")]
    session_id: SessionId,
}

/// Whose session it is.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct InProject {
    /// The project: sessions of one name in two projects are two sessions.
    #[param(value_type = String)]
    project_id: ProjectId,
}

/// List a project's sessions, the one with the newest message first
#[utoipa::path(
    get, path = "/api/projects/{projectId}/sessions", tag = TAG, operation_id = "listSessions",
    params(ProjectPath, PageQuery), responses((status = OK, body = Page<SessionDocument>))
)]
async fn list(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<ProjectPath>,
    Asking(page): Asking<PageQuery>,
) -> Result<Json<Page<SessionDocument>>, Problem> {
    api.project(&caller, &at.project_id, Action::Read).await?;
    let found = api
        .ports
        .history
        .sessions(&at.project_id, &page.request()?)
        .await?;
    Ok(Json(Page::of(found, SessionDocument::from)))
}

/// List a session's messages, the newest first, 50 a page where nothing is said
#[utoipa::path(
    get, path = "/api/sessions/{sessionId}/messages", tag = TAG, operation_id = "listMessages",
    params(SessionPath, InProject, PageQuery), responses((status = OK, body = Page<MessageDocument>))
)]
async fn messages(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<SessionPath>,
    Asking(within): Asking<InProject>,
    Asking(page): Asking<PageQuery>,
) -> Result<Json<Page<MessageDocument>>, Problem> {
    api.project(&caller, &within.project_id, Action::Read).await?;
    let mut request = page.request()?;
    // An exchange is two messages.
    request.limit = (request.limit / 2).max(1);
    let found = api
        .ports
        .history
        .exchanges(&within.project_id, &at.session_id, &request)
        .await?;
    let pages = Page::of(found, MessageDocument::of);
    Ok(Json(Page {
        items: pages.items.into_iter().flatten().collect(),
        next: pages.next,
    }))
}

/// Delete a session's messages: the next job of that session begins anew
#[utoipa::path(
    delete, path = "/api/sessions/{sessionId}/messages", tag = TAG, operation_id = "deleteMessages",
    params(SessionPath, InProject), responses((status = NO_CONTENT, description = "There are none now"))
)]
async fn delete(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<SessionPath>,
    Asking(within): Asking<InProject>,
) -> Result<StatusCode, Problem> {
    api.project(&caller, &within.project_id, Action::Write).await?;
    api.ports
        .history
        .delete(&within.project_id, &at.session_id)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
