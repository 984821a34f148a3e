//! Events on an EventBridge bus.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_sdk_eventbridge::{
    Client,
    primitives::DateTime,
    types::{PutEventsRequestEntry, PutEventsResultEntry},
};
use bedrock_diy_core::{
    Code, Failure,
    error::Result,
    event::{Event, LiveText},
    ports::Bus,
    time::Timestamp,
    webhook::WebhookDisabled,
};
use serde::Serialize;

use crate::{
    storage::{failure, unavailable},
    trace,
};

/// Whose events they are: the `source` that rules match.
pub const SOURCE: &str = "bedrock-diy";

/// Events that one request may put (`PutEvents`, Amazon EventBridge API reference, 2026-11).
const BATCH: usize = 10;

/// A bus.
#[derive(Debug, Clone)]
pub struct EventBridge {
    client: Client,
    bus: String,
}

/// An event as the bus carries it: `detail-type` is its type, `detail` the event with its own id, the
/// same however often it is published (EventBridge gives each put an id of its own).
#[derive(Serialize)]
struct Detail<'a, T> {
    id: String,
    #[serde(flatten)]
    event: &'a T,
}

impl EventBridge {
    /// The bus of this name.
    #[must_use]
    pub fn new(client: Client, bus: String) -> Self {
        Self { client, bus }
    }

    fn entry<T: Serialize>(
        &self,
        kind: &str,
        id: String,
        at: Timestamp,
        event: &T,
    ) -> Result<PutEventsRequestEntry> {
        let detail = serde_json::to_string(&Detail { id, event }).map_err(|error| {
            Failure::new(
                Code::InternalError,
                format!("an event can't be written as JSON: {error}"),
            )
        })?;
        let millis = u64::try_from(at.millis()).unwrap_or_default();
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        Ok(PutEventsRequestEntry::builder()
            .event_bus_name(&self.bus)
            .source(SOURCE)
            .detail_type(kind)
            .detail(detail)
            .time(DateTime::from(at))
            .set_trace_header(trace::header())
            .build())
    }

    async fn put(&self, entries: Vec<PutEventsRequestEntry>) -> Result<()> {
        let put = self.client.put_events().set_entries(Some(entries)).send().await;
        let put = put.map_err(|error| failure("publishing events", &error))?;
        if put.failed_entry_count > 0 {
            return Err(refused(put.entries()));
        }
        Ok(())
    }
}

#[async_trait]
impl Bus for EventBridge {
    async fn publish(&self, events: &[Event]) -> Result<()> {
        let told: Vec<_> = events
            .iter()
            .filter(|event| event.fact.is_for_the_bus())
            .collect();
        for batch in told.chunks(BATCH) {
            let entries = batch
                .iter()
                .map(|event| self.entry(event.fact.name(), event.id(), event.at, event))
                .collect::<Result<Vec<_>>>()?;
            self.put(entries).await?;
        }
        Ok(())
    }

    async fn announce(&self, disabled: &WebhookDisabled) -> Result<()> {
        let entry = self.entry(WebhookDisabled::TYPE, disabled.id(), disabled.at, disabled)?;
        self.put(vec![entry]).await
    }

    fn delta(&self, _: LiveText) {}

    fn has_onlookers(&self) -> bool {
        false
    }
}

/// What the bus did not take. Its callers publish again: whoever heard an event knows it by its id.
fn refused(entries: &[PutEventsResultEntry]) -> Failure {
    let reason = entries.iter().find_map(PutEventsResultEntry::error_code);
    unavailable(format!(
        "the bus did not take every event: {}",
        reason.unwrap_or("no reason given")
    ))
}
