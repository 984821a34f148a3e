//! News of jobs, for functions that nobody can call: by looking. Whoever looks leaves a mark, so that a stage knows
//! that it is followed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use bedrock_diy_core::{
    JobId,
    error::Result,
    event::Unstored,
    ports::{Clock, Watch, Watches},
};
use tokio::time::Instant;

use crate::{
    config::Config,
    dynamo::{EXPIRY, is_refused, number},
    jobs::DynamoJobs,
    storage::failure,
};

/// Between two looks at a job: each costs half a read unit, $0.0000000625 (DynamoDB on demand, us-east-1,
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

    /// Marks a job as followed for so long, where it is not for longer: its answers are told while they are written.
    pub(crate) async fn mark(&self, job: &JobId, millis: i64) -> Result<()> {
        let until = self.clock.now().plus_millis(millis);
        let marked = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(DynamoJobs::key(job, FOLLOWED)))
            .update_expression("SET #until = :until, #ttl = :ttl")
            .condition_expression("attribute_not_exists(#until) OR #until < :until")
            .expression_attribute_names("#until", "until")
            .expression_attribute_names("#ttl", EXPIRY)
            .expression_attribute_values(":until", number(until.millis()))
            .expression_attribute_values(":ttl", number(until.millis() / 1_000))
            .send()
            .await;
        match marked {
            Err(error) if !is_refused(&error) => Err(failure("marking a job as followed", &error)),
            _ => Ok(()),
        }
    }

    /// Takes the mark away: whoever still follows makes a new one.
    pub(crate) async fn unmark(&self, job: &JobId) -> Result<()> {
        let delete = self.client.delete_item().table_name(&self.table);
        let deleted = delete.set_key(Some(DynamoJobs::key(job, FOLLOWED))).send().await;
        deleted
            .map(drop)
            .map_err(|error| failure("unmarking a job as followed", &error))
    }

    /// Whether a job is marked as followed.
    pub(crate) async fn is_marked(&self, job: &JobId) -> Result<bool> {
        let get = self.client.get_item().table_name(&self.table);
        let got = get.set_key(Some(DynamoJobs::key(job, FOLLOWED))).send().await;
        let got = got.map_err(|error| failure("looking whether a job is followed", &error))?;
        let until = got
            .item()
            .and_then(|item| item.get("until")?.as_n().ok()?.parse().ok());
        Ok(until.is_some_and(|until: i64| until > self.clock.now().millis()))
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
            let _ = self.watches.mark(&self.job, MARKED_FOR_MILLIS).await;
        }
        tokio::time::sleep(at_most.min(LOOK)).await;
    }

    fn unstored(&self) -> Option<Arc<Unstored>> {
        None
    }
}
