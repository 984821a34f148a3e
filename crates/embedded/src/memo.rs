use async_trait::async_trait;
use bedrock_diy_core::{
    article::{Bucket, ObjectRef},
    error::Result,
    ports::Memo,
    stage::MemoEntry,
};
use rusqlite::{Connection, OptionalExtension};

use crate::{
    database::{Database, failure, from_json, to_json},
    objects::{self, SqliteObjects},
};

/// The memo in `SQLite`.
#[derive(Debug, Clone)]
pub struct SqliteMemo {
    database: Database,
    objects: SqliteObjects,
}

impl SqliteMemo {
    /// On this database, with outputs in these objects.
    #[must_use]
    pub fn new(database: Database, objects: SqliteObjects) -> Self {
        Self { database, objects }
    }
}

#[async_trait]
impl Memo for SqliteMemo {
    async fn find(&self, memo_key: &str) -> Result<Option<MemoEntry>> {
        let row: Option<(String, u64, String)> = self.database.read(|connection| {
            connection
                .prepare_cached("SELECT output, size, usage FROM memo WHERE memo_key = unhex(?1)")
                .and_then(|mut select| {
                    select
                        .query_row([memo_key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                        .optional()
                })
                .map_err(|error| failure(&error))
        })?;
        row.map(|(key, size, usage)| {
            Ok(MemoEntry {
                memo_key: memo_key.to_owned(),
                output: ObjectRef {
                    bucket: Bucket::Results,
                    key,
                    version: None,
                    size,
                },
                usage: from_json("usage", &usage)?,
            })
        })
        .transpose()
    }

    async fn keep(&self, entry: MemoEntry, output: String) -> Result<()> {
        let body = self.objects.body(output.into_bytes()).await?;
        let folders = self.objects.folders();
        self.database
            .write(move |connection| {
                objects::put(connection, &folders, &entry.output, &body)?;
                keep(connection, &entry)
            })
            .await
    }
}

/// Keeps an entry; the newest answer under a key counts. Outputs lie in the results, without versions.
pub(crate) fn keep(connection: &Connection, entry: &MemoEntry) -> Result<()> {
    let usage = to_json("usage", &entry.usage)?;
    connection
        .prepare_cached(
            "INSERT INTO memo VALUES (unhex(?1), ?2, ?3, ?4) ON CONFLICT DO UPDATE
             SET output = excluded.output, size = excluded.size, usage = excluded.usage",
        )
        .and_then(|mut insert| insert.execute((&entry.memo_key, &entry.output.key, entry.output.size, usage)))
        .map(|_| ())
        .map_err(|error| failure(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedrock_diy_core::{model::Usage, ports::Objects, text::sha256_hex};

    #[tokio::test]
    async fn an_answer_is_kept_together_with_its_output_however_long() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("d.sqlite")).unwrap();
        let objects = SqliteObjects::new(database.clone(), folder.path().join("objects"));
        let memo = SqliteMemo::new(database, objects.clone());
        for output in ["요약".to_owned(), "long ".repeat(40_000)] {
            let entry = MemoEntry {
                memo_key: sha256_hex(b"asked"),
                output: ObjectRef {
                    bucket: Bucket::Results,
                    key: "news/job/1-facts.txt".into(),
                    version: None,
                    size: output.len() as u64,
                },
                usage: Usage::default(),
            };
            memo.keep(entry.clone(), output.clone()).await.unwrap();
            assert_eq!(memo.find(&entry.memo_key).await.unwrap().as_ref(), Some(&entry));
            assert_eq!(objects.get(&entry.output).await.unwrap(), output.as_bytes());
        }
    }
}
