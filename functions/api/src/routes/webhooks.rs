//! Outbound webhooks: where other systems hear what happens.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use bedrock_diy_core::{
    Code, ProjectId, WebhookId,
    access::Action,
    fault::Fault,
    hook::{Scheme, Secret},
    limits,
    ports::{Saved, SecretName},
    webhook::Webhook,
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Api,
    body::Json,
    caller::By,
    conditions::{IfMatch, etag},
    documents::{
        hooks::NewSecret,
        webhooks::{NewWebhook, WebhookChange, WebhookDocument},
    },
    page::Page,
    problem::Problem,
    routes::{At, located, projects::ProjectPath},
};

pub(crate) const TAG: &str = "Webhooks";

/// How often a change is made anew on a webhook whose failures were counted meanwhile.
const TRIES: usize = 10;

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, change, delete))
        .routes(routes!(rotate))
}

/// A webhook's place.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Path)]
pub(crate) struct WebhookPath {
    /// The project's id.
    #[param(value_type = String)]
    pub(crate) project_id: ProjectId,
    /// The webhook's id.
    #[param(value_type = String)]
    pub(crate) webhook_id: WebhookId,
}

/// List a project's webhooks
#[utoipa::path(
    get, path = "/api/projects/{projectId}/webhooks", tag = TAG, operation_id = "listWebhooks", params(ProjectPath),
    responses((status = OK, body = Page<WebhookDocument>, description = "All of them: a project has up to 20."))
)]
async fn list(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<ProjectPath>,
) -> Result<Json<Page<WebhookDocument>>, Problem> {
    api.project(&caller, &at.project_id, Action::Read).await?;
    let webhooks = api.ports.webhooks.webhooks(&at.project_id).await?;
    Ok(Json(Page {
        items: webhooks
            .into_iter()
            .map(|webhook| WebhookDocument::of(webhook, None))
            .collect(),
        next: None,
    }))
}

/// Create a webhook. Its secret is shown in the answer, and never again
#[utoipa::path(
    post, path = "/api/projects/{projectId}/webhooks", tag = TAG, operation_id = "createWebhook",
    params(ProjectPath), request_body = NewWebhook,
    responses(
        (status = CREATED, body = WebhookDocument, headers(("Location" = String), ("ETag" = String))),
        (status = CONFLICT, description = "The project has as many as it may have"),
    )
)]
async fn create(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<ProjectPath>,
    Json(new): Json<NewWebhook>,
) -> Result<impl IntoResponse, Problem> {
    api.project(&caller, &at.project_id, Action::Write).await?;
    if api.ports.webhooks.webhooks(&at.project_id).await?.len() >= limits::WEBHOOKS {
        return Err(Problem::conflict(format!(
            "The project has {} webhooks, which is as many as it may have.",
            limits::WEBHOOKS
        )));
    }
    let now = api.now();
    let webhook = Webhook {
        project_id: at.project_id,
        webhook_id: WebhookId::fresh(now, rand::random()),
        name: new.name,
        url: new.url,
        events: new.events,
        is_active: true,
        failures_in_a_row: 0,
        disabled: None,
        created_by: caller.subject,
        created_at: now,
        updated_at: now,
        version: 1,
        deleted_at: None,
    };
    let mut faults = api.faults(&webhook);
    let secret = match secret(new.secret.as_deref()) {
        Ok(secret) => Some(secret),
        Err(fault) => {
            faults.push(fault);
            None
        }
    };
    let Some(secret) = secret.filter(|_| faults.is_empty()) else {
        return Err(Problem::invalid(faults));
    };
    // The secret first: a webhook without one sends nothing.
    let name = SecretName::of_webhook(&webhook.webhook_id);
    api.ports
        .secrets
        .put(&name, std::slice::from_ref(&secret))
        .await?;
    match api.ports.webhooks.put_webhook(&webhook, None).await? {
        Saved::Done => {}
        Saved::Stale => {
            return Err(Problem::conflict(
                "Another webhook has drawn the same id: send this again.",
            ));
        }
    }
    let place = located(&format!(
        "/api/projects/{}/webhooks/{}",
        webhook.project_id, webhook.webhook_id
    ));
    let tag = etag(webhook.version);
    let shown = WebhookDocument::of(webhook, Some(secret.reveal().to_owned()));
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, place), (header::ETAG, tag)],
        Json(shown),
    ))
}

/// Read a webhook
#[utoipa::path(
    get, path = "/api/projects/{projectId}/webhooks/{webhookId}", tag = TAG, operation_id = "readWebhook",
    params(WebhookPath), responses((status = OK, body = WebhookDocument, headers(("ETag" = String))))
)]
async fn read(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<WebhookPath>,
) -> Result<impl IntoResponse, Problem> {
    api.project(&caller, &at.project_id, Action::Read).await?;
    Ok(shown(api.webhook(&at).await?, None))
}

/// Change a webhook, or switch it off or on
#[utoipa::path(
    patch, path = "/api/projects/{projectId}/webhooks/{webhookId}", tag = TAG, operation_id = "changeWebhook",
    params(WebhookPath, ("If-Match" = String, Header, description = "The `ETag` of what you have read.")),
    request_body = WebhookChange,
    responses((status = OK, body = WebhookDocument, headers(("ETag" = String))))
)]
async fn change(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<WebhookPath>,
    made_from: IfMatch,
    Json(change): Json<WebhookChange>,
) -> Result<impl IntoResponse, Problem> {
    api.project(&caller, &at.project_id, Action::Write).await?;
    let changed = |before: &Webhook| {
        let webhook = match change.is_active {
            Some(true) => before.enabled(),
            Some(false) => before.switched_off(),
            None => before.clone(),
        };
        let webhook = Webhook {
            name: change.name.clone().unwrap_or(webhook.name),
            url: change.url.clone().unwrap_or(webhook.url),
            events: change.events.clone().unwrap_or(webhook.events),
            ..webhook
        };
        let faults = api.faults(&webhook);
        if faults.is_empty() {
            Ok(webhook)
        } else {
            Err(Problem::invalid(faults))
        }
    };
    Ok(shown(api.save_webhook(&at, &made_from, changed).await?, None))
}

/// Delete a webhook: nothing is sent to it from now on
#[utoipa::path(
    delete, path = "/api/projects/{projectId}/webhooks/{webhookId}", tag = TAG, operation_id = "deleteWebhook",
    params(WebhookPath, ("If-Match" = String, Header, description = "The `ETag` of what you have read.")),
    responses((status = NO_CONTENT))
)]
async fn delete(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<WebhookPath>,
    made_from: IfMatch,
) -> Result<StatusCode, Problem> {
    api.project(&caller, &at.project_id, Action::Write).await?;
    let now = api.now();
    let deleted = |before: &Webhook| {
        Ok(Webhook {
            is_active: false,
            deleted_at: Some(now),
            ..before.clone()
        })
    };
    api.save_webhook(&at, &made_from, deleted).await?;
    api.ports
        .secrets
        .delete(&SecretName::of_webhook(&at.webhook_id))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give a webhook a new secret: what is sent is signed with the one before, too, until the next change, so that
/// receivers can be changed over one after the other
#[utoipa::path(
    post, path = "/api/projects/{projectId}/webhooks/{webhookId}/~rotate", tag = TAG,
    operation_id = "rotateWebhookSecret", params(WebhookPath), request_body = NewSecret,
    responses((status = OK, body = WebhookDocument, headers(("ETag" = String))))
)]
async fn rotate(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<WebhookPath>,
    Json(new): Json<NewSecret>,
) -> Result<impl IntoResponse, Problem> {
    api.project(&caller, &at.project_id, Action::Write).await?;
    let webhook = api.webhook(&at).await?;
    let secret = secret(new.secret.as_deref()).map_err(|fault| Problem::invalid(vec![fault]))?;
    let name = SecretName::of_webhook(&at.webhook_id);
    let mut secrets = vec![secret.clone()];
    if !new.only {
        secrets.extend(api.ports.secrets.get(&name).await?.into_iter().take(1));
    }
    api.ports.secrets.put(&name, &secrets).await?;
    Ok(shown(webhook, Some(secret.reveal().to_owned())))
}

/// The secret that somebody has chosen, or a new one.
fn secret(given: Option<&str>) -> Result<Secret, Fault> {
    let scheme = Scheme::StandardWebhooks {};
    match given {
        Some(text) => Secret::given(&scheme, text),
        None => Ok(Secret::generate(&scheme, rand::random())),
    }
}

fn shown(webhook: Webhook, secret: Option<String>) -> impl IntoResponse + use<> {
    (
        [(header::ETAG, etag(webhook.version))],
        Json(WebhookDocument::of(webhook, secret)),
    )
}

impl Api {
    /// A webhook of a project that the caller may know of. Fails with 404.
    pub(crate) async fn webhook(&self, at: &WebhookPath) -> Result<Webhook, Problem> {
        let found = self
            .ports
            .webhooks
            .webhook(&at.project_id, &at.webhook_id)
            .await?;
        found.ok_or_else(|| {
            Problem::not_found(format!(
                "The project {} has no webhook {}.",
                at.project_id, at.webhook_id
            ))
        })
    }

    /// Everything that is wrong with a webhook; whoever sends says what addresses it takes.
    fn faults(&self, webhook: &Webhook) -> Vec<Fault> {
        let mut faults = webhook.faults();
        if let Err(detail) = self.ports.sender.accepts(&webhook.url) {
            faults.push(Fault::new(Code::InvalidRequest, "/url", detail));
        }
        faults
    }

    /// Stores a change that was made from one of these versions. That failures are counted meanwhile makes it no
    /// other's change.
    async fn save_webhook(
        &self,
        at: &WebhookPath,
        made_from: &IfMatch,
        change: impl Fn(&Webhook) -> Result<Webhook, Problem>,
    ) -> Result<Webhook, Problem> {
        for _ in 0..TRIES {
            let before = self.webhook(at).await?;
            made_from.check(before.version)?;
            let webhook = change(&before)?;
            if webhook == before {
                return Ok(before);
            }
            let webhook = Webhook {
                updated_at: self.now(),
                version: before.version + 1,
                ..webhook
            };
            match self.ports.webhooks.put_webhook(&webhook, Some(&before)).await? {
                Saved::Done => return Ok(webhook),
                Saved::Stale => {}
            }
        }
        Err(Problem::conflict(
            "The webhook's failures are being counted all the time: send this again.",
        ))
    }
}
