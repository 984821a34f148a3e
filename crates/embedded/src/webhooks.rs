use async_trait::async_trait;
use bedrock_diy_core::{
    ProjectId, WebhookId,
    error::Result,
    ports::{Saved, Webhooks},
    webhook::Webhook,
};
use rusqlite::{Connection, OptionalExtension};

use crate::{
    bus,
    database::{Database, failure, from_json, to_json},
};

/// The subscription whose events become deliveries to webhooks. It is there only while some webhook is active, or its
/// receiver in trouble: jobs pay nothing for it otherwise.
pub const NOTIFY_QUEUE: &str = "notify";

/// Outbound webhooks in `SQLite`.
#[derive(Debug, Clone)]
pub struct SqliteWebhooks(Database);

impl SqliteWebhooks {
    /// On this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self(database)
    }
}

#[async_trait]
impl Webhooks for SqliteWebhooks {
    async fn webhook(&self, project: &ProjectId, webhook: &WebhookId) -> Result<Option<Webhook>> {
        let json: Option<String> = self.0.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT document FROM webhooks
                     WHERE webhook_id = ?1 AND project_id = ?2 AND document ->> 'deletedAt' IS NULL",
                )
                .and_then(|mut select| {
                    select
                        .query_row((webhook.as_str(), project.as_str()), |row| row.get(0))
                        .optional()
                })
                .map_err(|error| failure(&error))
        })?;
        json.map(|json| from_json("webhook", &json)).transpose()
    }

    async fn webhooks(&self, project: &ProjectId) -> Result<Vec<Webhook>> {
        // An id begins with the moment that it was made at.
        let rows = self.0.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT document FROM webhooks
                     WHERE project_id = ?1 AND document ->> 'deletedAt' IS NULL ORDER BY webhook_id",
                )
                .and_then(|mut select| {
                    select
                        .query_map([project.as_str()], |row| row.get::<_, String>(0))?
                        .collect::<rusqlite::Result<Vec<_>>>()
                })
                .map_err(|error| failure(&error))
        })?;
        rows.iter().map(|json| from_json("webhook", json)).collect()
    }

    async fn put_webhook(&self, webhook: &Webhook, before: Option<&Webhook>) -> Result<Saved> {
        let (webhook, before) = (webhook.clone(), before.cloned());
        self.0
            .write(move |connection| {
                let is_done = put(connection, &webhook, before.as_ref())? || is_stored(connection, &webhook)?;
                Ok(if is_done { Saved::Done } else { Saved::Stale })
            })
            .await
    }
}

/// Stores a webhook where it stands as it was read, and says whether it did.
pub(crate) fn put(connection: &Connection, webhook: &Webhook, before: Option<&Webhook>) -> Result<bool> {
    let (id, project) = (webhook.webhook_id.as_str(), webhook.project_id.as_str());
    let document = to_json("webhook", webhook)?;
    let stored = match before {
        None => connection.execute(
            "INSERT INTO webhooks VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            (id, project, &document),
        ),
        Some(before) => connection.execute(
            "UPDATE webhooks SET document = ?3
             WHERE webhook_id = ?1 AND project_id = ?2
               AND document ->> 'version' = ?4 AND document ->> 'failuresInARow' = ?5",
            (id, project, &document, before.version, before.failures_in_a_row),
        ),
    };
    let is_stored = stored.map_err(|error| failure(&error))? == 1;
    if is_stored {
        subscribe_where_needed(connection)?;
    }
    Ok(is_stored)
}

/// Whether just this is stored.
fn is_stored(connection: &Connection, webhook: &Webhook) -> Result<bool> {
    let document = to_json("webhook", webhook)?;
    connection
        .query_row(
            "SELECT EXISTS (SELECT 1 FROM webhooks WHERE webhook_id = ?1 AND document = ?2)",
            (webhook.webhook_id.as_str(), document),
            |row| row.get(0),
        )
        .map_err(|error| failure(&error))
}

/// By the transaction that stores the webhook: no event comes between.
fn subscribe_where_needed(connection: &Connection) -> Result<()> {
    let is_needed: bool = connection
        .query_row(
            "SELECT EXISTS (SELECT 1 FROM webhooks
                 WHERE (document ->> 'isActive' OR document ->> '$.disabled.reason' = 'FAILURES')
                   AND document ->> 'deletedAt' IS NULL)",
            [],
            |row| row.get(0),
        )
        .map_err(|error| failure(&error))?;
    if is_needed {
        bus::subscribe(connection, NOTIFY_QUEUE)
    } else {
        bus::unsubscribe(connection, NOTIFY_QUEUE)
    }
}

#[cfg(test)]
mod tests {
    use bedrock_diy_core::{
        time::Timestamp,
        webhook::{ALL_EVENTS, Disabled, DisabledReason},
    };

    use super::*;

    fn webhook(number: u128) -> Webhook {
        let now = Timestamp::from_millis(1_795_395_600_000);
        Webhook {
            project_id: ProjectId::new("news").unwrap(),
            webhook_id: WebhookId::fresh(now, number),
            name: "The desk".into(),
            url: "https://example.org".into(),
            events: vec![ALL_EVENTS.into()],
            is_active: true,
            failures_in_a_row: 0,
            disabled: None,
            created_by: "ada".into(),
            created_at: now,
            updated_at: now,
            version: 1,
            deleted_at: None,
        }
    }

    #[tokio::test]
    async fn events_are_kept_for_webhooks_only_while_one_is_active() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("d.sqlite")).unwrap();
        let webhooks = SqliteWebhooks::new(database.clone());
        let is_subscribed = || {
            database
                .read(|connection| {
                    connection
                        .query_row("SELECT count(*) FROM subscriptions", [], |row| {
                            row.get::<_, i64>(0)
                        })
                        .map_err(|error| failure(&error))
                })
                .unwrap()
        };
        let store = async |webhook: &Webhook, before: Option<&Webhook>| {
            let saved = webhooks.put_webhook(webhook, before).await.unwrap();
            assert_eq!(saved, Saved::Done);
        };
        assert_eq!(is_subscribed(), 0);
        let (one, other) = (webhook(1), webhook(2));
        store(&one, None).await;
        store(&other, None).await;
        assert_eq!(is_subscribed(), 1);
        let off = Webhook {
            is_active: false,
            version: 2,
            ..one.clone()
        };
        store(&off, Some(&one)).await;
        assert_eq!(is_subscribed(), 1, "the other one still tells");
        let deleted = Webhook {
            deleted_at: Some(one.created_at),
            version: 2,
            ..other.clone()
        };
        store(&deleted, Some(&other)).await;
        assert_eq!(is_subscribed(), 0);
        let in_trouble = Webhook {
            disabled: Some(Disabled {
                at: one.created_at,
                reason: DisabledReason::Failures,
                is_told: true,
            }),
            version: 3,
            ..off.clone()
        };
        store(&in_trouble, Some(&off)).await;
        assert_eq!(is_subscribed(), 1, "what happens meanwhile is kept");
        let off = Webhook {
            version: 4,
            ..in_trouble.switched_off()
        };
        store(&off, Some(&in_trouble)).await;
        assert_eq!(is_subscribed(), 0);
        let on = Webhook {
            version: 5,
            ..off.enabled()
        };
        store(&on, Some(&off)).await;
        assert_eq!(is_subscribed(), 1);
    }
}
