//! Jobs, their stages and events in one DynamoDB table: a job's items lie together under its id.

mod turns;

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use aws_sdk_dynamodb::{Client, types::TransactWriteItem};
use bedrock_diy_core::{
    BatchId, Code, Failure, JobId, ProjectId,
    error::Result,
    event::Event,
    job::{Change, Job},
    page::{Page, PageRequest},
    ports::{Accepted, Applied, JobFilter, JobIndex, Jobs},
    stage::StageRecord,
    time::Timestamp,
};

use crate::{
    config::Config,
    dynamo::{self, Item, Written, number, put, put_if, text},
    history::DynamoHistory,
    memo::DynamoMemo,
    objects::S3Objects,
    storage::failure,
};

/// The sort key of the job itself; its stages are `STAGE#0001` …, its events `EVENT#00000001` ….
const JOB: &str = "JOB";

/// Jobs in DynamoDB, their outputs in S3.
///
/// A change is one transaction over the job, its stage, events, memo entry and exchange; an output is in
/// S3 before it, as a version that the items name.
#[derive(Debug, Clone)]
pub struct DynamoJobs {
    client: Client,
    table: String,
    retention_days: u32,
    objects: S3Objects,
    memo: DynamoMemo,
    history: DynamoHistory,
}

impl DynamoJobs {
    /// In this deployment.
    #[must_use]
    pub fn new(client: Client, objects: S3Objects, config: &Config) -> Self {
        Self {
            table: config.tables.jobs.clone(),
            retention_days: config.retention_days,
            memo: DynamoMemo::new(client.clone(), objects.clone(), config),
            history: DynamoHistory::new(client.clone(), objects.clone(), config),
            objects,
            client,
        }
    }

    /// The key of one of a job's items.
    pub(crate) fn key(job: &JobId, item: impl Into<String>) -> Item {
        Item::from([
            ("jobId".to_owned(), text(job.as_str())),
            ("item".to_owned(), text(item)),
        ])
    }

    fn job_item(&self, job: &Job) -> Result<Item> {
        let mut item = dynamo::item("job", job)?;
        item.extend(Self::key(&job.job_id, JOB));
        // What the index `byBatch` goes by: batches of two projects may have one name.
        item.insert(
            "projectBatch".to_owned(),
            text(batch_key(&job.project_id, &job.batch)),
        );
        dynamo::expires(&mut item, job.accepted_at, self.retention_days);
        Ok(item)
    }

    fn stage_item(&self, job: &Job, stage: &StageRecord) -> Result<Item> {
        let mut item = dynamo::item("stage", stage)?;
        item.extend(Self::key(&job.job_id, stage_key(stage.stage)));
        dynamo::expires(&mut item, job.accepted_at, self.retention_days);
        Ok(item)
    }

    fn event_item(&self, job: &Job, event: &Event) -> Result<Item> {
        let mut item = dynamo::item("event", event)?;
        item.extend(Self::key(&job.job_id, event_key(event.number)));
        dynamo::expires(&mut item, job.accepted_at, self.retention_days);
        Ok(item)
    }

    /// What is written with a job, besides the job itself.
    async fn along(&self, change: &mut Change) -> Result<Vec<TransactWriteItem>> {
        if let Some((object, body)) = change.output.take() {
            let stored = self.objects.put_text(&object, body).await?;
            change.output_is(&stored);
        }
        let mut items = Vec::new();
        if let Some(stage) = &change.stage {
            items.push(put(&self.table, self.stage_item(&change.job, stage)?)?);
        }
        for event in &change.events {
            items.push(put(&self.table, self.event_item(&change.job, event)?)?);
        }
        if let Some(entry) = &change.memo {
            let now = change
                .events
                .last()
                .map_or(change.job.accepted_at, |event| event.at);
            items.push(self.memo.put(entry, now)?);
        }
        if let Some(exchange) = change.exchange.take() {
            items.extend(self.history.put(&change.job.job_id, exchange).await?);
        }
        Ok(items)
    }

    /// The job that stood against a write: the one that came with the refusal, or else the stored one.
    async fn standing(&self, job: &JobId, item: Option<Item>) -> Result<Job> {
        if let Some(item) = item {
            return dynamo::document("job", item);
        }
        self.read(job)
            .await?
            .ok_or_else(|| bedrock_diy_core::job::unknown_job(job))
    }

    /// The job's items whose sort keys come after `after` and up to `last`, in order.
    async fn items(&self, job: &JobId, after: String, last: String, limit: usize) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        let mut from: Option<Item> = None;
        loop {
            let query = self.client.query().table_name(&self.table).consistent_read(true);
            let query = query
                .key_condition_expression("jobId = :job AND #item BETWEEN :after AND :last")
                .expression_attribute_names("#item", "item")
                .expression_attribute_values(":job", text(job.as_str()))
                .expression_attribute_values(":after", text(&after))
                .expression_attribute_values(":last", text(&last))
                .set_exclusive_start_key(from)
                // One more than is missing: the first key itself does not count.
                .limit(i32::try_from(limit.saturating_sub(items.len()).saturating_add(1)).unwrap_or(i32::MAX));
            let page = query
                .send()
                .await
                .map_err(|error| failure(&format!("reading the items of job {job}"), &error))?;
            let found = page.items.unwrap_or_default();
            items.extend(
                found
                    .into_iter()
                    .filter(|item| item.get("item") != Some(&text(&after))),
            );
            from = page.last_evaluated_key;
            if from.is_none() || items.len() >= limit {
                items.truncate(limit);
                return Ok(items);
            }
        }
    }
}

#[async_trait]
impl Jobs for DynamoJobs {
    async fn accept(&self, mut change: Change) -> Result<Accepted> {
        let job = self.job_item(&change.job)?;
        let mut items = vec![put_if(&self.table, job, "attribute_not_exists(jobId)", [])?];
        items.extend(self.along(&mut change).await?);
        if let Some(session) = change.job.takes_turn_in().cloned() {
            return self.accept_in_turn(&session, change, items).await;
        }
        let what = format!("accepting the job {}", change.job.job_id);
        match dynamo::write(&self.client, &what, items).await? {
            Written::All => Ok(Accepted::New(change.job, change.events)),
            Written::Nothing(item) => Ok(Accepted::Already(self.standing(&change.job.job_id, item).await?)),
        }
    }

    async fn read(&self, job: &JobId) -> Result<Option<Job>> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true);
        let got = get.set_key(Some(Self::key(job, JOB))).send().await;
        let got = got.map_err(|error| failure(&format!("reading the job {job}"), &error))?;
        got.item.map(|item| dynamo::document("job", item)).transpose()
    }

    async fn apply(&self, mut change: Change) -> Result<Applied> {
        let along = self.along(&mut change).await?;
        let expected = number(change.expected_version);
        let job = self.job_item(&change.job)?;
        let mut items = vec![put_if(
            &self.table,
            job,
            "version = :expected",
            [(":expected", expected)],
        )?];
        items.extend(along);
        let what = format!("changing the job {}", change.job.job_id);
        match dynamo::write(&self.client, &what, items).await? {
            Written::All => Ok(Applied::Done(change.job, change.events)),
            Written::Nothing(item) => Ok(Applied::Stale(self.standing(&change.job.job_id, item).await?)),
        }
    }

    async fn stages(&self, job: &JobId) -> Result<Arc<Vec<StageRecord>>> {
        let items = self
            .items(job, stage_key(0), stage_key(u32::MAX), usize::MAX >> 1)
            .await?;
        items
            .into_iter()
            .map(|item| dynamo::document("stage", item))
            .collect::<Result<_>>()
            .map(Arc::new)
    }

    async fn events(&self, job: &JobId, after: u64, limit: usize) -> Result<Vec<Event>> {
        let items = self
            .items(job, event_key(after), event_key(u64::MAX), limit)
            .await?;
        items
            .into_iter()
            .map(|item| dynamo::document("event", item))
            .collect()
    }
}

/// What sorts before and after every moment.
const BEFORE_ALL: &str = "0";
const AFTER_ALL: &str = "~";

#[async_trait]
impl JobIndex for DynamoJobs {
    /// The index has the jobs' ids and statuses alone; the jobs themselves are read by their ids. With a status,
    /// it is read on until the page is full.
    async fn list(&self, filter: &JobFilter, page: &PageRequest) -> Result<Page<Job>> {
        let (index, attribute, value) = match &filter.batch {
            Some(batch) => ("byBatch", "projectBatch", batch_key(&filter.project, batch)),
            None => ("byProject", "projectId", filter.project.to_string()),
        };
        // Moments are text that sorts as they do; both ends are within.
        let first = filter
            .from
            .map_or_else(|| BEFORE_ALL.to_owned(), |from| from.to_string());
        let last = filter
            .to
            .map_or_else(|| AFTER_ALL.to_owned(), |to| to.plus_millis(-1).to_string());
        if first > last {
            return Ok(Page {
                items: Vec::new(),
                next: None,
            });
        }
        let mut from = match &page.cursor {
            Some(cursor) => Some(start_after(cursor, attribute, &value)?),
            None => None,
        };
        let mut ids = Vec::new();
        while ids.len() < page.limit {
            let wanted = page.limit - ids.len();
            let query = self.client.query().table_name(&self.table).index_name(index);
            let query = query
                .key_condition_expression(format!(
                    "{attribute} = :value AND acceptedAt BETWEEN :from AND :to"
                ))
                .expression_attribute_values(":value", text(&value))
                .expression_attribute_values(":from", text(&first))
                .expression_attribute_values(":to", text(&last))
                .set_filter_expression(filter.status.map(|_| "#status = :status".to_owned()))
                .set_expression_attribute_names(
                    filter
                        .status
                        .map(|_| [("#status".to_owned(), "status".to_owned())].into()),
                )
                .scan_index_forward(false)
                .limit(i32::try_from(wanted).unwrap_or(i32::MAX))
                .set_exclusive_start_key(from);
            let query = match filter.status {
                Some(status) => query.expression_attribute_values(":status", text(status.as_str())),
                None => query,
            };
            let found = query
                .send()
                .await
                .map_err(|error| failure("listing jobs", &error))?;
            ids.extend(found.items.unwrap_or_default().iter().filter_map(job_of));
            from = found.last_evaluated_key;
            if from.is_none() {
                break;
            }
        }
        let next = from.as_ref().and_then(cursor_of);
        Ok(Page {
            items: self.read_all(ids).await?,
            next,
        })
    }
}

impl DynamoJobs {
    /// Jobs by their ids, in this order; those that are gone meanwhile are left out.
    async fn read_all(&self, ids: Vec<JobId>) -> Result<Vec<Job>> {
        let keys = ids.iter().map(|id| Self::key(id, JOB)).collect();
        let mut found = HashMap::new();
        for item in dynamo::read_all(&self.client, "reading jobs", &self.table, keys).await? {
            let job: Job = dynamo::document("job", item)?;
            found.insert(job.job_id.clone(), job);
        }
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }
}

fn batch_key(project: &ProjectId, batch: &BatchId) -> String {
    format!("{project}#{batch}")
}

fn job_of(item: &Item) -> Option<JobId> {
    JobId::new(item.get("jobId")?.as_s().ok()?).ok()
}

/// Where a page ended: when its last job was accepted, and its id.
fn cursor_of(key: &Item) -> Option<String> {
    let string = |name: &str| key.get(name).and_then(|value| value.as_s().ok());
    Some(format!("{}~{}", string("acceptedAt")?, string("jobId")?))
}

fn start_after(cursor: &str, attribute: &str, value: &str) -> Result<Item> {
    let unknown = || Failure::new(Code::InvalidRequest, "there is no such page of jobs");
    let (accepted_at, job_id) = cursor.split_once('~').ok_or_else(unknown)?;
    let mut key = DynamoJobs::key(&JobId::new(job_id).map_err(|_| unknown())?, JOB);
    let accepted_at: Timestamp = accepted_at.parse().map_err(|_| unknown())?;
    key.insert("acceptedAt".into(), text(accepted_at.to_string()));
    key.insert(attribute.to_owned(), text(value));
    Ok(key)
}

/// Four digits: a project has a hundred cards at most ([`bedrock_diy_core::limits::CARDS`]).
fn stage_key(stage: u32) -> String {
    format!("STAGE#{:04}", stage.min(9_999))
}

/// Eight digits, so that the order of the keys is that of the numbers.
fn event_key(number: u64) -> String {
    format!("EVENT#{:08}", number.min(99_999_999))
}
