//! Inbound hooks in DynamoDB.

use async_trait::async_trait;
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use bedrock_diy_core::{
    HookId, ProjectId,
    error::Result,
    hook::Hook,
    ports::{Hooks, Saved},
};

use crate::{
    config::Config,
    dynamo::{self, Item, Written, number, put_if, text},
    storage::{corrupt, failure},
    webhooks::OUTBOUND,
};

/// Inbound hooks.
#[derive(Debug, Clone)]
pub struct DynamoHooks {
    client: Client,
    table: String,
}

/// What the table calls a hook's id, and what the document does.
const KEY: &str = "webhookId";
const ID: &str = "hookId";

impl DynamoHooks {
    /// In this deployment.
    #[must_use]
    pub fn new(client: Client, config: &Config) -> Self {
        Self {
            client,
            table: config.tables.webhooks.clone(),
        }
    }
}

#[async_trait]
impl Hooks for DynamoHooks {
    async fn hook(&self, project: &ProjectId, hook: &HookId) -> Result<Option<Hook>> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true);
        let got = get
            .key("projectId", text(project.as_str()))
            .key(KEY, text(hook.as_str()))
            .send()
            .await
            .map_err(|error| failure("reading a hook", &error))?;
        let found = got.item.map(read).transpose()?;
        Ok(found.filter(|hook| hook.deleted_at.is_none()))
    }

    async fn by_id(&self, hook: &HookId) -> Result<Option<Hook>> {
        // The index says whose it is, which never changes; what it is now says the table, without its lag.
        let query = self.client.query().table_name(&self.table).index_name("byId");
        let found = query
            .key_condition_expression("webhookId = :hook")
            .expression_attribute_values(":hook", text(hook.as_str()))
            .limit(1)
            .send()
            .await
            .map_err(|error| failure("finding a hook", &error))?;
        let Some(item) = found.items.unwrap_or_default().pop() else {
            return Ok(None);
        };
        let project = item.get("projectId").and_then(|project| project.as_s().ok());
        let project = project.ok_or_else(|| corrupt("hook", "it has no project"))?;
        let project = ProjectId::new(project.as_str()).map_err(|error| corrupt("hook", error))?;
        self.hook(&project, hook).await
    }

    async fn hooks(&self, project: &ProjectId) -> Result<Vec<Hook>> {
        let mut hooks = Vec::new();
        let mut from = None;
        loop {
            let query = self.client.query().table_name(&self.table).consistent_read(true);
            // In the order of their ids, which begin with the moment that they were made at.
            let page = query
                // Outbound webhooks come behind them.
                .key_condition_expression("projectId = :project AND webhookId < :outbound")
                .filter_expression("attribute_not_exists(deletedAt)")
                .expression_attribute_values(":project", text(project.as_str()))
                .expression_attribute_values(":outbound", text(OUTBOUND))
                .set_exclusive_start_key(from)
                .send()
                .await
                .map_err(|error| failure("reading a project's hooks", &error))?;
            for item in page.items.unwrap_or_default() {
                hooks.push(read(item)?);
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(hooks);
            }
        }
    }

    async fn put_hook(&self, hook: &Hook, before: Option<&Hook>) -> Result<Saved> {
        let item = write(hook)?;
        let put = match before {
            None => put_if(&self.table, item, "attribute_not_exists(webhookId)", [])?,
            Some(before) => {
                let expected: AttributeValue = number(before.version);
                put_if(
                    &self.table,
                    item,
                    "version = :expected",
                    [(":expected", expected)],
                )?
            }
        };
        match dynamo::write(&self.client, "storing a hook", vec![put]).await? {
            Written::All => Ok(Saved::Done),
            // What stands against it may be a first try of the same, whose answer was lost.
            Written::Nothing(standing) => match standing.map(read).transpose()? {
                Some(standing) if standing == *hook => Ok(Saved::Done),
                _ => Ok(Saved::Stale),
            },
        }
    }
}

fn write(hook: &Hook) -> Result<Item> {
    let mut item = dynamo::item("hook", hook)?;
    if let Some(id) = item.remove(ID) {
        item.insert(KEY.to_owned(), id);
    }
    Ok(item)
}

fn read(mut item: Item) -> Result<Hook> {
    if let Some(id) = item.remove(KEY) {
        item.insert(ID.to_owned(), id);
    }
    dynamo::document("hook", item)
}
