//! News of jobs, for functions that nobody can call: by looking. Whoever looks leaves a mark, so that a stage knows
//! that it is followed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use bedrock_diy_core::{
    JobId,
    error::Result,
    event::{Event, Unstored},
    ports::{Clock, Followers, Watch, Watches},
};
use tokio::time::Instant;

use crate::{
    config::Config,
    dynamo::{EXPIRY, number},
    jobs::DynamoJobs,
    storage::failure,
};

/// Between two looks at a job: each costs half a read unit, $0.0000000625 (`DynamoDB` on demand, us-east-1,
/// 2026-11).
const LOOK: Duration = Duration::from_millis(500);

/// The sort key of the mark, beside the job's own items.
const FOLLOWED: &str = "FOLLOWED";

/// How long a mark says that a job is followed, and how often whoever follows it makes a new one.
const MARKED_FOR_MILLIS: i64 = 60_000;
const MARK_EVERY: Duration = Duration::from_secs(20);

/// Looks at the jobs' table, and leaves marks in it.
#[derive(Clone)]
pub struct DynamoWatches {
    client: Client,
    table: String,
    clock: Arc<dyn Clock>,
}

impl DynamoWatches {
    /// In this deployment.
    #[must_use]
    pub fn new(client: Client, config: &Config, clock: Arc<dyn Clock>) -> Self {
        Self {
            client,
            table: config.tables.jobs.clone(),
            clock,
        }
    }

    /// Marks a job as followed: its answers are told while they are written.
    async fn mark(&self, job: &JobId) -> Result<()> {
        let until = self.clock.now().plus_millis(MARKED_FOR_MILLIS);
        let mut item = DynamoJobs::key(job, FOLLOWED);
        item.insert("until".to_owned(), number(until.millis()));
        item.insert(EXPIRY.to_owned(), number(until.millis() / 1_000));
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item));
        let put = put.send().await;
        put.map(drop)
            .map_err(|error| failure("marking a job as followed", &error))
    }
}

impl Watches for DynamoWatches {
    fn watch(&self, job: &JobId) -> Box<dyn Watch> {
        Box::new(JobWatch {
            watches: self.clone(),
            job: job.clone(),
            marked: None,
        })
    }
}

#[async_trait]
impl Followers for DynamoWatches {
    async fn has(&self, job: &JobId) -> Result<bool> {
        let get = self.client.get_item().table_name(&self.table);
        let got = get.set_key(Some(DynamoJobs::key(job, FOLLOWED))).send().await;
        let got = got.map_err(|error| failure("looking whether a job is followed", &error))?;
        let until = got
            .item()
            .and_then(|item| item.get("until")?.as_n().ok()?.parse().ok());
        Ok(until.is_some_and(|until: i64| until > self.clock.now().millis()))
    }

    fn show(&self, _: &JobId, _: Unstored) {}

    fn tell(&self, _: &[Event]) {}
}

struct JobWatch {
    watches: DynamoWatches,
    job: JobId,
    /// When the last mark was made.
    marked: Option<Instant>,
}

#[async_trait]
impl Watch for JobWatch {
    async fn changed(&mut self, at_most: Duration) {
        if self.marked.is_none_or(|marked| marked.elapsed() >= MARK_EVERY) {
            self.marked = Some(Instant::now());
            // Nothing is lost where it fails: whoever waits looks all the same.
            let _ = self.watches.mark(&self.job).await;
        }
        tokio::time::sleep(at_most.min(LOOK)).await;
    }

    fn unstored(&self) -> Option<Arc<Unstored>> {
        None
    }
}
