use async_trait::async_trait;
use bedrock_diy_core::{
    HookId, ProjectId,
    error::Result,
    hook::Hook,
    ports::{Hooks, Saved},
};
use rusqlite::{Connection, OptionalExtension};

use crate::database::{Database, failure, from_json, to_json};

/// Inbound hooks in `SQLite`.
#[derive(Debug, Clone)]
pub struct SqliteHooks(Database);

impl SqliteHooks {
    /// On this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self(database)
    }
}

#[async_trait]
impl Hooks for SqliteHooks {
    async fn hook(&self, project: &ProjectId, hook: &HookId) -> Result<Option<Hook>> {
        let found = self.by_id(hook).await?;
        Ok(found.filter(|found| found.project_id == *project))
    }

    async fn by_id(&self, hook: &HookId) -> Result<Option<Hook>> {
        let json: Option<String> = self.0.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT document FROM hooks WHERE hook_id = ?1 AND document ->> 'deletedAt' IS NULL",
                )
                .and_then(|mut select| select.query_row([hook.as_str()], |row| row.get(0)).optional())
                .map_err(|error| failure(&error))
        })?;
        json.map(|json| from_json("hook", &json)).transpose()
    }

    async fn hooks(&self, project: &ProjectId) -> Result<Vec<Hook>> {
        // An id begins with the moment that it was made at.
        let rows = self.0.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT document FROM hooks WHERE project_id = ?1 AND document ->> 'deletedAt' IS NULL
                     ORDER BY hook_id",
                )
                .and_then(|mut select| {
                    select
                        .query_map([project.as_str()], |row| row.get::<_, String>(0))?
                        .collect::<rusqlite::Result<Vec<_>>>()
                })
                .map_err(|error| failure(&error))
        })?;
        rows.iter().map(|json| from_json("hook", json)).collect()
    }

    async fn put_hook(&self, hook: &Hook, before: Option<&Hook>) -> Result<Saved> {
        let (id, project) = (
            hook.hook_id.as_str().to_owned(),
            hook.project_id.as_str().to_owned(),
        );
        let expected = before.map(|before| before.version);
        let document = to_json("hook", hook)?;
        self.0
            .write(move |connection| {
                let stored = match expected {
                    None => connection.execute(
                        "INSERT INTO hooks VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                        (&id, &project, &document),
                    ),
                    Some(version) => connection.execute(
                        "UPDATE hooks SET document = ?3
                         WHERE hook_id = ?1 AND project_id = ?2 AND document ->> 'version' = ?4",
                        (&id, &project, &document, version),
                    ),
                };
                if stored.map_err(|error| failure(&error))? == 1 {
                    return Ok(Saved::Done);
                }
                is_stored(connection, &id, &document)
            })
            .await
    }
}

/// What stands against a hook may be what was to be stored: a first try of the same.
fn is_stored(connection: &Connection, id: &str, document: &str) -> Result<Saved> {
    let same: bool = connection
        .query_row(
            "SELECT EXISTS (SELECT 1 FROM hooks WHERE hook_id = ?1 AND document = ?2)",
            (id, document),
            |row| row.get(0),
        )
        .map_err(|error| failure(&error))?;
    Ok(if same { Saved::Done } else { Saved::Stale })
}
