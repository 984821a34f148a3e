use async_trait::async_trait;
use bedrock_diy_core::{
    DeliveryId, Failure, WebhookId,
    error::Result,
    limits,
    page::{Page, PageRequest},
    ports::{Deliveries, DeliveryQueue, Saved},
    webhook::{Claim, Delivery, Webhook},
};
use rusqlite::{Connection, OptionalExtension};

use crate::{
    database::{Database, failure, from_json, to_json},
    projects::{no_page, page_of},
    queue::SqliteQueue,
    webhooks,
};

/// The queue of deliveries that are to be made.
pub const DELIVERY_QUEUE: &str = "deliveries";

/// So many entries that have expired are removed with each new one: more than come, and few enough to be quick.
const SWEPT: usize = 4;

/// The log of deliveries in `SQLite`.
#[derive(Debug, Clone)]
pub struct SqliteDeliveries(Database);

impl SqliteDeliveries {
    /// On this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self(database)
    }
}

#[async_trait]
impl Deliveries for SqliteDeliveries {
    async fn delivery(&self, webhook: &WebhookId, delivery: &DeliveryId) -> Result<Option<Delivery>> {
        let json: Option<String> = self.0.read(|connection| {
            connection
                .prepare_cached("SELECT document FROM deliveries WHERE webhook_id = ?1 AND delivery_id = ?2")
                .and_then(|mut select| {
                    select
                        .query_row((webhook.as_str(), delivery.as_str()), |row| row.get(0))
                        .optional()
                })
                .map_err(|error| failure(&error))
        })?;
        json.map(|json| from_json("delivery", &json)).transpose()
    }

    async fn deliveries(&self, webhook: &WebhookId, page: &PageRequest) -> Result<Page<Delivery>> {
        // No id comes after this.
        let before = page.cursor.as_deref().unwrap_or("~");
        if page.cursor.is_some() && DeliveryId::new(before).is_err() {
            return Err(no_page("deliveries"));
        }
        let rows = self.0.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT document FROM deliveries WHERE webhook_id = ?1 AND delivery_id < ?2
                     ORDER BY delivery_id DESC LIMIT ?3",
                )
                .and_then(|mut select| {
                    select
                        .query_map((webhook.as_str(), before, page.limit.saturating_add(1)), |row| {
                            row.get::<_, String>(0)
                        })?
                        .collect::<rusqlite::Result<Vec<_>>>()
                })
                .map_err(|error| failure(&error))
        })?;
        let found: Vec<Delivery> = rows
            .iter()
            .map(|json| from_json("delivery", json))
            .collect::<Result<_>>()?;
        Ok(page_of(found, page.limit, |last| last.delivery_id.to_string()))
    }

    async fn put_delivery(
        &self,
        delivery: &Delivery,
        before: Option<&Delivery>,
        webhook: Option<(&Webhook, &Webhook)>,
    ) -> Result<Saved> {
        let delivery = delivery.clone();
        let expected = before.map(|before| before.version);
        let webhook = webhook.map(|(next, before)| (next.clone(), before.clone()));
        let written = self
            .0
            .write(move |connection| {
                let both = put_both(connection, &delivery, expected, webhook.as_ref())?;
                // Half of it must not stay: a failed write is undone.
                if both { Ok(()) } else { Err(Written::Stale.into()) }
            })
            .await;
        match written {
            Ok(()) => Ok(Saved::Done),
            Err(failure) if failure == Written::Stale.into() => Ok(Saved::Stale),
            Err(failure) => Err(failure),
        }
    }
}

/// What undoes a write that found something else than what was read.
enum Written {
    Stale,
}

impl From<Written> for Failure {
    fn from(_: Written) -> Self {
        Self::new(
            bedrock_diy_core::Code::InternalError,
            "a delivery or its webhook was changed by somebody else meanwhile",
        )
    }
}

/// Whether both are stored now.
fn put_both(
    connection: &Connection,
    delivery: &Delivery,
    expected: Option<u32>,
    webhook: Option<&(Webhook, Webhook)>,
) -> Result<bool> {
    let (webhook_id, id) = (delivery.webhook_id.as_str(), delivery.delivery_id.as_str());
    let document = to_json("delivery", delivery)?;
    let run = || match expected {
        None => {
            sweep(connection, delivery)?;
            connection.execute(
                "INSERT INTO deliveries VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                (webhook_id, id, delivery.created_at.millis(), &document),
            )
        }
        Some(version) => connection.execute(
            "UPDATE deliveries SET document = ?3
             WHERE webhook_id = ?1 AND delivery_id = ?2 AND document ->> 'version' = ?4",
            (webhook_id, id, &document, version),
        ),
    };
    if run().map_err(|error| failure(&error))? == 0 {
        return connection
            .query_row(
                "SELECT EXISTS (SELECT 1 FROM deliveries
                     WHERE webhook_id = ?1 AND delivery_id = ?2 AND document = ?3)",
                (webhook_id, id, &document),
                |row| row.get(0),
            )
            .map_err(|error| failure(&error));
    }
    match webhook {
        None => Ok(true),
        // Were it enough that it stands so already, two failures at once would count as one.
        Some((next, before)) => webhooks::put(connection, next, Some(before)),
    }
}

/// Removes some of what has expired by the time that this one is new.
fn sweep(connection: &Connection, new: &Delivery) -> rusqlite::Result<usize> {
    let kept = i64::from(limits::DELIVERY_DAYS) * 24 * 60 * 60 * 1_000;
    connection
        .prepare_cached(
            "DELETE FROM deliveries WHERE (webhook_id, delivery_id) IN
                 (SELECT webhook_id, delivery_id FROM deliveries WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)",
        )?
        .execute((new.created_at.millis() - kept, SWEPT))
}

#[async_trait]
impl DeliveryQueue for SqliteQueue {
    async fn send(&self, claims: Vec<Claim>) -> Result<()> {
        let bodies = claims
            .iter()
            .map(|claim| to_json("message", claim))
            .collect::<Result<_>>()?;
        self.send_to(DELIVERY_QUEUE, bodies).await
    }
}
