use async_trait::async_trait;
use bedrock_diy_core::{
    article::{Bucket, ObjectRef},
    error::Result,
    model::Usage,
    ports::Memo,
    stage::MemoEntry,
};
use rusqlite::{Connection, OptionalExtension};

use crate::{
    database::{Database, failure},
    objects::{self, Folders, SqliteObjects},
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
        self.database.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT path, name, size, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens
                     FROM memo JOIN folders USING (folder) WHERE memo_key = unhex(?1)",
                )
                .and_then(|mut select| {
                    select
                        .query_row([memo_key], |row| {
                            Ok(MemoEntry {
                                memo_key: memo_key.to_owned(),
                                output: ObjectRef {
                                    bucket: Bucket::Results,
                                    key: objects::join_key(&row.get::<_, String>(0)?, &row.get::<_, String>(1)?),
                                    version: None,
                                    size: row.get(2)?,
                                },
                                usage: Usage {
                                    input_tokens: row.get(3)?,
                                    output_tokens: row.get(4)?,
                                    cache_read_tokens: row.get(5)?,
                                    cache_write_tokens: row.get(6)?,
                                },
                            })
                        })
                        .optional()
                })
                .map_err(|error| failure(&error))
        })
    }

    async fn keep(&self, entry: MemoEntry, output: String) -> Result<()> {
        let body = self.objects.body(output.into_bytes()).await?;
        let folders = self.objects.folders();
        self.database
            .write(move |connection| {
                objects::put(connection, &folders, &entry.output, &body)?;
                keep(connection, &folders, &entry)
            })
            .await
    }
}

/// Keeps an entry; the newest answer under a key counts. Outputs lie in the results, without versions.
pub(crate) fn keep(connection: &Connection, folders: &Folders, entry: &MemoEntry) -> Result<()> {
    let MemoEntry {
        memo_key,
        output,
        usage,
    } = entry;
    let (folder, name) = objects::split_key(&output.key);
    let folder = folders.number(connection, Bucket::Results, folder)?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO memo VALUES (unhex(?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8)")
        .and_then(|mut insert| {
            insert.execute((
                memo_key,
                folder,
                name,
                output.size,
                usage.input_tokens,
                usage.output_tokens,
                usage.cache_read_tokens,
                usage.cache_write_tokens,
            ))
        })
        .map(|_| ())
        .map_err(|error| failure(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedrock_diy_core::{ports::Objects, text::sha256_hex};

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
