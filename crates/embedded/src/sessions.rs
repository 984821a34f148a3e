//! Whose turn it is in a session: its last job is noted by the transaction that accepts it.

use bedrock_diy_core::{error::Result, job::Job};
use rusqlite::{Connection, OptionalExtension};

use crate::database::{failure, from_json};

/// The job that stands in the way of this one: the last one of its session, where that has not ended. None where
/// this one is known already: it needs no turn any more.
pub(crate) fn open_before(connection: &Connection, job: &Job) -> Result<Option<Job>> {
    let Some(session) = job.takes_turn_in() else {
        return Ok(None);
    };
    let select = || {
        connection
            .prepare_cached(
                "SELECT jobs.document FROM session_jobs JOIN jobs ON jobs.seq = session_jobs.job
                 WHERE session_jobs.project_id = ?1 AND session_jobs.session_id = ?2
                 AND NOT EXISTS (SELECT 1 FROM jobs WHERE job_id = ?3)",
            )?
            .query_row(
                (job.project_id.as_str(), session.as_str(), job.job_id.as_str()),
                |row| row.get::<_, String>(0),
            )
            .optional()
    };
    let last = select().map_err(|error| failure(&error))?;
    let last: Option<Job> = last.map(|json| from_json("job", &json)).transpose()?;
    Ok(last.filter(|last| !last.status.is_terminal()))
}

/// Notes a job, whose row this is, as the last one of its session.
pub(crate) fn take_turn(connection: &Connection, row: i64, job: &Job) -> Result<()> {
    let Some(session) = job.takes_turn_in() else {
        return Ok(());
    };
    connection
        .prepare_cached(
            "INSERT INTO session_jobs VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET job = excluded.job",
        )
        .and_then(|mut insert| insert.execute((job.project_id.as_str(), session.as_str(), row)))
        .map(drop)
        .map_err(|error| failure(&error))
}

/// The last jobs of sessions that were accepted and have no execution.
pub(crate) fn not_begun(connection: &Connection) -> Result<Vec<Job>> {
    let select = || {
        connection
            .prepare_cached(
                "SELECT document FROM jobs JOIN session_jobs ON session_jobs.job = jobs.seq
                 WHERE status = 'ACCEPTED'
                 AND NOT EXISTS (SELECT 1 FROM executions WHERE executions.job_id = jobs.job_id)",
            )?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<String>>>()
    };
    let found = select().map_err(|error| failure(&error))?;
    found.iter().map(|json| from_json("job", json)).collect()
}
