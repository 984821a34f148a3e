//! Outbound webhooks in DynamoDB: in the table of the inbound ones, under keys of their own.

use async_trait::async_trait;
use aws_sdk_dynamodb::{Client, types::TransactWriteItem};
use bedrock_diy_core::{
    ProjectId, WebhookId,
    error::Result,
    ports::{Saved, Webhooks},
    webhook::Webhook,
};

use crate::{
    config::Config,
    dynamo::{self, Item, Written, number, put_if, text},
    storage::failure,
};

/// What the sort keys of outbound webhooks begin with: they come after those of inbound hooks, which are ULIDs.
pub(crate) const OUTBOUND: &str = "out#";

/// The document's id, which the table keeps as the sort key.
const KEY: &str = "webhookId";

/// Outbound webhooks.
#[derive(Debug, Clone)]
pub struct DynamoWebhooks {
    client: Client,
    table: String,
}

impl DynamoWebhooks {
    /// In this deployment.
    #[must_use]
    pub fn new(client: Client, config: &Config) -> Self {
        Self {
            client,
            table: config.tables.webhooks.clone(),
        }
    }

    /// What stores a webhook where it stands as it was read.
    pub(crate) fn put(table: &str, webhook: &Webhook, before: Option<&Webhook>) -> Result<TransactWriteItem> {
        let mut item = dynamo::item("webhook", webhook)?;
        item.insert(KEY.to_owned(), text(sort_key(&webhook.webhook_id)));
        match before {
            None => put_if(table, item, "attribute_not_exists(webhookId)", []),
            Some(before) => put_if(
                table,
                item,
                "version = :version AND failuresInARow = :failures",
                [
                    (":version", number(before.version)),
                    (":failures", number(before.failures_in_a_row)),
                ],
            ),
        }
    }
}

#[async_trait]
impl Webhooks for DynamoWebhooks {
    async fn webhook(&self, project: &ProjectId, webhook: &WebhookId) -> Result<Option<Webhook>> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true);
        let got = get
            .key("projectId", text(project.as_str()))
            .key(KEY, text(sort_key(webhook)))
            .send()
            .await
            .map_err(|error| failure("reading a webhook", &error))?;
        let found = got.item.map(read).transpose()?;
        Ok(found.filter(|webhook| webhook.deleted_at.is_none()))
    }

    async fn webhooks(&self, project: &ProjectId) -> Result<Vec<Webhook>> {
        let mut webhooks = Vec::new();
        let mut from = None;
        loop {
            let query = self.client.query().table_name(&self.table).consistent_read(true);
            // In the order of their ids, which begin with the moment that they were made at.
            let page = query
                .key_condition_expression("projectId = :project AND begins_with(webhookId, :outbound)")
                .filter_expression("attribute_not_exists(deletedAt)")
                .expression_attribute_values(":project", text(project.as_str()))
                .expression_attribute_values(":outbound", text(OUTBOUND))
                .set_exclusive_start_key(from)
                .send()
                .await
                .map_err(|error| failure("reading a project's webhooks", &error))?;
            for item in page.items.unwrap_or_default() {
                webhooks.push(read(item)?);
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(webhooks);
            }
        }
    }

    async fn put_webhook(&self, webhook: &Webhook, before: Option<&Webhook>) -> Result<Saved> {
        let put = Self::put(&self.table, webhook, before)?;
        match dynamo::write(&self.client, "storing a webhook", vec![put]).await? {
            Written::All => Ok(Saved::Done),
            // What stands against it may be a first try of the same, whose answer was lost.
            Written::Nothing(standing) => match standing.map(read).transpose()? {
                Some(standing) if standing == *webhook => Ok(Saved::Done),
                _ => Ok(Saved::Stale),
            },
        }
    }
}

fn sort_key(webhook: &WebhookId) -> String {
    format!("{OUTBOUND}{webhook}")
}

fn read(mut item: Item) -> Result<Webhook> {
    let key = item.remove(KEY).and_then(|key| key.as_s().ok().cloned());
    if let Some(id) = key.as_deref().and_then(|key| key.strip_prefix(OUTBOUND)) {
        item.insert(KEY.to_owned(), text(id));
    }
    dynamo::document("webhook", item)
}
