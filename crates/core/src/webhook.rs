//! Outbound webhooks: how other systems hear what happens, at an address of theirs.
//!
//! Whatever the bus tells ([`Told`]) becomes a [`Delivery`] to each webhook that wants it. A delivery is [signed](sign)
//! as Standard Webhooks has it, and tried for a day; [`after`] says what an attempt changes.

mod delivery;
mod message;
mod outcome;
mod told;

pub use delivery::{Attempt, Claim, Delivery, DeliveryFailure, DeliveryStatus, Standing};
pub use message::{Signed, sign};
pub use outcome::{Recorded, after};
pub use told::{Told, WebhookDisabled};

use serde::{Deserialize, Serialize};

use crate::{
    event,
    fault::Fault,
    ids::{ProjectId, WebhookId},
    limits,
    time::Timestamp,
};

/// Stands for all types of events.
pub const ALL_EVENTS: &str = "*";

/// An outbound webhook. Its secrets lie elsewhere ([`crate::ports::Secrets`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// The project whose events it tells.
    pub project_id: ProjectId,
    /// Its id.
    pub webhook_id: WebhookId,
    /// Its name for people.
    pub name: String,
    /// The receiver's address. Whether it may be sent to is for [`crate::ports::Sender`] to know.
    pub url: String,
    /// The types of events that it tells, or [`ALL_EVENTS`].
    pub events: Vec<String>,
    /// Whether anything is sent.
    pub is_active: bool,
    /// How many attempts have failed since one succeeded. It changes without the version: nobody's edit is stale
    /// because of it.
    pub failures_in_a_row: u32,
    /// Why it was switched off, where nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// How often it was saved: whoever changes it says which one they have read.
    pub version: u32,
    /// When it was deleted. A deleted webhook is found no more; what is left of it keeps its id from being used again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

/// Why a webhook was switched off, where nobody did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Disabled {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: DisabledReason,
    /// Whether the bus has been told. Until then everybody who comes upon it tells it.
    pub is_told: bool,
}

/// What becomes of an event, for a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// It is none of its business.
    Nothing,
    /// It is sent.
    Sent,
    /// It is noted in the log, as one that was not sent, for whoever switches the webhook on again.
    Kept,
}

impl Disabled {
    /// Whether events are still noted: for as long as they would be tried, unless the receiver is gone.
    fn keeps(&self, at: Timestamp) -> bool {
        self.reason == DisabledReason::Failures
            && at.millis_since(self.at) <= limits::WEBHOOK_PATIENCE_SECONDS * 1_000
    }
}

/// Why a webhook is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DisabledReason {
    /// The receiver has answered 410: it is gone for good.
    Gone,
    /// Too many attempts in a row have failed.
    Failures,
}

impl Webhook {
    /// Everything that is wrong with it, by its places in the webhook's document, but for what only a sender knows of
    /// its address.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.name.trim().is_empty() || self.name.len() > limits::TITLE_BYTES {
            faults.push(Fault::invalid(
                "/name",
                format!("a webhook has a name of up to {} bytes", limits::TITLE_BYTES),
            ));
        }
        if self.url.len() > limits::WEBHOOK_URL_BYTES {
            faults.push(Fault::invalid(
                "/url",
                format!("an address has up to {} bytes", limits::WEBHOOK_URL_BYTES),
            ));
        }
        if self.events.is_empty() {
            faults.push(Fault::invalid(
                "/events",
                "a webhook tells at least one type of events",
            ));
        }
        for (place, name) in self.events.iter().enumerate() {
            if !event_types().any(|known| known == name) {
                faults.push(Fault::invalid(
                    format!("/events/{place}"),
                    format!(
                        "there is no such type of events: there are {}",
                        event_types().collect::<Vec<_>>().join(", ")
                    ),
                ));
            }
        }
        faults
    }

    /// What becomes of an event of this type that happened at this moment.
    #[must_use]
    pub fn wish(&self, event_type: &str, at: Timestamp) -> Wish {
        let is_named = self
            .events
            .iter()
            .any(|wanted| wanted == event_type || wanted == ALL_EVENTS);
        if !is_named || self.deleted_at.is_some() {
            return Wish::Nothing;
        }
        match &self.disabled {
            _ if self.is_active => Wish::Sent,
            Some(disabled) if disabled.keeps(at) => Wish::Kept,
            _ => Wish::Nothing,
        }
    }

    /// Switched off by somebody, who wants nothing kept.
    #[must_use]
    pub fn switched_off(&self) -> Self {
        Self {
            is_active: false,
            disabled: self.disabled.clone().filter(|disabled| !disabled.is_told),
            ..self.clone()
        }
    }

    /// Switched on again, with a clean slate.
    #[must_use]
    pub fn enabled(&self) -> Self {
        Self {
            is_active: true,
            failures_in_a_row: 0,
            disabled: None,
            ..self.clone()
        }
    }

    /// What the bus is to be told, where it was not yet.
    #[must_use]
    pub fn untold(&self) -> Option<WebhookDisabled> {
        let disabled = self.disabled.as_ref().filter(|disabled| !disabled.is_told)?;
        Some(WebhookDisabled {
            project_id: self.project_id.clone(),
            webhook_id: self.webhook_id.clone(),
            at: disabled.at,
            reason: disabled.reason,
            failures_in_a_row: self.failures_in_a_row,
        })
    }

    /// The same, once the bus was told.
    #[must_use]
    pub fn told(&self) -> Self {
        let disabled = self.disabled.clone().map(|disabled| Disabled {
            is_told: true,
            ..disabled
        });
        Self {
            disabled,
            version: self.version + 1,
            ..self.clone()
        }
    }

    /// As an attempt leaves it; nothing where it stays as it is.
    #[must_use]
    pub fn after(&self, attempt: &Attempt) -> Option<Self> {
        if attempt.is_success() {
            return (self.failures_in_a_row > 0).then(|| Self {
                failures_in_a_row: 0,
                ..self.clone()
            });
        }
        // What fails after it was switched off says nothing new; counting it would have many who fail at once wait
        // for one another.
        if !self.is_active {
            return None;
        }
        let failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        let reason = if attempt.is_gone() {
            Some(DisabledReason::Gone)
        } else {
            (failures_in_a_row >= limits::WEBHOOK_FAILURES).then_some(DisabledReason::Failures)
        };
        let after = Self {
            failures_in_a_row,
            ..self.clone()
        };
        let Some(reason) = reason else {
            return Some(after);
        };
        let at = attempt.ended_at();
        Some(Self {
            is_active: false,
            disabled: Some(Disabled {
                at,
                reason,
                is_told: false,
            }),
            updated_at: at,
            version: self.version + 1,
            ..after
        })
    }
}

/// What a webhook can tell.
pub fn event_types() -> impl Iterator<Item = &'static str> {
    event::TYPES
        .into_iter()
        .chain([WebhookDisabled::TYPE, ALL_EVENTS])
}

#[cfg(test)]
mod tests {
    use super::{
        delivery::samples::{attempt, now, webhook},
        *,
    };

    #[test]
    fn all_faults_are_said_at_once_with_their_places() {
        assert_eq!(webhook().faults(), []);
        let wrong = Webhook {
            name: " ".into(),
            url: "https://example.org/".repeat(200),
            events: vec!["job.failed".into(), "stage.delta".into()],
            ..webhook()
        };
        let places: Vec<_> = wrong.faults().into_iter().map(|fault| fault.field).collect();
        assert_eq!(places, ["/name", "/url", "/events/1"]);
        let nothing = Webhook {
            events: Vec::new(),
            ..webhook()
        };
        assert_eq!(nothing.faults()[0].field, "/events");
    }

    #[test]
    fn a_webhook_tells_what_it_names_while_it_is_active() {
        let wish = |webhook: &Webhook, name: &str| webhook.wish(name, now());
        let named = Webhook {
            events: vec!["job.failed".into()],
            ..webhook()
        };
        assert_eq!(wish(&named, "job.failed"), Wish::Sent);
        assert_eq!(wish(&named, "job.succeeded"), Wish::Nothing);
        let all = Webhook {
            events: vec![ALL_EVENTS.into()],
            ..webhook()
        };
        assert_eq!(wish(&all, WebhookDisabled::TYPE), Wish::Sent);
        let off = all.switched_off();
        let gone = Webhook {
            deleted_at: Some(Timestamp::default()),
            ..all
        };
        assert_eq!(wish(&off, "job.failed"), Wish::Nothing);
        assert_eq!(wish(&gone, "job.failed"), Wish::Nothing);
    }

    #[test]
    fn what_happens_while_a_receiver_is_in_trouble_is_kept_for_a_day() {
        let failing = Webhook {
            failures_in_a_row: limits::WEBHOOK_FAILURES - 1,
            ..webhook()
        };
        let disabled = failing.after(&attempt(500)).unwrap();
        let after = |hours: i64| disabled.wish("job.failed", now().plus_millis(hours * 3_600_000));
        assert_eq!(
            [after(0), after(23), after(25)],
            [Wish::Kept, Wish::Kept, Wish::Nothing]
        );
        let gone = webhook().after(&attempt(410)).unwrap();
        assert_eq!(gone.wish("job.failed", now()), Wish::Nothing);
        let off = disabled.told().switched_off();
        assert_eq!(off.wish("job.failed", now()), Wish::Nothing);
        assert!(
            disabled.switched_off().untold().is_some(),
            "it is told all the same"
        );
    }

    #[test]
    fn twenty_failures_in_a_row_disable_and_a_success_between_them_does_not() {
        let mut stands = webhook();
        for number in 1..limits::WEBHOOK_FAILURES {
            stands = stands.after(&attempt(500)).unwrap();
            assert_eq!((stands.failures_in_a_row, stands.is_active), (number, true));
        }
        assert_eq!(stands.version, webhook().version, "nobody's edit is stale of it");
        let better = stands.after(&attempt(204)).unwrap();
        assert_eq!(better.failures_in_a_row, 0);
        assert_eq!(
            better.after(&attempt(200)),
            None,
            "nothing is written for a success"
        );

        let disabled = stands.after(&attempt(500)).unwrap();
        assert!(!disabled.is_active);
        assert_eq!(disabled.version, stands.version + 1);
        let told = disabled.untold().unwrap();
        assert_eq!(
            (told.reason, told.failures_in_a_row),
            (DisabledReason::Failures, 20)
        );
        assert_eq!(disabled.told().untold(), None);
        // What was under way when it was disabled disables it no second time, and keeps nobody waiting.
        assert_eq!(disabled.told().after(&attempt(500)), None);
        let enabled = disabled.told().enabled();
        assert_eq!(
            (enabled.is_active, enabled.failures_in_a_row, &enabled.disabled),
            (true, 0, &None)
        );
    }

    #[test]
    fn a_receiver_that_is_gone_disables_at_once() {
        let gone = webhook().after(&attempt(410)).unwrap();
        assert_eq!(gone.untold().unwrap().reason, DisabledReason::Gone);
    }
}
