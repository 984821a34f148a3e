//! Answers that were paid for, in DynamoDB; their texts in S3.

use async_trait::async_trait;
use aws_sdk_dynamodb::{Client, types::TransactWriteItem};
use bedrock_diy_core::{
    error::Result,
    ports::{Clock, Memo},
    stage::MemoEntry,
    time::Timestamp,
};

use crate::{
    SystemClock,
    config::Config,
    dynamo::{self, Item, text},
    objects::S3Objects,
    storage::failure,
};

/// The memo.
#[derive(Debug, Clone)]
pub struct DynamoMemo {
    client: Client,
    table: String,
    retention_days: u32,
    objects: S3Objects,
}

impl DynamoMemo {
    /// In this deployment.
    #[must_use]
    pub fn new(client: Client, objects: S3Objects, config: &Config) -> Self {
        Self {
            client,
            table: config.tables.stage_memo.clone(),
            retention_days: config.retention_days,
            objects,
        }
    }

    /// An entry as a part of the transaction that finishes its stage.
    pub(crate) fn put(&self, entry: &MemoEntry, at: Timestamp) -> Result<TransactWriteItem> {
        dynamo::put(&self.table, self.item(entry, at)?)
    }

    fn item(&self, entry: &MemoEntry, at: Timestamp) -> Result<Item> {
        let mut item = dynamo::item("memo entry", entry)?;
        dynamo::expires(&mut item, at, self.retention_days);
        Ok(item)
    }
}

#[async_trait]
impl Memo for DynamoMemo {
    async fn find(&self, memo_key: &str) -> Result<Option<MemoEntry>> {
        // Consistent: an earlier try of this stage may have kept its answer a moment ago.
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true);
        let got = get.key("memoKey", text(memo_key)).send().await;
        let got = got.map_err(|error| failure("looking into the memo", &error))?;
        got.item
            .map(|item| dynamo::document("memo entry", item))
            .transpose()
    }

    async fn keep(&self, mut entry: MemoEntry, output: String) -> Result<()> {
        entry.output = self.objects.put_text(&entry.output, output).await?;
        let item = self.item(&entry, SystemClock.now())?;
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item));
        put.send()
            .await
            .map(|_| ())
            .map_err(|error| failure("keeping an answer in the memo", &error))
    }
}
