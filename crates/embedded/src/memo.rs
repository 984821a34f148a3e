use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use bedrock_diy_core::{
    article::{Bucket, ObjectRef},
    error::Result,
    model::Usage,
    ports::Memo,
    stage::MemoEntry,
};
use fastbloom::AtomicBloomFilter;
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
    kept: Arc<KeptKeys>,
}

/// Which keys are kept, roughly: most stages are asked for the first time, and need no look into a large
/// table to know it.
#[derive(Debug)]
struct KeptKeys {
    /// Holds every key that this process has kept, and after [`SqliteMemo::recover`] all of them; says yes
    /// to some others, too.
    some: AtomicBloomFilter,
    /// Whether a no can be believed.
    complete: AtomicBool,
}

/// A megabyte. With a million entries, one new key in fifty is looked up in vain; with ten million, all are.
const FILTER_BITS: usize = 8 * 1024 * 1024;
const ENTRIES: usize = 1_000_000;

impl Default for KeptKeys {
    fn default() -> Self {
        Self {
            some: AtomicBloomFilter::with_num_bits(FILTER_BITS).expected_items(ENTRIES),
            complete: AtomicBool::new(false),
        }
    }
}

impl SqliteMemo {
    /// On this database, with outputs in these objects.
    #[must_use]
    pub fn new(database: Database, objects: SqliteObjects) -> Self {
        Self {
            database,
            objects,
            kept: Arc::default(),
        }
    }

    /// Learns which keys are kept, so that looking for others costs nothing from here on.
    ///
    /// Whoever calls this holds the data folder's lock: nobody else keeps entries.
    pub fn recover(&self) -> Result<()> {
        let keys = |connection: &Connection| -> rusqlite::Result<()> {
            let mut select = connection.prepare("SELECT lower(hex(memo_key)) FROM memo")?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                self.kept.some.insert(row.get_ref(0)?.as_str()?);
            }
            Ok(())
        };
        self.database
            .read(|connection| keys(connection).map_err(|error| failure(&error)))?;
        self.kept.complete.store(true, Ordering::Release);
        Ok(())
    }

    /// Remembers that this key is going to be kept. Comes before its write, so that nobody who knows of
    /// that one is told no.
    pub(crate) fn expect(&self, memo_key: &str) {
        self.kept.some.insert(memo_key);
    }
}

#[async_trait]
impl Memo for SqliteMemo {
    async fn find(&self, memo_key: &str) -> Result<Option<MemoEntry>> {
        if self.kept.complete.load(Ordering::Acquire) && !self.kept.some.contains(memo_key) {
            return Ok(None);
        }
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
        self.expect(&entry.memo_key);
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

    fn entry(asked: &str, output: &str) -> MemoEntry {
        MemoEntry {
            memo_key: sha256_hex(asked.as_bytes()),
            output: ObjectRef {
                bucket: Bucket::Results,
                key: "news/job/1-facts.txt".into(),
                version: None,
                size: output.len() as u64,
            },
            usage: Usage::default(),
        }
    }

    #[tokio::test]
    async fn what_was_kept_before_or_after_the_start_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let database = Database::open(&folder.path().join("d.sqlite")).unwrap();
            let objects = SqliteObjects::new(database.clone(), folder.path().join("objects"));
            SqliteMemo::new(database, objects)
        };
        let before = entry("before", "yes");
        open().keep(before.clone(), "yes".into()).await.unwrap();
        let memo = open();
        memo.recover().unwrap();
        assert_eq!(memo.find(&before.memo_key).await.unwrap().as_ref(), Some(&before));
        let after = entry("after", "no");
        assert_eq!(memo.find(&after.memo_key).await.unwrap(), None);
        memo.keep(after.clone(), "no".into()).await.unwrap();
        assert_eq!(memo.find(&after.memo_key).await.unwrap(), Some(after));
    }

    #[tokio::test]
    async fn an_answer_is_kept_together_with_its_output_however_long() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("d.sqlite")).unwrap();
        let objects = SqliteObjects::new(database.clone(), folder.path().join("objects"));
        let memo = SqliteMemo::new(database, objects.clone());
        for output in ["요약".to_owned(), "long ".repeat(40_000)] {
            let entry = entry("asked", &output);
            memo.keep(entry.clone(), output.clone()).await.unwrap();
            assert_eq!(memo.find(&entry.memo_key).await.unwrap().as_ref(), Some(&entry));
            assert_eq!(objects.get(&entry.output).await.unwrap(), output.as_bytes());
        }
    }
}
