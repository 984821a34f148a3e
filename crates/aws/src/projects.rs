//! Projects and cards in DynamoDB; what cards say in S3, a revision a version.

mod listing;
mod members;

use std::{collections::HashMap, hash::Hash, sync::Arc};

use async_trait::async_trait;
use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update},
};
use bedrock_diy_core::{
    Code, Failure, ProjectId, PromptId,
    card::{Card, CardRevision},
    error::Result,
    page::{Page, PageRequest},
    pipeline::PipelineRevision,
    ports::{Projects, Saved},
    project::Project,
    text::sha256_hex,
};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    config::Config,
    dynamo::{self, Item, Written, number, put_if, text},
    objects::S3Objects,
    storage::{corrupt, failure},
};

/// Projects, cards and revisions. What is immutable is kept in memory once read: a warm function asks
/// nobody for it.
#[derive(Debug, Clone)]
pub struct DynamoProjects {
    client: Client,
    config: Arc<Config>,
    objects: S3Objects,
    revisions: Cache<(ProjectId, PromptId, u32), CardRevision>,
    pipelines: Cache<(ProjectId, String), PipelineRevision>,
}

/// Immutable things by their names.
#[derive(Debug)]
struct Cache<K, V>(Arc<Mutex<HashMap<K, Arc<V>>>>);

/// The version of what was never saved before, and the condition on what was.
const FIRST: u32 = 1;
const IS_READ: &str = "version = :expected";

/// The sort key of a pipeline revision among the revisions: its hash says which one it is.
const ONLY: u32 = 0;

impl DynamoProjects {
    /// In this deployment.
    #[must_use]
    pub fn new(client: Client, objects: S3Objects, config: &Config) -> Self {
        Self {
            client,
            config: Arc::new(config.clone()),
            objects,
            revisions: Cache::default(),
            pipelines: Cache::default(),
        }
    }

    async fn get<T: DeserializeOwned>(&self, what: &str, table: &str, key: Item) -> Result<Option<T>> {
        let get = self.client.get_item().table_name(table).consistent_read(true);
        let got = get.set_key(Some(key)).send().await;
        let got = got.map_err(|error| failure(&format!("reading a {what}"), &error))?;
        got.item.map(|item| dynamo::document(what, item)).transpose()
    }

    async fn revision_item(&self, card: String, revision: u32) -> Result<Item> {
        let get = self
            .client
            .get_item()
            .table_name(&self.config.tables.prompt_revisions);
        let got = get
            .set_key(Some(revision_key(card.clone(), revision)))
            .consistent_read(true)
            .send()
            .await;
        let got = got.map_err(|error| failure(&format!("reading revision {revision} of {card}"), &error))?;
        got.item
            .ok_or_else(|| corrupt("revision", format!("there is no revision {revision} of {card}")))
    }

    /// A revision as it is stored: what the card says lies in S3, and its schema is JSON text, because the
    /// order of its keys matters to models and DynamoDB's maps have none.
    fn stored_revision(revision: &CardRevision, version: Option<&str>) -> Result<Item> {
        let mut stored = revision.clone();
        let content = std::mem::take(&mut stored.draft.content);
        let schema = stored.draft.settings.output_schema.take();
        let mut item = dynamo::item("card revision", &stored)?;
        item.extend(revision_key(
            card_key(&revision.project_id, &revision.prompt_id),
            revision.revision,
        ));
        item.insert("contentSha256".into(), text(sha256_hex(content.as_bytes())));
        item.insert(
            "contentVersion".into(),
            version.map_or(AttributeValue::Null(true), text),
        );
        if let Some(schema) = schema {
            item.insert("outputSchema".into(), text(schema.to_string()));
        }
        Ok(item)
    }

    async fn read_revision(
        &self,
        project: &ProjectId,
        prompt: &PromptId,
        revision: u32,
    ) -> Result<CardRevision> {
        let mut item = self.revision_item(card_key(project, prompt), revision).await?;
        let string = |item: &Item, name: &str| item.get(name).and_then(|value| value.as_s().ok().cloned());
        let version = string(&item, "contentVersion");
        let bucket = &self.config.buckets.prompts;
        let content = self
            .objects
            .get_from(bucket, &content_key(project, prompt), version.as_deref())
            .await?;
        let digest = sha256_hex(&content);
        if string(&item, "contentSha256").is_some_and(|said| said != digest) {
            return Err(corrupt(
                "card revision",
                format!("{project}/{prompt} {revision} says something else in S3"),
            ));
        }
        let content = String::from_utf8(content).map_err(|error| corrupt("card revision", error))?;
        item.insert("content".into(), text(content));
        let schema = string(&item, "outputSchema");
        let mut found: CardRevision = dynamo::document("card revision", item)?;
        if let Some(schema) = schema {
            let schema: Value =
                serde_json::from_str(&schema).map_err(|error| corrupt("output schema", error))?;
            found.draft.settings.output_schema = Some(schema);
        }
        Ok(found)
    }

    /// The card as it is to be: an update, because the item also says what its newest revision is called.
    fn card_update(
        &self,
        card: &Card,
        revision: Option<&CardRevision>,
        version: Option<&str>,
    ) -> Result<TransactWriteItem> {
        let mut attributes = dynamo::item("card", card)?;
        if let Some(revision) = revision {
            attributes.insert("title".into(), text(&revision.draft.title));
            attributes.insert("tags".into(), dynamo_value(&revision.draft.tags)?);
            attributes.insert(
                "contentVersion".into(),
                version.map_or(AttributeValue::Null(true), text),
            );
        }
        let mut update = Update::builder()
            .table_name(&self.config.tables.prompts)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        update = if card.version <= FIRST {
            update.condition_expression("attribute_not_exists(promptId)")
        } else {
            update
                .condition_expression(IS_READ)
                .expression_attribute_values(":expected", number(card.version - 1))
        };
        for name in ["projectId", "promptId"] {
            if let Some(value) = attributes.remove(name) {
                update = update.key(name, value);
            }
        }
        let mut sets: Vec<_> = attributes.into_iter().collect();
        sets.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut assignments = Vec::new();
        for (place, (name, value)) in sets.into_iter().enumerate() {
            assignments.push(format!("#{place} = :{place}"));
            update = update
                .expression_attribute_names(format!("#{place}"), name)
                .expression_attribute_values(format!(":{place}"), value);
        }
        // An update leaves alone what it does not name: a card that comes back sheds its end by name.
        let removal = if card.version > FIRST && !card.is_deleted() {
            " REMOVE deletedAt"
        } else {
            ""
        };
        let update = update
            .update_expression(format!("SET {}{removal}", assignments.join(", ")))
            .build();
        let update = update.map_err(|error| corrupt("request", error))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

#[async_trait]
impl Projects for DynamoProjects {
    async fn project(&self, project: &ProjectId) -> Result<Option<Project>> {
        let key = Item::from([("projectId".to_owned(), text(project.as_str()))]);
        self.get("project", &self.config.tables.projects, key).await
    }

    async fn projects(&self, member: Option<&str>, page: &PageRequest) -> Result<Page<Project>> {
        self.list(member, page).await
    }

    async fn card_revisions(
        &self,
        project: &ProjectId,
        prompt: &PromptId,
        page: &PageRequest,
    ) -> Result<Page<Arc<CardRevision>>> {
        let card = card_key(project, prompt);
        let after = match page.cursor.as_deref() {
            Some(cursor) => {
                let revision: u32 = cursor.parse().map_err(|_| no_page("revisions"))?;
                Some(revision_key(card.clone(), revision))
            }
            None => None,
        };
        let query = self
            .client
            .query()
            .table_name(&self.config.tables.prompt_revisions);
        let query = query
            .key_condition_expression("card = :card")
            .expression_attribute_values(":card", text(card))
            .projection_expression("revision")
            .consistent_read(true)
            .scan_index_forward(false)
            .limit(i32::try_from(page.limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(after);
        let found = query
            .send()
            .await
            .map_err(|error| failure("listing revisions", &error))?;
        let number = |item: &Item| item.get("revision")?.as_n().ok()?.parse::<u32>().ok();
        let numbers = found.items.unwrap_or_default();
        // What each says lies in S3, and in this process once it was read.
        let revisions = numbers.iter().filter_map(number);
        let revisions = revisions.map(|revision| self.card_revision(project, prompt, revision));
        Ok(Page {
            items: futures_util::future::try_join_all(revisions).await?,
            next: found
                .last_evaluated_key
                .as_ref()
                .and_then(number)
                .map(|number| number.to_string()),
        })
    }

    async fn cards(&self, project: &ProjectId) -> Result<Vec<Card>> {
        let mut cards = Vec::new();
        let mut from = None;
        loop {
            let query = self
                .client
                .query()
                .table_name(&self.config.tables.prompts)
                .consistent_read(true);
            let query = query
                .key_condition_expression("projectId = :project")
                .expression_attribute_values(":project", text(project.as_str()))
                .set_exclusive_start_key(from);
            let page = query
                .send()
                .await
                .map_err(|error| failure("reading a project's cards", &error))?;
            for item in page.items.unwrap_or_default() {
                cards.push(dynamo::document("card", item)?);
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(cards);
            }
        }
    }

    async fn card_revision(
        &self,
        project: &ProjectId,
        prompt: &PromptId,
        revision: u32,
    ) -> Result<Arc<CardRevision>> {
        let key = (project.clone(), prompt.clone(), revision);
        self.revisions
            .get(key, self.read_revision(project, prompt, revision))
            .await
    }

    async fn put_project(&self, project: &Project, before: Option<&Project>) -> Result<Saved> {
        let item = dynamo::item("project", project)?;
        let table = &self.config.tables.projects;
        let put = match before {
            None => put_if(table, item, "attribute_not_exists(projectId)", [])?,
            Some(before) => put_if(table, item, IS_READ, [(":expected", number(before.version))])?,
        };
        // The project first: it is the one that anything can stand against.
        let mut items = vec![put];
        items.extend(members::changes(table, before, project)?);
        match dynamo::write(&self.client, "storing a project", items).await? {
            Written::All => Ok(Saved::Done),
            Written::Nothing(standing) => is_ours("project", standing, project),
        }
    }

    async fn put_card(&self, card: &Card, revision: Option<&CardRevision>) -> Result<Saved> {
        let mut version = None;
        if let Some(revision) = revision {
            let key = content_key(&card.project_id, &card.prompt_id);
            let content = revision.draft.content.clone().into_bytes();
            version = self
                .objects
                .put_in(&self.config.buckets.prompts, &key, content)
                .await?;
        }
        // The card first: where both are refused, its item is the one that is told of.
        let mut items = vec![self.card_update(card, revision, version.as_deref())?];
        if let Some(revision) = revision {
            let item = Self::stored_revision(revision, version.as_deref())?;
            let table = &self.config.tables.prompt_revisions;
            items.push(put_if(table, item, "attribute_not_exists(card)", [])?);
        }
        match dynamo::write(&self.client, "storing a card", items).await? {
            Written::All => Ok(Saved::Done),
            // With a new revision it may be another's, which differs in what it says and not in its number.
            Written::Nothing(_) if revision.is_some() => Ok(Saved::Stale),
            Written::Nothing(standing) => is_ours("card", standing, card),
        }
    }

    async fn put_cards(&self, cards: &[Card]) -> Result<Saved> {
        let updates = cards.iter().map(|card| self.card_update(card, None, None));
        let updates = updates.collect::<Result<Vec<_>>>()?;
        match dynamo::write(&self.client, "storing cards", updates).await? {
            Written::All => Ok(Saved::Done),
            Written::Nothing(_) => Ok(Saved::Stale),
        }
    }

    async fn keep_pipeline(&self, pipeline: &PipelineRevision) -> Result<()> {
        let key = (pipeline.project_id.clone(), pipeline.hash.clone());
        if self.pipelines.has(&key) {
            return Ok(());
        }
        let mut item = dynamo::item("pipeline revision", pipeline)?;
        item.extend(revision_key(pipeline_key(&key.0, &key.1), ONLY));
        // No condition: whoever writes it writes the same, since its name is its hash.
        let put = self
            .client
            .put_item()
            .table_name(&self.config.tables.prompt_revisions)
            .set_item(Some(item));
        put.send()
            .await
            .map_err(|error| failure("keeping a pipeline revision", &error))?;
        self.pipelines.put(key, pipeline.clone());
        Ok(())
    }

    async fn pipeline(&self, project: &ProjectId, hash: &str) -> Result<Arc<PipelineRevision>> {
        let read = async {
            let item = self.revision_item(pipeline_key(project, hash), ONLY).await?;
            dynamo::document("pipeline revision", item)
        };
        self.pipelines.get((project.clone(), hash.to_owned()), read).await
    }
}

impl<K: Hash + Eq, V> Cache<K, V> {
    async fn get(&self, key: K, read: impl Future<Output = Result<V>>) -> Result<Arc<V>> {
        if let Some(found) = self.0.lock().get(&key) {
            return Ok(Arc::clone(found));
        }
        Ok(self.put(key, read.await?))
    }

    fn put(&self, key: K, value: V) -> Arc<V> {
        Arc::clone(self.0.lock().entry(key).or_insert_with(|| Arc::new(value)))
    }

    fn has(&self, key: &K) -> bool {
        self.0.lock().contains_key(key)
    }
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, V> Clone for Cache<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

fn no_page(of: &str) -> Failure {
    Failure::new(Code::InvalidRequest, format!("there is no such page of {of}"))
}

/// Whether what stands against a write is what was to be written: a try of ours whose answer was lost.
fn is_ours<T: DeserializeOwned + PartialEq>(
    what: &str,
    standing: Option<Item>,
    written: &T,
) -> Result<Saved> {
    let standing = standing
        .map(|item| dynamo::document::<T>(what, item))
        .transpose()?;
    Ok(if standing.as_ref() == Some(written) {
        Saved::Done
    } else {
        Saved::Stale
    })
}

fn revision_key(card: String, revision: u32) -> Item {
    Item::from([
        ("card".to_owned(), text(card)),
        ("revision".to_owned(), number(revision)),
    ])
}

fn card_key(project: &ProjectId, prompt: &PromptId) -> String {
    format!("{project}#{prompt}")
}

/// No card's id has a colon in it.
fn pipeline_key(project: &ProjectId, hash: &str) -> String {
    format!("{project}#pipeline:{hash}")
}

fn content_key(project: &ProjectId, prompt: &PromptId) -> String {
    format!("{project}/{prompt}.txt")
}

fn dynamo_value(value: &impl serde::Serialize) -> Result<AttributeValue> {
    serde_dynamo::to_attribute_value(value).map_err(|error| corrupt("value", error))
}
