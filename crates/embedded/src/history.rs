use async_trait::async_trait;
use bedrock_diy_core::{
    ProjectId, SessionId,
    error::Result,
    history::{Exchange, SessionSummary},
    page::{Page, PageRequest},
    ports::History,
    time::Timestamp,
};
use rusqlite::{Connection, Params};

use crate::{
    database::{Database, failure, from_json, to_json},
    projects::{no_page, page_of},
};

/// Chat history in `SQLite`.
#[derive(Debug, Clone)]
pub struct SqliteHistory(Database);

impl SqliteHistory {
    /// On this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self(database)
    }

    /// Exchanges with the moments that order them, the newest first.
    fn newest(
        &self,
        project: &ProjectId,
        session: &SessionId,
        before: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Exchange)>> {
        let rows: Vec<(i64, String)> = self.0.read(|connection| {
            let mut select = connection
                .prepare_cached(
                    "SELECT timestamp, document FROM chat_history
                     WHERE project_id = ?1 AND session_id = ?2 AND timestamp < ?3
                     ORDER BY timestamp DESC LIMIT ?4",
                )
                .map_err(|error| failure(&error))?;
            select
                .query_map((project.as_str(), session.as_str(), before, limit), |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .and_then(Iterator::collect)
                .map_err(|error| failure(&error))
        })?;
        rows.into_iter()
            .map(|(at, json)| Ok((at, from_json("exchange", &json)?)))
            .collect()
    }
}

#[async_trait]
impl History for SqliteHistory {
    async fn recent(&self, project: &ProjectId, session: &SessionId, limit: usize) -> Result<Vec<Exchange>> {
        let newest_first = self.newest(project, session, AFTER_ALL, limit)?;
        Ok(newest_first
            .into_iter()
            .rev()
            .map(|(_, exchange)| exchange)
            .collect())
    }

    async fn sessions(&self, project: &ProjectId, page: &PageRequest) -> Result<Page<SessionSummary>> {
        let after = page.cursor.as_deref().map(place_after);
        let (at, session) = after
            .unwrap_or_else(|| Some((AFTER_ALL, String::new())))
            .ok_or_else(|| no_page("sessions"))?;
        let rows: Vec<(String, u64, i64)> = self.0.read(|connection| {
            let mut select = connection
                .prepare_cached(
                    "SELECT session_id, exchanges, last_at FROM chat_sessions
                     WHERE project_id = ?1 AND (last_at, session_id) < (?2, ?3)
                     ORDER BY last_at DESC, session_id DESC LIMIT ?4",
                )
                .map_err(|error| failure(&error))?;
            select
                .query_map(
                    (project.as_str(), at, session, page.limit.saturating_add(1)),
                    |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
                )
                .and_then(Iterator::collect)
                .map_err(|error| failure(&error))
        })?;
        let found = rows.into_iter().map(|(session, exchanges, last_at)| {
            Ok(SessionSummary {
                session_id: SessionId::new(session)?,
                project_id: project.clone(),
                exchanges,
                last_at: Timestamp::from_millis(last_at),
            })
        });
        Ok(page_of(found.collect::<Result<_>>()?, page.limit, |last| {
            format!("{}~{}", last.last_at, last.session_id)
        }))
    }

    async fn exchanges(
        &self,
        project: &ProjectId,
        session: &SessionId,
        page: &PageRequest,
    ) -> Result<Page<Exchange>> {
        let before = match page.cursor.as_deref() {
            Some(cursor) => cursor.parse().map_err(|_| no_page("exchanges"))?,
            None => AFTER_ALL,
        };
        let found = self.newest(project, session, before, page.limit.saturating_add(1))?;
        let page = page_of(found, page.limit, |(at, _)| at.to_string());
        Ok(Page {
            items: page.items.into_iter().map(|(_, exchange)| exchange).collect(),
            next: page.next,
        })
    }

    async fn delete(&self, project: &ProjectId, session: &SessionId) -> Result<bool> {
        let (project, session) = (project.as_str().to_owned(), session.as_str().to_owned());
        self.0
            .write(move |connection| {
                let of_session = (&project, &session);
                let exchanges = execute(
                    connection,
                    "DELETE FROM chat_history WHERE project_id = ?1 AND session_id = ?2",
                    of_session,
                )?;
                let sessions = execute(
                    connection,
                    "DELETE FROM chat_sessions WHERE project_id = ?1 AND session_id = ?2",
                    of_session,
                )?;
                Ok(exchanges + sessions > 0)
            })
            .await
    }
}

/// A moment after all others.
const AFTER_ALL: i64 = i64::MAX;

/// Where a page of sessions begins: after a session that was last used at a moment.
fn place_after(cursor: &str) -> Option<(i64, String)> {
    let (at, session) = cursor.split_once('~')?;
    let at: Timestamp = at.parse().ok()?;
    let session = SessionId::new(session).ok()?;
    Some((at.millis(), session.into()))
}

/// Appends an exchange. Two that ended in the same millisecond both stay: the later one moves on.
pub(crate) fn append(connection: &Connection, exchange: &Exchange) -> Result<()> {
    let document = to_json("exchange", exchange)?;
    let (project, session) = (exchange.project_id.as_str(), exchange.session_id.as_str());
    execute(
        connection,
        "INSERT INTO chat_history VALUES (?1, ?2, max(?3, 1 + coalesce(
             (SELECT max(timestamp) FROM chat_history WHERE project_id = ?1 AND session_id = ?2), 0)), ?4)",
        (project, session, exchange.timestamp.millis(), document),
    )?;
    execute(
        connection,
        "INSERT INTO chat_sessions VALUES (?1, ?2, 1, ?3)
         ON CONFLICT DO UPDATE SET exchanges = exchanges + 1, last_at = max(last_at, excluded.last_at)",
        (project, session, exchange.timestamp.millis()),
    )
    .map(drop)
}

fn execute(connection: &Connection, sql: &str, params: impl Params) -> Result<usize> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(params))
        .map_err(|error| failure(&error))
}
