use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Told, Webhook, message};
use crate::{
    error::{Code, Failure, Result},
    ids::{DeliveryId, ProjectId, WebhookId},
    limits,
    time::Timestamp,
};

/// A delivery of an event to a webhook, with everything that came of it: an entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// The webhook's project.
    pub project_id: ProjectId,
    /// The webhook.
    pub webhook_id: WebhookId,
    /// Its id, which the receiver sees with every attempt.
    pub delivery_id: DeliveryId,
    /// The event's id: the same in the deliveries to other webhooks.
    pub event_id: String,
    /// The event's type; `ping` for one that somebody has asked for.
    #[serde(rename = "type")]
    pub event_type: String,
    /// What is sent.
    pub body: String,
    /// When the event happened.
    pub created_at: Timestamp,
    /// Counted from 1: somebody may have it delivered again.
    pub round: u32,
    /// How it stands.
    pub status: DeliveryStatus,
    /// Why it is [`DeliveryStatus::Failed`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<DeliveryFailure>,
    /// When the first attempt of this round was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When the next one is due, where one has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    /// All attempts, in their order.
    pub attempts: Vec<Attempt>,
    /// How often it was stored.
    pub version: u32,
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeliveryStatus {
    /// It is to be sent, or sent again.
    Pending,
    /// The receiver has taken it.
    Delivered,
    /// It is not sent any more.
    Failed,
}

/// Why a delivery is not sent any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeliveryFailure {
    /// It was tried for a day.
    GaveUp,
    /// The receiver has answered 410.
    Gone,
    /// The webhook is switched off.
    Disabled,
    /// The webhook was deleted.
    Deleted,
}

/// An attempt to deliver, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// When it began.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// The receiver's address at that time.
    pub url: String,
    /// The HTTP status of the answer, where there was one.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The answer's first kilobyte, as text.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Why there was no answer, or none that counts.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A message of the deliveries' queue: which delivery is to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// The webhook's project.
    pub project_id: ProjectId,
    /// The webhook.
    pub webhook_id: WebhookId,
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// Of which round: a message of an earlier one is void.
    pub round: u32,
}

/// What is to be done about a delivery now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is to be sent.
    Due,
    /// It is to be sent in so many seconds.
    Early(u32),
    /// Nothing: it has ended, or another message is for it.
    Over,
    /// Nothing: it was tried for a day, and its message belongs to the dead letters.
    Dead,
}

impl Attempt {
    /// Whether the receiver has taken it.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.error.is_none() && self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// Whether the receiver wants nothing any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.status == Some(410)
    }

    /// When it came to its end.
    #[must_use]
    pub fn ended_at(&self) -> Timestamp {
        self.at
            .plus_millis(i64::try_from(self.millis).unwrap_or(i64::MAX))
    }
}

impl Delivery {
    /// The delivery of what the bus told to a webhook: the same one, however often it is told.
    pub fn of(webhook: &Webhook, told: &Told) -> Result<Self> {
        let (event, at) = (told.id(), told.at());
        let id = DeliveryId::of(&webhook.webhook_id, &event, at);
        let body = message::body_of(told)?;
        Ok(Self::new(webhook, id, event, told.event_type(), body, at))
    }

    /// A delivery that tells nothing, to see whether one arrives.
    pub fn ping(webhook: &Webhook, now: Timestamp, randomness: u128) -> Result<Self> {
        const TYPE: &str = "ping";
        let id = DeliveryId::fresh(now, randomness);
        let data = json!({
            "id": id,
            "projectId": webhook.project_id,
            "webhookId": webhook.webhook_id,
        });
        let body = message::body(TYPE, now, &data)?;
        let event = id.to_string();
        Ok(Self::new(webhook, id, event, TYPE, body, now))
    }

    fn new(
        webhook: &Webhook,
        delivery_id: DeliveryId,
        event_id: String,
        event_type: &str,
        body: String,
        created_at: Timestamp,
    ) -> Self {
        Self {
            project_id: webhook.project_id.clone(),
            webhook_id: webhook.webhook_id.clone(),
            delivery_id,
            event_id,
            event_type: event_type.to_owned(),
            body,
            created_at,
            round: 1,
            status: DeliveryStatus::Pending,
            failure: None,
            since: None,
            next_attempt_at: None,
            attempts: Vec::new(),
            version: 1,
        }
    }

    /// What its message says.
    #[must_use]
    pub fn claim(&self) -> Claim {
        Claim {
            project_id: self.project_id.clone(),
            webhook_id: self.webhook_id.clone(),
            delivery_id: self.delivery_id.clone(),
            round: self.round,
        }
    }

    /// What is to be done about it now, for whoever has a message of this round.
    #[must_use]
    pub fn standing(&self, round: u32, now: Timestamp) -> Standing {
        if round != self.round {
            return Standing::Over;
        }
        match (self.status, self.failure) {
            (DeliveryStatus::Failed, Some(DeliveryFailure::GaveUp)) => Standing::Dead,
            (DeliveryStatus::Failed | DeliveryStatus::Delivered, _) => Standing::Over,
            (DeliveryStatus::Pending, _) => {
                let due = self.next_attempt_at.unwrap_or(now);
                // Queues count in seconds.
                match due.millis_since(now).div_ceil(1_000) {
                    0 => Standing::Due,
                    seconds => Standing::Early(u32::try_from(seconds).unwrap_or(u32::MAX)),
                }
            }
        }
    }

    /// Not sent any more.
    #[must_use]
    pub fn ended(&self, failure: DeliveryFailure) -> Self {
        Self {
            status: DeliveryStatus::Failed,
            failure: Some(failure),
            next_attempt_at: None,
            version: self.version + 1,
            ..self.clone()
        }
    }

    /// To be delivered again, whatever has come of it, under the same id. Fails where it was tried too often.
    pub fn again(&self) -> Result<Self> {
        if self.attempts.len() >= limits::DELIVERY_ATTEMPTS {
            return Err(Failure::new(
                Code::InvalidRequest,
                format!(
                    "the delivery {} has been tried {} times, which is as often as it may be",
                    self.delivery_id,
                    self.attempts.len()
                ),
            ));
        }
        Ok(Self {
            round: self.round + 1,
            status: DeliveryStatus::Pending,
            failure: None,
            since: None,
            next_attempt_at: None,
            version: self.version + 1,
            ..self.clone()
        })
    }
}

#[cfg(test)]
pub(super) mod samples {
    use super::*;
    use crate::{
        event::{Event, Fact},
        ids::JobId,
        webhook::ALL_EVENTS,
    };

    pub(crate) fn now() -> Timestamp {
        Timestamp::from_millis(1_795_395_600_000)
    }

    pub(crate) fn webhook() -> Webhook {
        Webhook {
            project_id: "news".parse().unwrap(),
            webhook_id: WebhookId::fresh(now(), 1),
            name: "The desk".into(),
            url: "https://example.org/hook".into(),
            events: vec![ALL_EVENTS.into()],
            is_active: true,
            failures_in_a_row: 0,
            disabled: None,
            created_by: "ada".into(),
            created_at: now(),
            updated_at: now(),
            version: 1,
            deleted_at: None,
        }
    }

    pub(crate) fn told() -> Told {
        let project_id: ProjectId = "news".parse().unwrap();
        Told::Job(Event {
            job_id: JobId::of_submission("test", &project_id, "one"),
            project_id,
            number: 3,
            at: now(),
            fact: Fact::JobCancelled { by: "ada".into() },
        })
    }

    pub(crate) fn delivery() -> Delivery {
        Delivery::of(&webhook(), &told()).unwrap()
    }

    pub(crate) fn attempt(status: u16) -> Attempt {
        Attempt {
            at: now(),
            millis: 20,
            url: webhook().url,
            status: Some(status),
            answer: Some("so be it".into()),
            error: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{samples::*, *};

    #[test]
    fn an_event_that_is_told_twice_is_one_delivery() {
        assert_eq!(delivery(), delivery());
        let other = Webhook {
            webhook_id: WebhookId::fresh(now(), 2),
            ..webhook()
        };
        let to_another = Delivery::of(&other, &told()).unwrap();
        assert_ne!(to_another.delivery_id, delivery().delivery_id);
        assert_eq!(to_another.event_id, delivery().event_id);
    }

    #[test]
    fn later_deliveries_come_later_in_the_order_of_their_ids() {
        let ping = Delivery::ping(&webhook(), now().plus_millis(1), 0).unwrap();
        assert!(ping.delivery_id > delivery().delivery_id);
    }

    #[test]
    fn a_message_is_for_one_round_of_a_delivery_and_not_before_its_time() {
        let pending = delivery();
        assert_eq!(pending.standing(1, now()), Standing::Due);
        let waits = Delivery {
            next_attempt_at: Some(now().plus_millis(4_001)),
            ..pending.clone()
        };
        assert_eq!(waits.standing(1, now()), Standing::Early(5));
        assert_eq!(waits.standing(1, now().plus_millis(4_001)), Standing::Due);
        let again = waits.again().unwrap();
        assert_eq!(again.standing(1, now()), Standing::Over);
        assert_eq!(again.standing(2, now()), Standing::Due);
        assert_eq!(again.delivery_id, pending.delivery_id);
        let deleted = pending.ended(DeliveryFailure::Deleted);
        assert_eq!(deleted.standing(1, now()), Standing::Over);
        let dead = pending.ended(DeliveryFailure::GaveUp);
        assert_eq!(dead.standing(1, now()), Standing::Dead);
    }

    #[test]
    fn a_delivery_is_not_sent_anew_without_end() {
        let mut tried = delivery();
        tried.attempts = vec![attempt(500); limits::DELIVERY_ATTEMPTS];
        let refused = tried.again().unwrap_err();
        assert!(refused.detail.contains("40 times"), "{refused}");
    }
}
