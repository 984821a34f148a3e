use serde::{Deserialize, Serialize};

use super::DisabledReason;
use crate::{
    event::Event,
    ids::{ProjectId, WebhookId},
    time::Timestamp,
};

/// Something that the bus tells: of a job, or of a webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Told {
    /// A job's event.
    Job(Event),
    /// A webhook was switched off.
    Webhook(WebhookDisabled),
}

/// A webhook was switched off because of its receiver. It is no job's, so that it has no number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename = "webhook.disabled", rename_all = "camelCase")]
pub struct WebhookDisabled {
    /// Its project.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub project_id: ProjectId,
    /// Which webhook.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub webhook_id: WebhookId,
    /// When it was switched off.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// Why.
    pub reason: DisabledReason,
    /// How many attempts had failed in a row.
    pub failures_in_a_row: u32,
}

impl WebhookDisabled {
    /// Its type.
    pub const TYPE: &str = "webhook.disabled";

    /// The same for every delivery of the same event.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}-{}", self.webhook_id, self.at.millis())
    }
}

impl Told {
    /// The same for every delivery of the same event.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Job(event) => event.id(),
            Self::Webhook(disabled) => disabled.id(),
        }
    }

    /// Its type, such as `job.accepted`.
    #[must_use]
    pub fn event_type(&self) -> &'static str {
        match self {
            Self::Job(event) => event.fact.name(),
            Self::Webhook(_) => WebhookDisabled::TYPE,
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn project_id(&self) -> &ProjectId {
        match self {
            Self::Job(event) => &event.project_id,
            Self::Webhook(disabled) => &disabled.project_id,
        }
    }

    /// When it happened.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Job(event) => event.at,
            Self::Webhook(disabled) => disabled.at,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_bus_tells_is_read_as_what_it_is() {
        let job = json!({
            "jobId": "01KAWXQ8S0SVBM1SS10N000001", "projectId": "news", "number": 3, "at": "2026-11-26T10:00:00.000Z",
            "type": "job.cancelled", "by": "ada", "id": "01KAWXQ8S0SVBM1SS10N000001-3",
        });
        let told: Told = serde_json::from_value(job).unwrap();
        assert_eq!(told.event_type(), "job.cancelled");
        assert_eq!(told.id(), "01KAWXQ8S0SVBM1SS10N000001-3");
        let disabled = json!({
            "type": "webhook.disabled", "projectId": "news", "webhookId": "01KAWXQ8S0SVBM1SS10N000002",
            "at": "2026-11-26T10:00:00.000Z", "reason": "GONE", "failuresInARow": 1,
        });
        let told: Told = serde_json::from_value(disabled.clone()).unwrap();
        assert_eq!(told.event_type(), WebhookDisabled::TYPE);
        assert_eq!(serde_json::to_value(&told).unwrap(), disabled);
        for unknown in [json!({"type": "job.eaten", "projectId": "news"}), json!(7)] {
            serde_json::from_value::<Told>(unknown).unwrap_err();
        }
    }
}
