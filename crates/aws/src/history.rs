//! Chat history in DynamoDB; long texts in S3.

mod sessions;

use async_trait::async_trait;
use aws_sdk_dynamodb::{Client, operation::query::builders::QueryFluentBuilder, types::TransactWriteItem};
use bedrock_diy_core::{
    Code, Failure, JobId, ProjectId, SessionId,
    article::{Bucket, ObjectRef},
    error::Result,
    history::{Exchange, SessionSummary},
    page::{Page, PageRequest},
    ports::History,
    time::Timestamp,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::{
    config::Config,
    dynamo::{self, Item, text},
    objects::S3Objects,
    storage::{corrupt, failure},
};

/// Texts of up to so many bytes lie in the item, longer ones in S3: an item holds two, and stays far below
/// 100 kB, so that a session's last fifty are read in one or two pages of a megabyte.
const INLINE_BYTES: usize = 16 * 1024;

/// Texts that are read from S3 at once.
const AT_ONCE: usize = 10;

/// The sessions' exchanges.
#[derive(Debug, Clone)]
pub struct DynamoHistory {
    client: Client,
    table: String,
    retention_days: u32,
    objects: S3Objects,
}

/// An exchange as an item: its texts are there, or are said to lie elsewhere.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    #[serde(flatten)]
    exchange: Exchange,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_input_ref: Option<ObjectRef>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    assistant_response_ref: Option<ObjectRef>,
}

impl DynamoHistory {
    /// In this deployment.
    #[must_use]
    pub fn new(client: Client, objects: S3Objects, config: &Config) -> Self {
        Self {
            client,
            table: config.tables.chat_history.clone(),
            retention_days: config.retention_days,
            objects,
        }
    }

    /// A job's exchange as a part of the transaction that closes it, and what its session's item becomes. Its long
    /// texts are in S3 after this.
    pub(crate) async fn put(&self, job: &JobId, mut exchange: Exchange) -> Result<[TransactWriteItem; 2]> {
        let counted = self.count(&exchange)?;
        let folder = format!("{}/{job}", exchange.project_id);
        let user_input_ref = self
            .put_away(&mut exchange.user_input, format!("{folder}/user-input.txt"))
            .await?;
        let assistant_response_ref = self
            .put_away(
                &mut exchange.assistant_response,
                format!("{folder}/assistant-response.txt"),
            )
            .await?;
        let ended_at = exchange.timestamp;
        // Two may end in one millisecond: the job tells them apart.
        let key = exchange_key(
            &exchange.project_id,
            &exchange.session_id,
            format!("{ended_at}#{job}"),
        );
        let mut item = dynamo::item(
            "exchange",
            &Stored {
                exchange,
                user_input_ref,
                assistant_response_ref,
            },
        )?;
        item.extend(key);
        dynamo::expires(&mut item, ended_at, self.retention_days);
        Ok([dynamo::put(&self.table, item)?, counted])
    }

    async fn put_away(&self, words: &mut String, key: String) -> Result<Option<ObjectRef>> {
        if words.len() <= INLINE_BYTES {
            return Ok(None);
        }
        let words = std::mem::take(words);
        let place = ObjectRef {
            bucket: Bucket::Results,
            key,
            version: None,
            size: words.len() as u64,
        };
        self.objects.put_text(&place, words).await.map(Some)
    }

    /// Items of up to so many exchanges from a place on, the newest first, and where the next ones begin.
    async fn newest(
        &self,
        project: &ProjectId,
        session: &SessionId,
        limit: usize,
        mut from: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>)> {
        let mut items = Vec::new();
        while items.len() < limit {
            let query = self.exchanges_of(project, session).consistent_read(true);
            let query = query
                .scan_index_forward(false)
                .limit(i32::try_from(limit - items.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(from);
            let page = query.send().await;
            let page = page.map_err(|error| failure("reading a session", &error))?;
            items.extend(page.items.unwrap_or_default());
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok((items, None));
            }
        }
        Ok((items, from.filter(|_| limit > 0)))
    }

    fn exchanges_of(&self, project: &ProjectId, session: &SessionId) -> QueryFluentBuilder {
        let query = self.client.query().table_name(&self.table);
        query
            .key_condition_expression("sessionId = :session AND #timestamp < :end")
            // A reserved word.
            .expression_attribute_names("#timestamp", "timestamp")
            .expression_attribute_values(":session", text(session_key(project, session)))
            .expression_attribute_values(":end", text(sessions::SESSION))
    }

    /// Deletes the session's exchanges, their texts in S3 first: what still has its item can be found again. Says
    /// whether there were any.
    async fn delete_exchanges(&self, project: &ProjectId, session: &SessionId) -> Result<bool> {
        let what = "deleting a session";
        let mut were_there = false;
        loop {
            let query = self.exchanges_of(project, session).consistent_read(true);
            let query =
                query.projection_expression("sessionId, #timestamp, userInputRef, assistantResponseRef");
            let found = query.send().await.map_err(|error| failure(what, &error))?;
            let mut items = found.items.unwrap_or_default();
            were_there |= !items.is_empty();
            let mut texts = Vec::new();
            for item in &mut items {
                for name in ["userInputRef", "assistantResponseRef"] {
                    if let Some(object) = item.remove(name) {
                        let object: ObjectRef = serde_dynamo::from_attribute_value(object)
                            .map_err(|error| corrupt("exchange", error))?;
                        texts.push(object);
                    }
                }
            }
            stream::iter(texts)
                .map(|object| async move { self.objects.delete(&object).await })
                .buffer_unordered(AT_ONCE)
                .try_collect::<()>()
                .await?;
            dynamo::delete_all(&self.client, what, &self.table, items).await?;
            // What it came to is deleted: the next look begins at the front again.
            if found.last_evaluated_key.is_none() {
                return Ok(were_there);
            }
        }
    }

    /// Exchanges whose texts are all there, in this order.
    async fn all_whole(
        &self,
        items: Vec<Item>,
        project: &ProjectId,
        session: &SessionId,
    ) -> Result<Vec<Exchange>> {
        stream::iter(items)
            .map(|item| self.whole(item, project, session))
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    /// An exchange whose texts are all there.
    async fn whole(&self, mut item: Item, project: &ProjectId, session: &SessionId) -> Result<Exchange> {
        let timestamp = item.get("timestamp").and_then(|timestamp| timestamp.as_s().ok());
        let ended_at = timestamp
            .and_then(|timestamp| timestamp.split('#').next())
            .unwrap_or_default();
        let own = [
            ("timestamp", ended_at.to_owned()),
            ("sessionId", session.as_str().to_owned()),
        ];
        for (name, value) in own {
            item.insert(name.to_owned(), text(value));
        }
        let stored: Stored = dynamo::document("exchange", item)?;
        let mut exchange = stored.exchange;
        if exchange.project_id != *project {
            return Err(corrupt("exchange", "it is another project's"));
        }
        if let Some(object) = stored.user_input_ref {
            exchange.user_input = self.objects.get_text(&object).await?;
        }
        if let Some(object) = stored.assistant_response_ref {
            exchange.assistant_response = self.objects.get_text(&object).await?;
        }
        Ok(exchange)
    }
}

#[async_trait]
impl History for DynamoHistory {
    async fn recent(&self, project: &ProjectId, session: &SessionId, limit: usize) -> Result<Vec<Exchange>> {
        let (items, _) = self.newest(project, session, limit, None).await?;
        let mut exchanges = self.all_whole(items, project, session).await?;
        exchanges.reverse();
        Ok(exchanges)
    }

    async fn sessions(&self, project: &ProjectId, page: &PageRequest) -> Result<Page<SessionSummary>> {
        self.list(project, page).await
    }

    async fn exchanges(
        &self,
        project: &ProjectId,
        session: &SessionId,
        page: &PageRequest,
    ) -> Result<Page<Exchange>> {
        let from = match page.cursor.as_deref() {
            Some(cursor) => Some(start_after(project, session, cursor).ok_or_else(|| no_page("exchanges"))?),
            None => None,
        };
        let (items, last) = self.newest(project, session, page.limit, from).await?;
        Ok(Page {
            next: last.as_ref().and_then(sort_key).map(|key| key.replace('#', "~")),
            items: self.all_whole(items, project, session).await?,
        })
    }

    /// The session's item goes last, and only where nobody has added an exchange meanwhile: whatever is left when a
    /// call dies is in the list, for another call to find.
    async fn delete(&self, project: &ProjectId, session: &SessionId) -> Result<bool> {
        let mut was_there = false;
        loop {
            let listed = self.listed(project, session).await?;
            was_there |= self.delete_exchanges(project, session).await? || listed.is_some();
            let Some(listed) = listed else {
                return Ok(was_there);
            };
            if self.strike(project, session, listed).await? {
                return Ok(true);
            }
        }
    }
}

/// Two projects' sessions of one name are two sessions.
fn session_key(project: &ProjectId, session: &SessionId) -> String {
    format!("{project}#{session}")
}

/// The key of an exchange of the session.
fn exchange_key(project: &ProjectId, session: &SessionId, timestamp: String) -> Item {
    Item::from([
        ("sessionId".to_owned(), text(session_key(project, session))),
        ("timestamp".to_owned(), text(timestamp)),
    ])
}

/// When an exchange ended, and the job that it was.
fn sort_key(item: &Item) -> Option<&String> {
    item.get("timestamp")?.as_s().ok()
}

/// Where the page begins that comes after the exchange which a cursor names.
fn start_after(project: &ProjectId, session: &SessionId, cursor: &str) -> Option<Item> {
    let (at, job) = cursor.split_once('~')?;
    let at: Timestamp = at.parse().ok()?;
    let job = JobId::new(job).ok()?;
    Some(exchange_key(project, session, format!("{at}#{job}")))
}

fn no_page(of: &str) -> Failure {
    Failure::new(Code::InvalidRequest, format!("there is no such page of {of}"))
}
