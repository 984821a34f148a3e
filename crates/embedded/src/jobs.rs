use async_trait::async_trait;
use bedrock_diy_core::{
    BatchId, Code, Failure, JobId, ProjectId,
    error::Result,
    event::Event,
    job::{Change, Job, JobStatus},
    ports::{Accepted, Applied, Jobs},
    stage::StageRecord,
};
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use crate::{
    bus,
    database::{Database, failure, from_json, to_json},
    history, memo,
    objects::{self, Body, Folders, SqliteObjects},
};

/// Jobs, stages and events in `SQLite`.
#[derive(Debug, Clone)]
pub struct SqliteJobs {
    database: Database,
    objects: SqliteObjects,
}

/// Which jobs to list.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Of this project.
    pub project: Option<ProjectId>,
    /// Of this batch.
    pub batch: Option<BatchId>,
    /// In this status.
    pub status: Option<JobStatus>,
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
    /// On this database, with outputs in these objects.
    #[must_use]
    pub fn new(database: Database, objects: SqliteObjects) -> Self {
        Self { database, objects }
    }

    /// Lists jobs, the newest first.
    pub fn list(&self, filter: &JobFilter) -> Result<Vec<JobRow>> {
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

    /// The texts that a change stores, ready to be named by rows.
    async fn bodies(
        &self,
        change: &mut Change,
    ) -> Result<Option<(bedrock_diy_core::article::ObjectRef, Body)>> {
        match change.output.take() {
            Some((object, text)) => Ok(Some((object, self.objects.body(text.into_bytes()).await?))),
            None => Ok(None),
        }
    }
}

#[async_trait]
impl Jobs for SqliteJobs {
    async fn accept(&self, change: Change) -> Result<Accepted> {
        let document = to_json("job", &change.job)?;
        self.database
            .write(move |connection| {
                let job = &change.job;
                let inserted = connection
                    .prepare_cached(
                        "INSERT INTO jobs (job_id, project_id, batch, status, version, document)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING RETURNING seq",
                    )
                    .and_then(|mut insert| {
                        let row = (
                            job.job_id.as_str(),
                            job.project_id.as_str(),
                            job.batch.as_str(),
                            job.status.as_str(),
                            job.version,
                            &document,
                        );
                        insert.query_row(row, |row| row.get::<_, i64>(0)).optional()
                    })
                    .map_err(|error| failure(&error))?;
                match inserted {
                    Some(seq) => {
                        insert_events(connection, seq, &change.events)?;
                        Ok(Accepted::New(job.clone()))
                    }
                    None => Ok(Accepted::Already(stored(connection, &job.job_id)?)),
                }
            })
            .await
    }

    async fn read(&self, job: &JobId) -> Result<Option<Job>> {
        let json = self.database.read(|connection| select_job(connection, job))?;
        json.map(|json| from_json("job", &json)).transpose()
    }

    async fn apply(&self, mut change: Change) -> Result<Applied> {
        let output = self.bodies(&mut change).await?;
        let document = to_json("job", &change.job)?;
        let folders = self.objects.folders();
        self.database
            .write(move |connection| {
                let updated = connection
                    .prepare_cached(
                        "UPDATE jobs SET status = ?1, version = ?2, document = ?3
                         WHERE job_id = ?4 AND version = ?5 RETURNING seq",
                    )
                    .and_then(|mut update| {
                        let job = &change.job;
                        let row = (
                            job.status.as_str(),
                            job.version,
                            &document,
                            job.job_id.as_str(),
                            change.expected_version,
                        );
                        update.query_row(row, |row| row.get::<_, i64>(0)).optional()
                    })
                    .map_err(|error| failure(&error))?;
                match updated {
                    Some(seq) => {
                        write_along(connection, &folders, seq, &change, output.as_ref())?;
                        Ok(Applied::Done(change.job.clone()))
                    }
                    None => Ok(Applied::Stale(stored(connection, &change.job.job_id)?)),
                }
            })
            .await
    }

    async fn stages(&self, job: &JobId) -> Result<Vec<StageRecord>> {
        let sql =
            "SELECT document FROM stages WHERE job = (SELECT seq FROM jobs WHERE job_id = ?1) ORDER BY stage";
        let rows = self.database.read(|connection| {
            connection
                .prepare_cached(sql)
                .and_then(|mut select| {
                    select
                        .query_map([job.as_str()], |row| row.get::<_, String>(0))?
                        .collect::<rusqlite::Result<Vec<_>>>()
                })
                .map_err(|error| failure(&error))
        })?;
        rows.iter().map(|json| from_json("stage", json)).collect()
    }

    async fn events(&self, job: &JobId, after: u64, limit: usize) -> Result<Vec<Event>> {
        let sql =
            "SELECT document FROM events WHERE job = (SELECT seq FROM jobs WHERE job_id = ?1) AND number > ?2
                   ORDER BY number LIMIT ?3";
        let rows = self.database.read(|connection| {
            connection
                .prepare_cached(sql)
                .and_then(|mut select| {
                    select
                        .query_map((job.as_str(), after, limit), |row| row.get::<_, String>(0))?
                        .collect::<rusqlite::Result<Vec<_>>>()
                })
                .map_err(|error| failure(&error))
        })?;
        rows.iter().map(|json| from_json("event", json)).collect()
    }
}

/// Everything of a change but the job itself.
fn write_along(
    connection: &Connection,
    folders: &Folders,
    seq: i64,
    change: &Change,
    output: Option<&(bedrock_diy_core::article::ObjectRef, Body)>,
) -> Result<()> {
    insert_events(connection, seq, &change.events)?;
    if let Some(stage) = &change.stage {
        let document = to_json("stage", stage)?;
        connection
            .prepare_cached("INSERT INTO stages VALUES (?1, ?2, ?3)")
            .and_then(|mut insert| insert.execute((seq, stage.stage, document)))
            .map_err(|error| failure(&error))?;
    }
    if let Some((object, body)) = output {
        objects::put(connection, folders, object, body)?;
    }
    if let Some(entry) = &change.memo {
        memo::keep(connection, entry)?;
    }
    if let Some(exchange) = &change.exchange {
        history::append(connection, exchange)?;
    }
    Ok(())
}

fn insert_events(connection: &Connection, seq: i64, events: &[Event]) -> Result<()> {
    for event in events {
        let document = to_json("event", event)?;
        connection
            .prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3)")
            .and_then(|mut insert| insert.execute((seq, event.number, &document)))
            .map_err(|error| failure(&error))?;
        bus::deliver(connection, event, &document)?;
    }
    Ok(())
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
