use std::sync::Arc;

use async_trait::async_trait;
use bedrock_diy_core::{
    BatchId, Code, Failure, JobId, ProjectId,
    article::ObjectRef,
    error::Result,
    event::Event,
    job::{Change, Job, JobStatus},
    page::{Page, PageRequest},
    ports::{Accepted, Applied, JobFilter, JobIndex, Jobs},
    stage::StageRecord,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use crate::{
    bus,
    database::{Database, failure, from_json, to_json},
    history,
    memo::{self, SqliteMemo},
    objects::{self, Body, Folders, SqliteObjects},
    recent::RecentJobs,
    sessions,
};

/// Jobs, stages and events in `SQLite`.
#[derive(Debug, Clone)]
pub struct SqliteJobs {
    database: Database,
    objects: SqliteObjects,
    memo: SqliteMemo,
    recent: RecentJobs,
}

/// Which jobs to list.
#[derive(Debug, Clone, Default)]
pub struct RowFilter {
    /// Of this project.
    pub project: Option<ProjectId>,
    /// Of this batch.
    pub batch: Option<BatchId>,
    /// In this status.
    pub status: Option<JobStatus>,
    /// Accepted at this moment or later.
    pub from: Option<Timestamp>,
    /// Accepted before this moment.
    pub to: Option<Timestamp>,
    /// Only jobs older than the one with this row number: the last row of the page before.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: usize,
}

/// A listed job.
#[derive(Debug, Clone)]
pub struct JobRow {
    /// Its row number; grows in the order of acceptance.
    pub row: i64,
    /// The job.
    pub job: Job,
}

impl SqliteJobs {
    /// On this database, with outputs in these objects, and in this memo.
    #[must_use]
    pub fn new(database: Database, objects: SqliteObjects, memo: SqliteMemo) -> Self {
        Self {
            database,
            objects,
            memo,
            recent: RecentJobs::default(),
        }
    }

    /// Lists jobs of any project, the newest first, each with its row.
    pub fn rows(&self, filter: &RowFilter) -> Result<Vec<JobRow>> {
        let mut conditions = vec!["1"];
        let mut values: Vec<Box<dyn rusqlite::ToSql>> = Vec::new();
        if let Some(project) = &filter.project {
            conditions.push("project_id = ?");
            values.push(Box::new(project.as_str().to_owned()));
        }
        if let Some(batch) = &filter.batch {
            conditions.push("batch = ?");
            values.push(Box::new(batch.as_str().to_owned()));
        }
        if let Some(status) = filter.status {
            conditions.push("status = ?");
            values.push(Box::new(status.as_str()));
        }
        // Moments are text that sorts as they do.
        if let Some(from) = filter.from {
            conditions.push("document ->> 'acceptedAt' >= ?");
            values.push(Box::new(from.to_string()));
        }
        if let Some(to) = filter.to {
            conditions.push("document ->> 'acceptedAt' < ?");
            values.push(Box::new(to.to_string()));
        }
        if let Some(before) = filter.before {
            conditions.push("seq < ?");
            values.push(Box::new(before));
        }
        values.push(Box::new(filter.limit));
        let sql = format!(
            "SELECT seq, document FROM jobs WHERE {} ORDER BY seq DESC LIMIT ?",
            conditions.join(" AND ")
        );
        let rows = self.database.read(|connection| {
            connection
                .prepare_cached(&sql)
                .and_then(|mut select| {
                    select
                        .query_map(params_from_iter(values), |row| {
                            Ok((row.get(0)?, row.get::<_, String>(1)?))
                        })?
                        .collect::<rusqlite::Result<Vec<_>>>()
                })
                .map_err(|error| failure(&error))
        })?;
        rows.into_iter()
            .map(|(row, json)| {
                Ok(JobRow {
                    row,
                    job: from_json("job", &json)?,
                })
            })
            .collect()
    }

    /// Jobs of sessions that were accepted, and whose message may never have been sent: whoever accepts such a job
    /// sends it after that.
    pub fn not_begun(&self) -> Result<Vec<Job>> {
        self.database.read(sessions::not_begun)
    }

    /// A column of up to `most` changes of a job, those after this number of an event.
    fn changes(
        &self,
        job: &JobId,
        after: u64,
        most: usize,
        column: &'static str,
    ) -> Result<Vec<Option<String>>> {
        let sql = format!(
            "SELECT {column} FROM changes
             WHERE job = (SELECT seq FROM jobs WHERE job_id = ?1) AND number > ?2 ORDER BY number LIMIT ?3"
        );
        // A number that SQLite can't hold is after all that there are.
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        self.database.read(|connection| {
            connection
                .prepare_cached(&sql)
                .and_then(|mut select| {
                    select
                        .query_map((job.as_str(), after, most), |row| row.get(0))?
                        .collect()
                })
                .map_err(|error| failure(&error))
        })
    }

    /// The text that a change stores, ready to be named by a row.
    async fn body(&self, change: &mut Change) -> Result<Option<(ObjectRef, Body)>> {
        match change.output.take() {
            Some((object, text)) => Ok(Some((object, self.objects.body(text.into_bytes()).await?))),
            None => Ok(None),
        }
    }
}

#[async_trait]
impl JobIndex for SqliteJobs {
    async fn list(&self, filter: &JobFilter, page: &PageRequest) -> Result<Page<Job>> {
        let before = page.cursor.as_deref().map(str::parse).transpose();
        let before =
            before.map_err(|_| Failure::new(Code::InvalidRequest, "there is no such page of jobs"))?;
        let mut rows = self.rows(&RowFilter {
            project: Some(filter.project.clone()),
            batch: filter.batch.clone(),
            status: filter.status,
            from: filter.from,
            to: filter.to,
            before,
            // One more says whether there is another page.
            limit: page.limit.saturating_add(1),
        })?;
        let more = rows.len() > page.limit;
        rows.truncate(page.limit);
        Ok(Page {
            next: rows.last().filter(|_| more).map(|last| last.row.to_string()),
            items: rows.into_iter().map(|row| row.job).collect(),
        })
    }
}

#[async_trait]
impl Jobs for SqliteJobs {
    async fn accept(&self, change: Change) -> Result<Accepted> {
        let document = to_json("job", &change.job)?;
        let writing = self.recent.writing(&change.job.job_id);
        let change = Arc::new(change);
        let written = Arc::clone(&change);
        let rows = self
            .database
            .write(move |connection| {
                let job = &written.job;
                if let Some(open) = sessions::open_before(connection, job)? {
                    return Ok(Rows::Standing(Box::new(open)));
                }
                let inserted = connection
                    .prepare_cached(
                        "INSERT INTO jobs (job_id, project_id, batch, status, version, document)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
                    )
                    .and_then(|mut insert| {
                        insert.execute((
                            job.job_id.as_str(),
                            job.project_id.as_str(),
                            job.batch.as_str(),
                            job.status.as_str(),
                            job.version,
                            &document,
                        ))
                    })
                    .map_err(|error| failure(&error))?;
                if inserted == 0 {
                    return stored(connection, &job.job_id).map(|job| Rows::Standing(Box::new(job)));
                }
                let seq = connection.last_insert_rowid();
                sessions::take_turn(connection, seq, job)?;
                insert_change(connection, seq, &written)?;
                Ok(Rows::Written { seq, folder: None })
            })
            .await?;
        let seq = match rows {
            Rows::Written { seq, .. } => seq,
            Rows::Standing(job) => {
                writing.in_vain(&job);
                return Ok(if job.job_id == change.job.job_id {
                    Accepted::Already(*job)
                } else {
                    Accepted::SessionBusy(*job)
                });
            }
        };
        let Change { job, events, .. } = Arc::unwrap_or_clone(change);
        writing.done(&job, seq, None);
        Ok(Accepted::New(job, events))
    }

    async fn read(&self, job: &JobId) -> Result<Option<Job>> {
        if let Some(job) = self.recent.get(job) {
            return Ok(Some(job));
        }
        let json = self.database.read(|connection| select_job(connection, job))?;
        let found: Option<Job> = json.map(|json| from_json("job", &json)).transpose()?;
        if let Some(found) = &found {
            self.recent.keep_ended(found);
        }
        Ok(found)
    }

    async fn apply(&self, mut change: Change) -> Result<Applied> {
        let output = self.body(&mut change).await?;
        if let Some(entry) = &change.memo {
            self.memo.expect(&entry.memo_key);
        }
        let document = to_json("job", &change.job)?;
        let known = self.recent.seq(&change.job.job_id);
        let writing = self.recent.writing(&change.job.job_id);
        // Shared, not moved: what is made on one thread and dropped on another is slow to free.
        let change = Arc::new((change, output));
        let (written, folders) = (Arc::clone(&change), self.objects.folders());
        let rows = self
            .database
            .write(move |connection| {
                let (change, output) = &*written;
                let Some(seq) = update(connection, known, change, &document)? else {
                    return stored(connection, &change.job.job_id).map(|job| Rows::Standing(Box::new(job)));
                };
                let folder = write_along(connection, &folders, seq, change, output.as_ref())?;
                Ok(Rows::Written { seq, folder })
            })
            .await?;
        let (seq, folder) = match rows {
            Rows::Written { seq, folder } => (seq, folder),
            Rows::Standing(job) => {
                writing.in_vain(&job);
                return Ok(Applied::Stale(*job));
            }
        };
        let (change, output) = Arc::unwrap_or_clone(change);
        writing.done(&change.job, seq, change.stage);
        if let Some(((object, body), folder)) = output.as_ref().zip(folder) {
            self.objects.keep_recent(object, body, folder);
        }
        Ok(Applied::Done(change.job, change.events))
    }

    async fn stages(&self, job: &JobId) -> Result<Arc<Vec<StageRecord>>> {
        if let Some(stages) = self.recent.stages(job) {
            return Ok(stages);
        }
        let stages = self.changes(job, 0, usize::MAX >> 1, "stage")?;
        let stages = stages.iter().flatten().map(|json| from_json("stage", json));
        let stages = Arc::new(stages.collect::<Result<_>>()?);
        self.recent.keep_stages(job, &stages);
        Ok(stages)
    }

    async fn events(&self, job: &JobId, after: u64, limit: usize) -> Result<Vec<Event>> {
        let mut found = Vec::new();
        // Each change has at least one event, so no more changes than events are wanted.
        for json in self.changes(job, after, limit, "events")?.iter().flatten() {
            let events: Vec<Event> = from_json("list of events", json)?;
            found.extend(events.into_iter().filter(|event| event.number > after));
        }
        found.truncate(limit);
        if let Some(last) = found.last() {
            self.recent.has_come_to(job, last.number);
        }
        Ok(found)
    }
}

/// What became of a change's rows.
enum Rows {
    /// They are there: the job in this row, the output in the folder of this number.
    Written { seq: i64, folder: Option<i64> },
    /// They are not: the job stands as this already, or this one stands in its way.
    Standing(Box<Job>),
}

/// Writes the job as it is to be, where it stands as the change expects. Returns its row, which may be known.
fn update(
    connection: &Connection,
    known: Option<i64>,
    change: &Change,
    document: &str,
) -> Result<Option<i64>> {
    let job = &change.job;
    let find = || {
        connection
            .prepare_cached("SELECT seq FROM jobs WHERE job_id = ?1")?
            .query_row([job.job_id.as_str()], |row| row.get(0))
            .optional()
    };
    let updated = || {
        let seq: Option<i64> = if known.is_some() { known } else { find()? };
        let updated = connection
            .prepare_cached(
                "UPDATE jobs SET status = ?1, version = ?2, document = ?3 WHERE seq = ?4 AND version = ?5",
            )?
            .execute((
                job.status.as_str(),
                job.version,
                document,
                seq,
                change.expected_version,
            ))?;
        Ok(seq.filter(|_| updated > 0))
    };
    updated().map_err(|error| failure(&error))
}

/// Everything of a change but the job itself. Returns the number of the output's folder.
fn write_along(
    connection: &Connection,
    folders: &Folders,
    seq: i64,
    change: &Change,
    output: Option<&(ObjectRef, Body)>,
) -> Result<Option<i64>> {
    insert_change(connection, seq, change)?;
    let folder = output
        .map(|(object, body)| objects::put(connection, folders, object, body))
        .transpose()?;
    if let Some(entry) = &change.memo {
        memo::keep(connection, folders, entry)?;
    }
    if let Some(exchange) = &change.exchange {
        history::append(connection, exchange)?;
    }
    Ok(folder)
}

fn insert_change(connection: &Connection, seq: i64, change: &Change) -> Result<()> {
    let events = to_json("list of events", &change.events)?;
    let stage = change
        .stage
        .as_ref()
        .map(|stage| to_json("stage", stage))
        .transpose()?;
    connection
        .prepare_cached("INSERT INTO changes (job, number, events, stage) VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut insert| insert.execute((seq, change.job.version, events, stage)))
        .map_err(|error| failure(&error))?;
    bus::deliver(connection, &change.events)
}

fn select_job(connection: &Connection, job: &JobId) -> Result<Option<String>> {
    connection
        .prepare_cached("SELECT document FROM jobs WHERE job_id = ?1")
        .and_then(|mut select| select.query_row([job.as_str()], |row| row.get(0)).optional())
        .map_err(|error| failure(&error))
}

fn stored(connection: &Connection, job: &JobId) -> Result<Job> {
    match select_job(connection, job)? {
        Some(json) => from_json("job", &json),
        None => Err(Failure::new(
            Code::InternalError,
            format!("the job {job} was to be changed and is not there"),
        )),
    }
}
