//! The log of what was sent to a webhook, and having something sent.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::IntoResponse};
use bedrock_diy_core::{
    DeliveryId, ProjectId, WebhookId,
    access::Action,
    ports::Saved,
    webhook::{Delivery, Webhook},
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Api,
    body::Json,
    caller::By,
    documents::webhooks::DeliveryDocument,
    page::{Asking, Page, PageQuery},
    problem::Problem,
    routes::{
        At,
        webhooks::{TAG, WebhookPath},
    },
};

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(read))
        .routes(routes!(ping))
        .routes(routes!(redeliver))
}

/// A delivery's place.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Path)]
#[expect(clippy::struct_field_names, reason = "they are what the path calls them")]
struct DeliveryPath {
    /// The project's id.
    #[param(value_type = String)]
    project_id: ProjectId,
    /// The webhook's id.
    #[param(value_type = String)]
    webhook_id: WebhookId,
    /// The delivery's id.
    #[param(value_type = String)]
    delivery_id: DeliveryId,
}

impl DeliveryPath {
    fn webhook(&self) -> WebhookPath {
        WebhookPath {
            project_id: self.project_id.clone(),
            webhook_id: self.webhook_id.clone(),
        }
    }
}

/// List what was sent to a webhook, the newest event first: everything of the last 30 days
#[utoipa::path(
    get, path = "/api/projects/{projectId}/webhooks/{webhookId}/deliveries", tag = TAG,
    operation_id = "listDeliveries", params(WebhookPath, PageQuery),
    responses((status = OK, body = Page<DeliveryDocument>))
)]
async fn list(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<WebhookPath>,
    Asking(page): Asking<PageQuery>,
) -> Result<Json<Page<DeliveryDocument>>, Problem> {
    api.project(&caller, &at.project_id, Action::Read).await?;
    let webhook = api.webhook(&at).await?;
    let found = api
        .ports
        .deliveries
        .deliveries(&webhook.webhook_id, &page.request()?)
        .await?;
    Ok(Json(Page::of(found, DeliveryDocument::from)))
}

/// Read a delivery
#[utoipa::path(
    get, path = "/api/projects/{projectId}/webhooks/{webhookId}/deliveries/{deliveryId}", tag = TAG,
    operation_id = "readDelivery", params(DeliveryPath), responses((status = OK, body = DeliveryDocument))
)]
async fn read(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<DeliveryPath>,
) -> Result<Json<DeliveryDocument>, Problem> {
    api.project(&caller, &at.project_id, Action::Read).await?;
    let (_, delivery) = api.delivery(&at).await?;
    Ok(Json(delivery.into()))
}

/// Send a webhook a delivery of type `ping`, to see whether one arrives: read it to see what came of it
#[utoipa::path(
    post, path = "/api/projects/{projectId}/webhooks/{webhookId}/~ping", tag = TAG, operation_id = "pingWebhook",
    params(WebhookPath),
    responses(
        (status = ACCEPTED, body = DeliveryDocument),
        (status = CONFLICT, description = "The webhook is switched off"),
    )
)]
async fn ping(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<WebhookPath>,
) -> Result<impl IntoResponse, Problem> {
    api.project(&caller, &at.project_id, Action::Write).await?;
    let webhook = api.webhook(&at).await?;
    must_be_active(&webhook)?;
    let delivery = Delivery::ping(&webhook, api.now(), rand::random())?;
    api.put_delivery(&delivery, None).await?;
    Ok((StatusCode::ACCEPTED, Json(DeliveryDocument::from(delivery))))
}

/// Deliver something again, under the same `webhook-id`, whatever has come of it
#[utoipa::path(
    post, path = "/api/projects/{projectId}/webhooks/{webhookId}/deliveries/{deliveryId}/~redeliver", tag = TAG,
    operation_id = "redeliver", params(DeliveryPath),
    responses(
        (status = ACCEPTED, body = DeliveryDocument),
        (status = CONFLICT, description = "The webhook is switched off, or this has been tried as often as it may be"),
    )
)]
async fn redeliver(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<DeliveryPath>,
) -> Result<impl IntoResponse, Problem> {
    api.project(&caller, &at.project_id, Action::Write).await?;
    let (webhook, before) = api.delivery(&at).await?;
    must_be_active(&webhook)?;
    let delivery = before
        .again()
        .map_err(|failure| Problem::conflict(format!("{}.", failure.detail)))?;
    api.put_delivery(&delivery, Some(&before)).await?;
    Ok((StatusCode::ACCEPTED, Json(DeliveryDocument::from(delivery))))
}

fn must_be_active(webhook: &Webhook) -> Result<(), Problem> {
    if webhook.is_active {
        return Ok(());
    }
    Err(Problem::conflict(
        "The webhook is switched off: switch it on with `isActive` first.",
    ))
}

impl Api {
    async fn delivery(&self, at: &DeliveryPath) -> Result<(Webhook, Delivery), Problem> {
        let webhook = self.webhook(&at.webhook()).await?;
        let found = self
            .ports
            .deliveries
            .delivery(&at.webhook_id, &at.delivery_id)
            .await?;
        let delivery = found.ok_or_else(|| {
            Problem::not_found(format!(
                "The webhook {} has no delivery {}: they are kept for 30 days.",
                at.webhook_id, at.delivery_id
            ))
        })?;
        Ok((webhook, delivery))
    }

    /// Notes a delivery, and has it made. Who dies in between has answered nobody.
    async fn put_delivery(&self, delivery: &Delivery, before: Option<&Delivery>) -> Result<(), Problem> {
        match self.ports.deliveries.put_delivery(delivery, before, None).await? {
            Saved::Done => {}
            Saved::Stale => {
                return Err(Problem::conflict(
                    "An attempt at this delivery was noted meanwhile: look at it, and send this again.",
                ));
            }
        }
        self.ports.delivery_queue.send(vec![delivery.claim()]).await?;
        Ok(())
    }
}
