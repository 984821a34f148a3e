use bedrock_diy_core::{
    DeliveryId, ProjectId, WebhookId,
    time::Timestamp,
    webhook::{Attempt, Delivery, DeliveryFailure, DeliveryStatus, DisabledReason, Webhook},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body::Document;

/// A webhook that is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewWebhook {
    /// Its name for people.
    #[schema(min_length = 1, max_length = 500)]
    pub(crate) name: String,
    /// Where events are sent to: an https address on the public internet.
    #[schema(min_length = 1, max_length = 2048)]
    pub(crate) url: String,
    /// The types of events that are sent, or `*` for all.
    #[schema(min_items = 1, max_items = 20)]
    pub(crate) events: Vec<String>,
    /// The secret, where you have made one: `whsec_` and 24 to 64 bytes in base 64. A new one where nothing is said.
    #[schema(min_length = 16, max_length = 500, nullable = false)]
    #[serde(default)]
    pub(crate) secret: Option<String>,
}

/// A change of a webhook: what is not said stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WebhookChange {
    /// Its name for people.
    #[schema(min_length = 1, max_length = 500, nullable = false)]
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Where events are sent to.
    #[schema(min_length = 1, max_length = 2048, nullable = false)]
    #[serde(default)]
    pub(crate) url: Option<String>,
    /// The types of events that are sent: all of them.
    #[schema(min_items = 1, max_items = 20, nullable = false)]
    #[serde(default)]
    pub(crate) events: Option<Vec<String>>,
    /// Whether anything is sent. `true` begins with a clean slate where it was switched off because of its receiver.
    #[schema(nullable = false)]
    #[serde(default)]
    pub(crate) is_active: Option<bool>,
}

impl Document for NewWebhook {}
impl Document for WebhookChange {}

/// A webhook.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Webhook)]
pub(crate) struct WebhookDocument {
    #[schema(value_type = String)]
    webhook_id: WebhookId,
    #[schema(value_type = String)]
    project_id: ProjectId,
    name: String,
    url: String,
    events: Vec<String>,
    is_active: bool,
    /// How many attempts have failed since one succeeded; 20 switch it off.
    failures_in_a_row: u32,
    /// Why it was switched off, where nobody did.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<DisabledReason>,
    /// When that was.
    #[schema(value_type = String, format = DateTime, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<Timestamp>,
    created_by: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// How often it was saved: its `ETag`.
    version: u32,
    /// Its secret, which is shown once: when it is made.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// A delivery of an event to a webhook, with everything that came of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Delivery)]
pub(crate) struct DeliveryDocument {
    /// What the receiver sees as `webhook-id`, with every attempt.
    #[schema(value_type = String)]
    delivery_id: DeliveryId,
    #[schema(value_type = String)]
    webhook_id: WebhookId,
    /// The event's type; `ping` for one that somebody has asked for.
    #[serde(rename = "type")]
    event_type: String,
    /// The event's id.
    event_id: String,
    status: DeliveryStatus,
    /// Why it is `FAILED`.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<DeliveryFailure>,
    /// When the event happened.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it is tried again.
    #[schema(value_type = String, format = DateTime, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Timestamp>,
    /// The attempts, in their order.
    attempts: Vec<Attempt>,
    /// What is sent: the body, as text.
    body: String,
}

impl WebhookDocument {
    /// The webhook, with its secret where that was just made.
    pub(crate) fn of(webhook: Webhook, secret: Option<String>) -> Self {
        Self {
            webhook_id: webhook.webhook_id,
            project_id: webhook.project_id,
            name: webhook.name,
            url: webhook.url,
            events: webhook.events,
            is_active: webhook.is_active,
            failures_in_a_row: webhook.failures_in_a_row,
            disabled_reason: webhook.disabled.as_ref().map(|disabled| disabled.reason),
            disabled_at: webhook.disabled.as_ref().map(|disabled| disabled.at),
            created_by: webhook.created_by,
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
            version: webhook.version,
            secret,
        }
    }
}

impl From<Delivery> for DeliveryDocument {
    fn from(delivery: Delivery) -> Self {
        Self {
            delivery_id: delivery.delivery_id,
            webhook_id: delivery.webhook_id,
            event_type: delivery.event_type,
            event_id: delivery.event_id,
            status: delivery.status,
            failure: delivery.failure,
            created_at: delivery.created_at,
            next_attempt_at: delivery.next_attempt_at,
            attempts: delivery.attempts,
            body: delivery.body,
        }
    }
}
