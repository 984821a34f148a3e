//! Deliveries: what a CMS posts to a hook's address. Nobody is known here but by the hook's secret.

use std::sync::Arc;

use axum::{
    extract::{OriginalUri, Request, State},
    http::{HeaderValue, StatusCode},
    response::IntoResponse,
};
use bedrock_diy_core::{
    BatchId, HookId,
    access::{Caller, Role},
    hook::{self, Call},
    limits,
    ports::SecretName,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Api,
    body::{self, Json},
    documents::articles::NewArticle,
    problem::Problem,
    routes::{At, hooks::UNNAMED},
};

const TAG: &str = "Hooks";

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(deliver))
}

/// A hook's address.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Path)]
struct Address {
    /// The hook's id.
    #[param(value_type = String)]
    hook_id: HookId,
}

/// A delivery that was taken. It tells a CMS nothing that its users may not know.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    /// The job.
    #[schema(value_type = String)]
    job_id: bedrock_diy_core::JobId,
    /// Whether it was delivered before.
    is_replay: bool,
}

/// Deliver an article to a hook, signed as its scheme says. The same delivery again is the same job
#[utoipa::path(
    post, path = "/hooks/{hookId}", tag = TAG, operation_id = "deliver", params(Address), security(()),
    request_body(content = serde_json::Value, content_type = "application/json"),
    responses(
        (status = ACCEPTED, body = Receipt),
        (status = UNAUTHORIZED, description = "The signature does not fit, or is too old"),
        (status = CONFLICT, description = "The project is inactive or has no active card, another article was delivered under the same id, or the last job of its session has not ended"),
    )
)]
async fn deliver(
    State(api): State<Arc<Api>>,
    At(at): At<Address>,
    OriginalUri(asked): OriginalUri,
    request: Request,
) -> Result<impl IntoResponse, Problem> {
    let (method, headers) = (request.method().clone(), request.headers().clone());
    // Before anybody is known, as much is read as a good delivery may have.
    let bytes = body::read(
        request,
        limits::HOOK_BODY_BYTES,
        "Larger articles go through `articles:upload`.",
    )
    .await?;
    let unknown = || Problem::not_found("There is no such hook.");
    let found = api.ports.hooks.by_id(&at.hook_id).await?.ok_or_else(unknown)?;
    let secrets = api.ports.secrets.get(&SecretName::of_hook(&at.hook_id)).await?;
    let target = asked.path_and_query().map_or("/", |target| target.as_str());
    let verified = {
        let call = Call {
            method: method.as_str(),
            target,
            header: &|name| headers.get(name).map(HeaderValue::as_bytes),
            body: &bytes,
        };
        hook::verify(&found, &secrets, &call, api.now())
    };
    let delivery_id = verified.map_err(|refusal| Problem::unauthorized(format!("{refusal}.")))?;
    if !found.is_active {
        return Err(Problem::conflict("The hook is switched off."));
    }
    let project = api.ports.projects.project(&found.project_id).await?;
    project
        .filter(|project| !project.is_deleted())
        .ok_or_else(unknown)?;
    if !body::is_json(&headers) {
        return Err(Problem::unsupported("application/json"));
    }
    let taken = hook::take(&found.mapping, &bytes).map_err(Problem::invalid)?;
    let new = NewArticle {
        name: Some(taken.file_name(UNNAMED)),
        text: taken.text,
        media_type: Some(taken.media_type),
        title: taken.title,
        language: None,
        metadata: taken.metadata,
        session_id: taken.session_id,
        batch: Some(BatchId::new(format!("hook-{}", found.hook_id))?),
        lane: Some(found.lane),
        fresh: false,
    };
    let sender = Caller {
        subject: format!("hook:{}", found.hook_id),
        name: found.name,
        role: Role::Editor,
    };
    let taken = api
        .submit(&sender, found.project_id, new, Some(delivery_id))
        .await?;
    let receipt = Receipt {
        job_id: taken.job.job_id,
        is_replay: taken.is_replay,
    };
    Ok((StatusCode::ACCEPTED, Json(receipt)))
}
