use async_trait::async_trait;
use bedrock_diy_core::{
    article::{Bucket, ObjectRef},
    error::Result,
    model::Usage,
    ports::Memo,
    stage::MemoEntry,
};
use rusqlite::{Connection, Row};

use crate::{
    database::{Database, failure},
    objects::{self, Folders, SqliteObjects},
    recent::Recent,
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
        let recent = &self.database.recent().memo;
        if let Some(entry) = recent.find(memo_key, || self.select("memo_recent", "TRUE ORDER BY seq", []))? {
            return Ok(Some(entry));
        }
        let mut found = self.select("memo", "memo_key = unhex(?1)", [memo_key])?;
        Ok(found.pop())
    }

    async fn keep(&self, entry: MemoEntry, output: String) -> Result<()> {
        let body = self.objects.body(output.into_bytes()).await?;
        let folders = self.objects.folders();
        let keeping = entry.clone();
        let kept = self
            .database
            .write(move |connection| {
                objects::put(connection, &folders, &keeping.output, &body)?;
                keep(connection, &folders, &keeping)
            })
            .await?;
        remember(self.database.recent(), kept, entry);
        Ok(())
    }
}

/// What keeping an entry came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It was added.
    Added,
    /// It was added, and all recent ones were put into their order.
    Folded,
}

/// So many entries are added before they are put into the order of their keys, together.
const RECENT: i64 = 2_000;

/// Keeps an entry, within a transaction; the newest answer under a key counts. Outputs lie in the results,
/// without versions.
pub(crate) fn keep(connection: &Connection, folders: &Folders, entry: &MemoEntry) -> Result<Kept> {
    let MemoEntry {
        memo_key,
        output,
        usage,
    } = entry;
    let (folder, name) = objects::split_key(&output.key);
    let folder = folders.number(connection, Bucket::Results, folder)?;
    let add = || {
        let seq = connection
            .prepare_cached(
                "INSERT INTO memo_recent (memo_key, folder, name, size, input_tokens, output_tokens,
                                          cache_read_tokens, cache_write_tokens)
                 VALUES (unhex(?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .insert((
                memo_key,
                folder,
                name,
                output.size,
                usage.input_tokens,
                usage.output_tokens,
                usage.cache_read_tokens,
                usage.cache_write_tokens,
            ))?;
        if seq < RECENT {
            return Ok(Kept::Added);
        }
        connection.execute_batch(
            "INSERT OR REPLACE INTO memo
             SELECT memo_key, folder, name, size, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens
             FROM memo_recent ORDER BY memo_key, seq;
             DELETE FROM memo_recent;",
        )?;
        Ok(Kept::Folded)
    };
    add().map_err(|error| failure(&error))
}

/// Has an entry found that was kept, now that this is on the disk.
pub(crate) fn remember(recent: &Recent, kept: Kept, entry: MemoEntry) {
    match kept {
        Kept::Added => recent.memo.keep(entry),
        Kept::Folded => recent.memo.forget(),
    }
}

impl SqliteMemo {
    fn select(
        &self,
        table: &'static str,
        condition: &'static str,
        values: impl rusqlite::Params,
    ) -> Result<Vec<MemoEntry>> {
        let sql = format!(
            "SELECT lower(hex(memo_key)), path, name, size, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens
             FROM {table} JOIN folders USING (folder) WHERE {condition}"
        );
        self.database.read(|connection| {
            connection
                .prepare_cached(&sql)
                .and_then(|mut select| select.query_map(values, entry)?.collect())
                .map_err(|error| failure(&error))
        })
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<MemoEntry> {
    Ok(MemoEntry {
        memo_key: row.get(0)?,
        output: ObjectRef {
            bucket: Bucket::Results,
            key: objects::join_key(&row.get::<_, String>(1)?, &row.get::<_, String>(2)?),
            version: None,
            size: row.get(3)?,
        },
        usage: Usage {
            input_tokens: row.get(4)?,
            output_tokens: row.get(5)?,
            cache_read_tokens: row.get(6)?,
            cache_write_tokens: row.get(7)?,
        },
    })
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

    #[tokio::test]
    async fn thousands_of_answers_are_found_wherever_they_lie() {
        let folder = tempfile::tempdir().unwrap();
        let memo = || {
            let database = Database::open(&folder.path().join("d.sqlite")).unwrap();
            let objects = SqliteObjects::new(database.clone(), folder.path().join("objects"));
            SqliteMemo::new(database, objects)
        };
        let entry = |number: i64, output: &str| MemoEntry {
            memo_key: sha256_hex(&number.to_be_bytes()),
            output: ObjectRef {
                bucket: Bucket::Results,
                key: format!("news/job/{output}.txt"),
                version: None,
                size: 1,
            },
            usage: Usage::default(),
        };
        let first = memo();
        let keep = async |entries: Vec<MemoEntry>| {
            let keeping = entries.into_iter().map(|entry| first.keep(entry, "x".into()));
            futures_util::future::try_join_all(keeping).await.unwrap();
        };
        keep((0..RECENT).map(|number| entry(number, "first")).collect()).await;
        assert_eq!(
            first.find(&entry(1, "").memo_key).await.unwrap(),
            Some(entry(1, "first"))
        );
        // Some are new, one has an answer that is newer than that which is in its place already.
        keep(
            (RECENT..RECENT + 10)
                .map(|number| entry(number, "second"))
                .collect(),
        )
        .await;
        keep(vec![entry(1, "second")]).await;
        for memo in [first.clone(), memo()] {
            for (number, output) in [
                (0, "first"),
                (1, "second"),
                (RECENT - 1, "first"),
                (RECENT + 9, "second"),
            ] {
                let wanted = entry(number, output);
                assert_eq!(memo.find(&wanted.memo_key).await.unwrap(), Some(wanted));
            }
            assert_eq!(memo.find(&sha256_hex(b"never asked")).await.unwrap(), None);
        }
    }
}
