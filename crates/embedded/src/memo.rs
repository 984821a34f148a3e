use async_trait::async_trait;
use bedrock_diy_core::{error::Result, ports::Memo, stage::MemoEntry};
use rusqlite::{Connection, OptionalExtension};

use crate::database::{Database, failure, from_json, to_json};

/// The memo in `SQLite`.
#[derive(Debug, Clone)]
pub struct SqliteMemo(Database);

impl SqliteMemo {
    /// On this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self(database)
    }
}

#[async_trait]
impl Memo for SqliteMemo {
    async fn find(&self, memo_key: &str) -> Result<Option<MemoEntry>> {
        let json = self.0.read(|connection| {
            connection
                .prepare_cached("SELECT document FROM memo WHERE memo_key = unhex(?1)")
                .and_then(|mut select| {
                    select
                        .query_row([memo_key], |row| row.get::<_, String>(0))
                        .optional()
                })
                .map_err(|error| failure(&error))
        })?;
        json.map(|json| from_json("memo entry", &json)).transpose()
    }
}

/// Keeps an entry; the newest answer under a key counts.
pub(crate) fn keep(connection: &Connection, entry: &MemoEntry) -> Result<()> {
    let document = to_json("memo entry", entry)?;
    connection
        .prepare_cached(
            "INSERT INTO memo VALUES (unhex(?1), ?2) ON CONFLICT DO UPDATE SET document = excluded.document",
        )
        .and_then(|mut insert| insert.execute((&entry.memo_key, document)))
        .map(|_| ())
        .map_err(|error| failure(&error))
}
