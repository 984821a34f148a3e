use std::{pin::pin, sync::Arc, time::Duration};

use bedrock_diy_core::{error::Result, event::Event, follow::Topic};
use rusqlite::{Connection, ToSql, params_from_iter};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    database::{Database, failure, from_json},
    watches::LOOK,
};

/// What happens within this is read at once: many may look on while much happens.
const GATHER: Duration = Duration::from_millis(10);

/// Changes that are read at once.
const PAGE: usize = 500;

/// What happens to the jobs of a topic, in the order in which it is stored, whoever stores it.
#[derive(Debug)]
pub struct Tail {
    database: Database,
    stored: Arc<Notify>,
    topic: Topic,
    /// All changes up to this one were read.
    read: i64,
    next_read: Instant,
}

impl Tail {
    /// From now on.
    pub(crate) fn new(database: Database, stored: Arc<Notify>, topic: Topic) -> Result<Self> {
        Ok(Self {
            read: database.read(last_change)?,
            database,
            stored,
            topic,
            next_read: Instant::now(),
        })
    }

    /// Waits until something happens, and returns it: events that the bus has, of which a job's are in order. May be
    /// cancelled: nothing is lost.
    pub async fn next(&mut self) -> Result<Vec<Event>> {
        sleep_until(self.next_read).await;
        loop {
            let stored = Arc::clone(&self.stored);
            let mut stored = pin!(stored.notified());
            // Whatever is stored from here on wakes.
            stored.as_mut().enable();
            let (events, is_page) = self.read()?;
            if !events.is_empty() {
                self.next_read = Instant::now() + GATHER;
                return Ok(events);
            }
            if is_page {
                continue;
            }
            // Whether it was told or the time has run out: it is looked again.
            let _ = timeout(LOOK, stored).await;
        }
    }

    /// What comes next, and whether there may be more already.
    fn read(&mut self) -> Result<(Vec<Event>, bool)> {
        let rows = self.database.read(|connection| {
            // One process at a time writes, so what is there up to the last one stays as it is.
            let last = last_change(connection)?;
            let found = self.changes(connection, last).map_err(|error| failure(&error))?;
            Ok((found, last))
        });
        let (rows, last) = rows?;
        let mut events = Vec::new();
        for (_, json) in &rows {
            events.extend(from_json::<Vec<Event>>("list of events", json)?);
        }
        let page = rows.get(PAGE - 1);
        self.read = page.map_or(last, |(change, _)| *change);
        events.retain(|event| event.fact.is_for_the_bus());
        Ok((events, page.is_some()))
    }

    fn changes(&self, connection: &Connection, last: i64) -> rusqlite::Result<Vec<(i64, String)>> {
        let (of_topic, values) = match &self.topic {
            Topic::Job(job) => ("job_id = ?4", vec![job.as_str()]),
            Topic::Batch(project, batch) => (
                "project_id = ?4 AND batch = ?5",
                vec![project.as_str(), batch.as_str()],
            ),
            Topic::Project(project) => ("project_id = ?4", vec![project.as_str()]),
        };
        // `CROSS` has the planner go through the changes, which are few, and not through all jobs of a project.
        let sql = format!(
            "SELECT change, events FROM changes CROSS JOIN jobs ON seq = job
             WHERE change > ?1 AND change <= ?2 AND {of_topic} ORDER BY change LIMIT ?3"
        );
        let values = [&self.read as &dyn ToSql, &last, &PAGE]
            .into_iter()
            .chain(values.iter().map(|value| value as _));
        connection
            .prepare_cached(&sql)?
            .query_map(params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    }
}

fn last_change(connection: &Connection) -> Result<i64> {
    connection
        .prepare_cached("SELECT coalesce(max(change), 0) FROM changes")
        .and_then(|mut select| select.query_row([], |row| row.get(0)))
        .map_err(|error| failure(&error))
}
