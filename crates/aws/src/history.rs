//! Chat history in `DynamoDB`; long texts in S3.

use async_trait::async_trait;
use aws_sdk_dynamodb::{Client, types::TransactWriteItem};
use bedrock_diy_core::{
    JobId, ProjectId, SessionId,
    article::{Bucket, ObjectRef},
    error::Result,
    history::Exchange,
    ports::History,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::{
    config::Config,
    dynamo::{self, text},
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

    /// A job's exchange as a part of the transaction that closes it. Its long texts are in S3 after this.
    pub(crate) async fn put(&self, job: &JobId, mut exchange: Exchange) -> Result<TransactWriteItem> {
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
        let session = session_key(&exchange.project_id, &exchange.session_id);
        // Two may end in one millisecond: the job tells them apart.
        let timestamp = format!("{}#{job}", exchange.timestamp);
        let ended_at = exchange.timestamp;
        let mut item = dynamo::item(
            "exchange",
            &Stored {
                exchange,
                user_input_ref,
                assistant_response_ref,
            },
        )?;
        item.insert("sessionId".to_owned(), text(session));
        item.insert("timestamp".to_owned(), text(timestamp));
        dynamo::expires(&mut item, ended_at, self.retention_days);
        dynamo::put(&self.table, item)
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

    /// An exchange whose texts are all there.
    async fn whole(
        &self,
        mut item: dynamo::Item,
        project: &ProjectId,
        session: &SessionId,
    ) -> Result<Exchange> {
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
        let mut items = Vec::new();
        let mut from = None;
        while items.len() < limit {
            let query = self.client.query().table_name(&self.table).consistent_read(true);
            let query = query
                .key_condition_expression("sessionId = :session")
                .expression_attribute_values(":session", text(session_key(project, session)))
                .scan_index_forward(false)
                .limit(i32::try_from(limit - items.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(from);
            let page = query
                .send()
                .await
                .map_err(|error| failure("reading a session", &error))?;
            items.extend(page.items.unwrap_or_default());
            from = page.last_evaluated_key;
            if from.is_none() {
                break;
            }
        }
        let mut exchanges: Vec<_> = stream::iter(items)
            .map(|item| self.whole(item, project, session))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        exchanges.reverse();
        Ok(exchanges)
    }
}

/// Two projects' sessions of one name are two sessions.
fn session_key(project: &ProjectId, session: &SessionId) -> String {
    format!("{project}#{session}")
}
