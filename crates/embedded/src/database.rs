//! The database: one thread that writes in groups, and a few connections that read.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use bedrock_diy_core::{Code, Failure, error::Result};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

const SCHEMA: &str = include_str!("schema.sql");

/// The layout of the tables; a data folder of another one is refused, not guessed at.
const SCHEMA_VERSION: i64 = 1;

/// More than this many writes in one transaction would make the first one wait for the last.
const GROUP: usize = 1_024;

/// Reads take microseconds, so a few connections serve many tasks.
const READERS: usize = 2;

/// Prepared statements kept by each connection: all of ours, so that none is parsed twice.
const STATEMENTS: usize = 128;

/// A `SQLite` database in WAL mode. Clones share it.
#[derive(Clone)]
pub struct Database {
    writer: Sender<Operation>,
    readers: Arc<[Mutex<Connection>]>,
}

/// What the writer is asked to do: run, and after the commit tell the caller how it went.
type Operation = Box<dyn FnOnce(&Connection) -> Outcome + Send>;

struct Outcome {
    failed: bool,
    tell: Box<dyn FnOnce(std::result::Result<(), Failure>) + Send>,
}

impl Database {
    /// Opens the database file, making it where it is not there.
    pub fn open(path: &Path) -> Result<Self> {
        let mut writer = connect(path)?;
        prepare(&mut writer)?;
        let readers = (0..READERS)
            .map(|_| {
                let reader = connect(path)?;
                reader
                    .execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -4000")
                    .map_err(|e| failure(&e))?;
                Ok(Mutex::new(reader))
            })
            .collect::<Result<Vec<_>>>()?;
        let (sender, receiver) = mpsc::channel();
        thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || write_groups(&writer, &receiver))
            .map_err(|error| {
                Failure::new(
                    Code::StorageUnavailable,
                    format!("no thread for the database: {error}"),
                )
            })?;
        Ok(Self {
            writer: sender,
            readers: readers.into(),
        })
    }

    /// Writes, all or nothing, and returns when that is on the disk.
    ///
    /// Writes of other callers may share the transaction, but not each other's fate: an error undoes
    /// this write alone.
    pub async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (told, answer) = oneshot::channel();
        self.submit(write, move |result| {
            // Nobody listens where the caller was cancelled; the write counts all the same.
            let _ = told.send(result);
        })?;
        answer.await.map_err(|_| stopped())?
    }

    /// Writes without waiting, in order with this caller's later writes. For what may be lost in a
    /// crash because it can be found out again.
    pub fn write_soon(&self, write: impl FnOnce(&Connection) -> Result<()> + Send + 'static) -> Result<()> {
        self.submit(write, |result| {
            if let Err(failure) = result {
                tracing::warn!(error = %failure, "a write that nobody waits for failed");
            }
        })
    }

    /// Reads. The closure runs on the calling thread: a look-up by key takes a few microseconds,
    /// less than handing it to another thread would.
    pub fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        read(&self.reader())
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        for reader in &*self.readers {
            if let Ok(reader) = reader.try_lock() {
                return reader;
            }
        }
        // A panic while reading leaves a connection that is as good as before.
        self.readers[0].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
        tell: impl FnOnce(Result<T>) + Send + 'static,
    ) -> Result<()> {
        let operation: Operation = Box::new(move |connection| {
            let result = write(connection);
            Outcome {
                failed: result.is_err(),
                tell: Box::new(move |committed| tell(committed.and(result))),
            }
        });
        self.writer.send(operation).map_err(|_| stopped())
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

/// Maps everything that `SQLite` can say to a failure of ours.
pub(crate) fn failure(error: &rusqlite::Error) -> Failure {
    Failure::new(
        Code::StorageUnavailable,
        format!("the database of the data folder: {error}"),
    )
}

/// The failure of a stored document that can't be read.
pub(crate) fn corrupt(what: &str, error: &serde_json::Error) -> Failure {
    Failure::new(
        Code::InternalError,
        format!("a stored {what} can't be read: {error}"),
    )
}

/// Writes a document as JSON.
pub(crate) fn to_json<T: serde::Serialize>(what: &str, document: &T) -> Result<String> {
    serde_json::to_string(document).map_err(|error| {
        Failure::new(
            Code::InternalError,
            format!("a {what} can't be written as JSON: {error}"),
        )
    })
}

/// Reads a document from JSON.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(what: &str, json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| corrupt(what, &error))
}

fn stopped() -> Failure {
    Failure::new(
        Code::StorageUnavailable,
        "the database of the data folder has been closed",
    )
}

fn connect(path: &Path) -> Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| {
        Failure::new(
            Code::StorageUnavailable,
            format!("{} can't be opened: {error}", path.display()),
        )
    })?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Another process (a `jobs cancel` beside `serve`) writes for milliseconds at most.
    connection
        .busy_timeout(std::time::Duration::from_secs(10))
        .map_err(|e| failure(&e))?;
    Ok(connection)
}

fn prepare(connection: &mut Connection) -> Result<()> {
    let set_up = |connection: &mut Connection| -> rusqlite::Result<i64> {
        // FULL: a commit is on the disk when it returns. The write-ahead log is folded back every
        // 16 MB: seldom enough to write a page once for many changes of it.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
             PRAGMA journal_size_limit = 33554432; PRAGMA cache_size = -16000; PRAGMA temp_store = MEMORY;",
        )?;
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut version = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version == 0 {
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            version = SCHEMA_VERSION;
        }
        transaction.commit()?;
        Ok(version)
    };
    match set_up(connection).map_err(|error| failure(&error))? {
        SCHEMA_VERSION => Ok(()),
        other => Err(Failure::new(
            Code::StorageUnavailable,
            format!(
                "the data folder was made by another version of bedrock-diy (layout {other}, this one is {SCHEMA_VERSION}): use that version, or another folder with --data"
            ),
        )),
    }
}

/// Takes whatever waits, writes it in one transaction, and tells everybody after the commit.
fn write_groups(connection: &Connection, operations: &Receiver<Operation>) {
    while let Ok(first) = operations.recv() {
        let mut outcomes = Vec::new();
        let written = (|| {
            connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            let mut next = Some(first);
            while let Some(operation) = next {
                connection.prepare_cached("SAVEPOINT operation")?.execute([])?;
                let outcome = operation(connection);
                if outcome.failed {
                    connection.prepare_cached("ROLLBACK TO operation")?.execute([])?;
                }
                connection.prepare_cached("RELEASE operation")?.execute([])?;
                outcomes.push(outcome);
                next = if outcomes.len() < GROUP {
                    operations.try_recv().ok()
                } else {
                    None
                };
            }
            connection.prepare_cached("COMMIT")?.execute([])?;
            Ok(())
        })();
        let written = written.map_err(|error: rusqlite::Error| {
            // The transaction may be open or not, whatever went wrong; either way it must not stay.
            if !connection.is_autocommit() {
                let _ = connection.execute_batch("ROLLBACK");
            }
            failure(&error)
        });
        for outcome in outcomes {
            (outcome.tell)(written.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> (tempfile::TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("d.sqlite")).unwrap();
        (folder, database)
    }

    async fn insert(database: &Database, id: &'static str) -> Result<()> {
        database
            .write(move |connection| {
                connection
                    .execute("INSERT INTO projects VALUES (?1, '{}')", [id])
                    .map(|_| ())
                    .map_err(|error| failure(&error))
            })
            .await
    }

    fn count(database: &Database) -> i64 {
        database
            .read(|connection| {
                connection
                    .query_row("SELECT count(*) FROM projects", [], |row| row.get(0))
                    .map_err(|e| failure(&e))
            })
            .unwrap()
    }

    #[tokio::test]
    async fn writes_share_a_transaction_but_not_each_others_fate() {
        let (_folder, database) = database();
        let results = tokio::join!(
            insert(&database, "a"),
            insert(&database, "b"),
            insert(&database, "a"),
            insert(&database, "c")
        );
        assert!(results.0.is_ok() && results.1.is_ok() && results.2.is_err() && results.3.is_ok());
        assert_eq!(count(&database), 3);
    }

    #[tokio::test]
    async fn a_failed_write_leaves_nothing_of_itself() {
        let (_folder, database) = database();
        let failed = database
            .write(|connection| {
                connection
                    .execute("INSERT INTO projects VALUES ('x', '{}')", [])
                    .map_err(|e| failure(&e))?;
                Err::<(), _>(Failure::new(Code::InvalidRequest, "second thoughts"))
            })
            .await;
        assert_eq!(failed.unwrap_err().code, Code::InvalidRequest);
        assert_eq!(count(&database), 0);
    }

    #[tokio::test]
    async fn what_was_written_is_there_when_the_folder_is_opened_again() {
        let (folder, database) = database();
        insert(&database, "a").await.unwrap();
        let again = Database::open(&folder.path().join("d.sqlite")).unwrap();
        assert_eq!(count(&again), 1);
    }
}
