use std::sync::Arc;

use async_trait::async_trait;
use bedrock_diy_core::{
    Failure, JobId,
    cursor::Cursor,
    error::Result,
    intake::Lane,
    ports::{Clock, Executions},
    time::Timestamp,
};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;

use crate::{
    aside::aside,
    database::{Database, failure, from_json, to_json},
};

/// Executions of the state machine, and where each one stands.
#[derive(Clone)]
pub struct ExecutionStore {
    database: Database,
    clock: Arc<dyn Clock>,
    started: Arc<Notify>,
}

/// An execution that the engine has taken to work on.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// Its row number.
    pub seq: i64,
    /// Its name.
    pub job_id: JobId,
    /// Where it stands.
    pub position: Position,
}

/// An execution that can't be worked, because what is stored of it can't be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Unreadable {
    /// Its row number.
    pub seq: i64,
    /// Its name, where at least that can be read.
    pub job_id: Option<JobId>,
    /// What is wrong with it.
    pub failure: Failure,
}

/// All lanes, the most urgent first: bulk executions are taken only where no live one is ready.
pub(crate) const LANES: &[Lane] = &[Lane::Live, Lane::Bulk];

/// Where an execution stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// The state that is next; none before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The state's input.
    pub input: Value,
    /// How often each retrier of that state has retried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retries: Vec<u32>,
    /// When the execution was started.
    pub started_at: Timestamp,
}

impl ExecutionStore {
    /// On this database.
    #[must_use]
    pub fn new(database: Database, clock: Arc<dyn Clock>) -> Self {
        Self {
            database,
            clock,
            started: Arc::new(Notify::new()),
        }
    }

    /// Makes ready again what a process that has died was working on, or has set aside. Called once, by
    /// the process that holds the data folder's lock, before it takes any.
    pub async fn recover(&self) -> Result<usize> {
        let now = self.clock.now().millis();
        let recover = move |connection: &Connection| {
            let mut recovered = connection.execute(
                "UPDATE executions SET status = 'READY', wake_at = ?1 WHERE status = 'RUNNING'",
                [now],
            )?;
            for lane in Lane::ALL {
                recovered += connection.execute(
                    "UPDATE executions SET lane = ?2 WHERE status = 'READY' AND lane = ?1",
                    (aside(lane), lane.as_str()),
                )?;
            }
            Ok(recovered)
        };
        self.database
            .write(move |connection| recover(connection).map_err(|error| failure(&error)))
            .await
    }

    /// Sets aside every execution that is ready: nobody takes it until it is [taken up](Self::take_up), or
    /// the next process [recovers](Self::recover). Returns whose they are.
    pub async fn set_aside(&self) -> Result<Vec<JobId>> {
        let set_aside = |connection: &Connection| {
            let mut update = connection.prepare(
                "UPDATE executions SET lane = ?2 WHERE status = 'READY' AND lane = ?1 RETURNING job_id",
            )?;
            let mut jobs: Vec<String> = Vec::new();
            for lane in Lane::ALL {
                let moved = update.query_map((lane.as_str(), aside(lane)), |row| row.get(0))?;
                for job in moved {
                    jobs.push(job?);
                }
            }
            Ok(jobs)
        };
        let jobs = self
            .database
            .write(move |connection| set_aside(connection).map_err(|error| failure(&error)))
            .await?;
        // One that can't be read is nobody's, and ends as FAILED when it is taken.
        Ok(jobs.into_iter().filter_map(|job| JobId::new(job).ok()).collect())
    }

    /// Takes up a job's execution that was set aside. Does nothing where there is none.
    pub async fn take_up(&self, job: &JobId, lane: Lane) -> Result<()> {
        let name = job.as_str().to_owned();
        let taken_up = self
            .database
            .write(move |connection| {
                connection
                    .prepare_cached("UPDATE executions SET lane = ?3 WHERE job_id = ?1 AND lane = ?2")
                    .and_then(|mut update| update.execute((&name, aside(lane), lane.as_str())))
                    .map_err(|error| failure(&error))
            })
            .await?;
        if taken_up > 0 {
            self.started.notify_one();
        }
        Ok(())
    }

    /// Takes up to `most` executions of these lanes that are ready: lane after lane, and in each the
    /// longest waiting first.
    pub async fn take(
        &self,
        most: usize,
        lanes: &'static [Lane],
    ) -> Result<Vec<Result<Execution, Unreadable>>> {
        let now = self.clock.now().millis();
        // Looked at often, and mostly in vain: that must not cost a write to the disk.
        if self.next_wake(lanes)?.is_none_or(|wake| wake.millis() > now) {
            return Ok(Vec::new());
        }
        let rows = self
            .database
            .write(move |connection| take_rows(connection, most, lanes, now).map_err(|error| failure(&error)))
            .await?;
        Ok(rows.into_iter().map(Row::read).collect())
    }

    /// When the next execution of these lanes is ready; none where none waits.
    pub fn next_wake(&self, lanes: &[Lane]) -> Result<Option<Timestamp>> {
        self.database.read(|connection| {
            let mut next = None;
            for lane in lanes {
                let wake = connection
                    .prepare_cached(
                        "SELECT min(wake_at) FROM executions WHERE status = 'READY' AND lane = ?1",
                    )
                    .and_then(|mut select| {
                        select.query_row([lane.as_str()], |row| row.get::<_, Option<i64>>(0))
                    })
                    .map_err(|error| failure(&error))?;
                next = next.into_iter().chain(wake).min();
            }
            Ok(next.map(Timestamp::from_millis))
        })
    }

    /// Notes where a running execution stands, without waiting for the disk: after a crash it goes on
    /// from an earlier state, and the handlers find what they had done.
    pub fn note(&self, execution: &Execution) -> Result<()> {
        let (seq, position) = (execution.seq, to_json("position", &execution.position)?);
        self.database.write_soon(move |connection| {
            connection
                .prepare_cached("UPDATE executions SET position = ?2 WHERE seq = ?1 AND status = 'RUNNING'")
                .and_then(|mut update| update.execute((seq, &position)))
                .map(|_| ())
                .map_err(|error| failure(&error))
        })
    }

    /// Lays an execution aside until `wake_at`.
    pub async fn sleep(&self, execution: &Execution, wake_at: Timestamp) -> Result<()> {
        let (seq, position) = (execution.seq, to_json("position", &execution.position)?);
        self.database
            .write(move |connection| {
                connection
                    .prepare_cached(
                        "UPDATE executions SET status = 'READY', wake_at = ?2, position = ?3
                         WHERE seq = ?1 AND status = 'RUNNING'",
                    )
                    .and_then(|mut update| update.execute((seq, wake_at.millis(), &position)))
                    .map(|_| ())
                    .map_err(|error| failure(&error))
            })
            .await
    }

    /// Ends the execution of this row number.
    pub async fn end(&self, seq: i64, status: &'static str) -> Result<()> {
        self.database
            .write(move |connection| {
                connection
                    .prepare_cached("UPDATE executions SET status = ?2, position = '' WHERE seq = ?1")
                    .and_then(|mut update| update.execute((seq, status)))
                    .map(|_| ())
                    .map_err(|error| failure(&error))
            })
            .await
    }

    /// How many executions have not ended.
    pub fn open(&self) -> Result<u64> {
        self.database.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT (SELECT count(*) FROM executions WHERE status = 'READY')
                          + (SELECT count(*) FROM executions WHERE status = 'RUNNING')",
                )
                .and_then(|mut select| select.query_row([], |row| row.get(0)))
                .map_err(|error| failure(&error))
        })
    }

    /// Resolves when an execution was started by this process.
    pub async fn start_seen(&self) {
        self.started.notified().await;
    }
}

/// A row as it was taken, to be read outside the transaction.
struct Row {
    seq: i64,
    job_id: rusqlite::Result<String>,
    position: rusqlite::Result<String>,
}

impl Row {
    fn read(self) -> Result<Execution, Unreadable> {
        let unreadable = |job_id: Option<JobId>| {
            move |failure| Unreadable {
                seq: self.seq,
                job_id,
                failure,
            }
        };
        let job_id = self
            .job_id
            .map_err(|error| failure(&error))
            .and_then(JobId::new)
            .map_err(unreadable(None))?;
        let position = self
            .position
            .map_err(|error| failure(&error))
            .and_then(|position| from_json("position", &position))
            .map_err(unreadable(Some(job_id.clone())))?;
        Ok(Execution {
            seq: self.seq,
            job_id,
            position,
        })
    }
}

fn take_rows(connection: &Connection, most: usize, lanes: &[Lane], now: i64) -> rusqlite::Result<Vec<Row>> {
    let mut update = connection.prepare_cached(
        "UPDATE executions SET status = 'RUNNING' WHERE seq IN
             (SELECT seq FROM executions WHERE status = 'READY' AND lane = ?1 AND wake_at <= ?2
              ORDER BY wake_at, seq LIMIT ?3)
         RETURNING seq, job_id, position",
    )?;
    let mut rows = Vec::new();
    for lane in lanes {
        let room = most.saturating_sub(rows.len());
        if room == 0 {
            break;
        }
        let taken = update.query_map((lane.as_str(), now, room), |row| {
            Ok(Row {
                seq: row.get(0)?,
                job_id: row.get(1),
                position: row.get(2),
            })
        })?;
        for row in taken {
            rows.push(row?);
        }
    }
    Ok(rows)
}

impl std::fmt::Debug for ExecutionStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecutionStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl Executions for ExecutionStore {
    async fn start(&self, job: &JobId, lane: Lane) -> Result<()> {
        let now = self.clock.now();
        let input = serde_json::to_value(Cursor::start(job.clone()))
            .map_err(|error| crate::database::corrupt("cursor", &error))?;
        let position = to_json(
            "position",
            &Position {
                state: None,
                input,
                retries: Vec::new(),
                started_at: now,
            },
        )?;
        let name = job.as_str().to_owned();
        let started = self
            .database
            .write(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO executions (job_id, lane, status, wake_at, position)
                         VALUES (?1, ?2, 'READY', ?3, ?4) ON CONFLICT DO NOTHING",
                    )
                    .and_then(|mut insert| insert.execute((&name, lane.as_str(), now.millis(), &position)))
                    .map_err(|error| failure(&error))
            })
            .await?;
        if started > 0 {
            self.started.notify_one();
        }
        Ok(())
    }

    async fn stop(&self, job: &JobId) -> Result<()> {
        let name = job.as_str().to_owned();
        self.database
            .write(move |connection| {
                connection
                    .execute(
                        "UPDATE executions SET status = 'ABORTED', position = '' WHERE job_id = ?1 AND status = 'READY'",
                        [&name],
                    )
                    .map(|_| ())
                    .map_err(|error| failure(&error))
            })
            .await
    }
}
