use async_trait::async_trait;
use bedrock_diy_core::{ProjectId, SessionId, error::Result, history::Exchange, ports::History};
use rusqlite::Connection;

use crate::database::{Database, failure, from_json, to_json};

/// Chat history in `SQLite`.
#[derive(Debug, Clone)]
pub struct SqliteHistory(Database);

impl SqliteHistory {
    /// On this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self(database)
    }
}

#[async_trait]
impl History for SqliteHistory {
    async fn recent(&self, project: &ProjectId, session: &SessionId, limit: usize) -> Result<Vec<Exchange>> {
        let newest_first = self.0.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT document FROM chat_history WHERE project_id = ?1 AND session_id = ?2
                     ORDER BY timestamp DESC LIMIT ?3",
                )
                .and_then(|mut select| {
                    select
                        .query_map((project.as_str(), session.as_str(), limit), |row| {
                            row.get::<_, String>(0)
                        })?
                        .collect::<rusqlite::Result<Vec<_>>>()
                })
                .map_err(|error| failure(&error))
        })?;
        newest_first
            .iter()
            .rev()
            .map(|json| from_json("exchange", json))
            .collect()
    }
}

/// Appends an exchange. Two that ended in the same millisecond both stay: the later one moves on.
pub(crate) fn append(connection: &Connection, exchange: &Exchange) -> Result<()> {
    let document = to_json("exchange", exchange)?;
    connection
        .prepare_cached(
            "INSERT INTO chat_history VALUES (?1, ?2, max(?3, 1 + coalesce(
                 (SELECT max(timestamp) FROM chat_history WHERE project_id = ?1 AND session_id = ?2), 0)), ?4)",
        )
        .and_then(|mut insert| {
            insert.execute((
                exchange.project_id.as_str(),
                exchange.session_id.as_str(),
                exchange.timestamp.millis(),
                document,
            ))
        })
        .map(|_| ())
        .map_err(|error| failure(&error))
}
