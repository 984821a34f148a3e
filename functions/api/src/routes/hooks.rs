//! Inbound hooks: how a CMS hands its articles in by itself.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    response::IntoResponse,
};
use bedrock_diy_core::{
    HookId, ProjectId,
    access::Action,
    hook::{self, Hook, Scheme, Secret},
    intake::Lane,
    limits,
    ports::{Saved, SecretName},
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Api,
    body::{self, Json},
    caller::By,
    conditions::{IfMatch, etag},
    documents::{
        articles::media_type,
        hooks::{HookChange, HookDocument, NewHook, NewSecret, TakenDocument},
    },
    page::Page,
    problem::Problem,
    routes::{At, located, projects::ProjectPath},
};

const TAG: &str = "Hooks";

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, change, delete))
        .routes(routes!(rotate))
        .routes(routes!(test))
}

/// A hook's place.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Path)]
struct HookPath {
    /// The project's id.
    #[param(value_type = String)]
    project_id: ProjectId,
    /// The hook's id.
    #[param(value_type = String)]
    hook_id: HookId,
}

/// List a project's hooks
#[utoipa::path(
    get, path = "/api/projects/{projectId}/hooks", tag = TAG, operation_id = "listHooks", params(ProjectPath),
    responses((status = OK, body = Page<HookDocument>, description = "All of them: a project has up to 50."))
)]
async fn list(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<ProjectPath>,
) -> Result<Json<Page<HookDocument>>, Problem> {
    api.project(&caller, &at.project_id, Action::Read).await?;
    let hooks = api.ports.hooks.hooks(&at.project_id).await?;
    Ok(Json(Page {
        items: hooks
            .into_iter()
            .map(|hook| HookDocument::of(hook, None))
            .collect(),
        next: None,
    }))
}

/// Create a hook. Its secret is shown in the answer, and never again
#[utoipa::path(
    post, path = "/api/projects/{projectId}/hooks", tag = TAG, operation_id = "createHook",
    params(ProjectPath), request_body = NewHook,
    responses(
        (status = CREATED, body = HookDocument, headers(("Location" = String), ("ETag" = String))),
        (status = CONFLICT, description = "The project has as many as it may have"),
    )
)]
async fn create(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<ProjectPath>,
    Json(new): Json<NewHook>,
) -> Result<impl IntoResponse, Problem> {
    api.project(&caller, &at.project_id, Action::Write).await?;
    if api.ports.hooks.hooks(&at.project_id).await?.len() >= limits::HOOKS {
        return Err(Problem::conflict(format!(
            "The project has {} hooks, which is as many as it may have.",
            limits::HOOKS
        )));
    }
    let now = api.now();
    let hook = Hook {
        project_id: at.project_id,
        hook_id: HookId::fresh(now, rand::random()),
        name: new.name,
        scheme: new.scheme,
        mapping: new.mapping,
        lane: new.lane.unwrap_or(Lane::Live),
        is_active: true,
        created_by: caller.subject,
        created_at: now,
        updated_at: now,
        version: 1,
        deleted_at: None,
    };
    let mut faults = hook.faults();
    let secret = match secret(&hook.scheme, new.secret.as_deref()) {
        Ok(secret) => Some(secret),
        Err(fault) => {
            faults.push(fault);
            None
        }
    };
    let Some(secret) = secret.filter(|_| faults.is_empty()) else {
        return Err(Problem::invalid(faults));
    };
    // The secret first: a hook without one takes nothing.
    let name = SecretName::of_hook(&hook.hook_id);
    api.ports
        .secrets
        .put(&name, std::slice::from_ref(&secret))
        .await?;
    match api.ports.hooks.put_hook(&hook, None).await? {
        Saved::Done => {}
        Saved::Stale => {
            return Err(Problem::conflict(
                "Another hook has drawn the same id: send this again.",
            ));
        }
    }
    let place = located(&format!(
        "/api/projects/{}/hooks/{}",
        hook.project_id, hook.hook_id
    ));
    let tag = etag(hook.version);
    let shown = HookDocument::of(hook, Some(secret.reveal().to_owned()));
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, place), (header::ETAG, tag)],
        Json(shown),
    ))
}

/// Read a hook
#[utoipa::path(
    get, path = "/api/projects/{projectId}/hooks/{hookId}", tag = TAG, operation_id = "readHook", params(HookPath),
    responses((status = OK, body = HookDocument, headers(("ETag" = String))))
)]
async fn read(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<HookPath>,
) -> Result<impl IntoResponse, Problem> {
    api.project(&caller, &at.project_id, Action::Read).await?;
    Ok(shown(api.hook(&at).await?, None))
}

/// Change a hook, or switch it off
#[utoipa::path(
    patch, path = "/api/projects/{projectId}/hooks/{hookId}", tag = TAG, operation_id = "changeHook",
    params(HookPath, ("If-Match" = String, Header, description = "The `ETag` of what you have read.")),
    request_body = HookChange,
    responses((status = OK, body = HookDocument, headers(("ETag" = String))))
)]
async fn change(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<HookPath>,
    made_from: IfMatch,
    Json(change): Json<HookChange>,
) -> Result<impl IntoResponse, Problem> {
    api.project(&caller, &at.project_id, Action::Write).await?;
    let before = api.hook(&at).await?;
    made_from.check(before.version)?;
    let hook = Hook {
        name: change.name.unwrap_or_else(|| before.name.clone()),
        mapping: change.mapping.unwrap_or_else(|| before.mapping.clone()),
        lane: change.lane.unwrap_or(before.lane),
        is_active: change.is_active.unwrap_or(before.is_active),
        ..before.clone()
    };
    let faults = hook.faults();
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    if hook == before {
        return Ok(shown(before, None));
    }
    Ok(shown(api.save_hook(hook, &before).await?, None))
}

/// Delete a hook: its address takes nothing from now on
#[utoipa::path(
    delete, path = "/api/projects/{projectId}/hooks/{hookId}", tag = TAG, operation_id = "deleteHook",
    params(HookPath, ("If-Match" = String, Header, description = "The `ETag` of what you have read.")),
    responses((status = NO_CONTENT))
)]
async fn delete(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<HookPath>,
    made_from: IfMatch,
) -> Result<StatusCode, Problem> {
    api.project(&caller, &at.project_id, Action::Write).await?;
    let before = api.hook(&at).await?;
    made_from.check(before.version)?;
    let hook = Hook {
        is_active: false,
        deleted_at: Some(api.now()),
        ..before.clone()
    };
    api.save_hook(hook, &before).await?;
    api.ports
        .secrets
        .delete(&SecretName::of_hook(&at.hook_id))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give a hook a new secret: the one before counts too, until the next change, so that nothing is lost meanwhile
#[utoipa::path(
    post, path = "/api/projects/{projectId}/hooks/{hookId}/~rotate", tag = TAG, operation_id = "rotateHookSecret",
    params(HookPath), request_body = NewSecret,
    responses((status = OK, body = HookDocument, headers(("ETag" = String))))
)]
async fn rotate(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<HookPath>,
    Json(new): Json<NewSecret>,
) -> Result<impl IntoResponse, Problem> {
    api.project(&caller, &at.project_id, Action::Write).await?;
    let hook = api.hook(&at).await?;
    let secret =
        secret(&hook.scheme, new.secret.as_deref()).map_err(|fault| Problem::invalid(vec![fault]))?;
    let name = SecretName::of_hook(&at.hook_id);
    let mut secrets = vec![secret.clone()];
    if !new.only {
        secrets.extend(api.ports.secrets.get(&name).await?.into_iter().take(1));
    }
    api.ports.secrets.put(&name, &secrets).await?;
    Ok(shown(hook, Some(secret.reveal().to_owned())))
}

/// Show what a hook would take of a delivery: nothing is verified, and nothing begun
#[utoipa::path(
    post, path = "/api/projects/{projectId}/hooks/{hookId}/~test", tag = TAG, operation_id = "testHook",
    params(HookPath), request_body(content = serde_json::Value, content_type = "application/json"),
    responses((status = OK, body = TakenDocument))
)]
async fn test(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<HookPath>,
    request: Request,
) -> Result<Json<TakenDocument>, Problem> {
    api.project(&caller, &at.project_id, Action::Write).await?;
    let hook = api.hook(&at).await?;
    if !body::is_json(request.headers()) {
        return Err(Problem::unsupported("application/json"));
    }
    let body = body::read(
        request,
        limits::HOOK_BODY_BYTES,
        "Larger articles go through `articles:upload`.",
    )
    .await?;
    let taken = hook::take(&hook.mapping, &body).map_err(Problem::invalid)?;
    Ok(Json(TakenDocument {
        name: taken.file_name(UNNAMED),
        title: taken.title,
        text: taken.text,
        media_type: media_type(taken.media_type),
        session_id: taken.session_id.map(String::from),
        metadata: taken.metadata,
        missing: taken.missing,
    }))
}

/// What an article is called for which a CMS has no name.
pub(crate) const UNNAMED: &str = "delivery";

/// The secret that somebody has chosen, or a new one.
fn secret(scheme: &Scheme, given: Option<&str>) -> Result<Secret, bedrock_diy_core::fault::Fault> {
    match given {
        Some(text) => Secret::given(scheme, text),
        None => Ok(Secret::generate(scheme, rand::random())),
    }
}

fn shown(hook: Hook, secret: Option<String>) -> impl IntoResponse + use<> {
    (
        [(header::ETAG, etag(hook.version))],
        Json(HookDocument::of(hook, secret)),
    )
}

impl Api {
    async fn hook(&self, at: &HookPath) -> Result<Hook, Problem> {
        let found = self.ports.hooks.hook(&at.project_id, &at.hook_id).await?;
        found.ok_or_else(|| {
            Problem::not_found(format!(
                "The project {} has no hook {}.",
                at.project_id, at.hook_id
            ))
        })
    }

    async fn save_hook(&self, hook: Hook, before: &Hook) -> Result<Hook, Problem> {
        let hook = Hook {
            updated_at: self.now(),
            version: before.version + 1,
            ..hook
        };
        match self.ports.hooks.put_hook(&hook, Some(before)).await? {
            Saved::Done => Ok(hook),
            Saved::Stale => Err(Problem::stale(etag(hook.version))),
        }
    }
}
