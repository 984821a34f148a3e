//! The database: one thread that writes in groups, and a few connections that read.

mod layout;
mod writer;

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bedrock_diy_core::{Code, Failure, error::Result};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

use writer::{Writer, stopped};

/// Reads take microseconds, so a few connections serve many tasks.
const READERS: usize = 2;

/// Prepared statements kept by each connection: all of ours, so that none is parsed twice.
const STATEMENTS: usize = 128;

/// A `SQLite` database in WAL mode. Clones share it.
#[derive(Clone)]
pub struct Database {
    writer: Arc<Writer>,
    readers: Arc<[Mutex<Connection>]>,
}

impl Database {
    /// Opens the database file, making it where it is not there.
    pub fn open(path: &Path) -> Result<Self> {
        let mut writer = connect(path)?;
        layout::prepare(&mut writer)?;
        let readers = (0..READERS)
            .map(|_| {
                let reader = connect(path)?;
                reader
                    .execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -4000")
                    .map_err(|e| failure(&e))?;
                Ok(Mutex::new(reader))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            writer: Arc::new(Writer::start(writer)?),
            readers: readers.into(),
        })
    }

    /// Writes, all or nothing, and returns when that is on the disk.
    ///
    /// Writes of other callers may share the transaction, but not each other's fate: an error undoes
    /// this write alone. `write` may be run more than once, the last time for good: it must touch nothing
    /// but the database.
    pub async fn write<T: Send + 'static>(
        &self,
        write: impl FnMut(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (told, answer) = oneshot::channel();
        self.writer.submit(write, move |result| {
            // Nobody listens where the caller was cancelled; the write counts all the same.
            let _ = told.send(result);
        })?;
        answer.await.map_err(|_| stopped())?
    }

    /// Writes without waiting, in order with this caller's later writes. For what may be lost in a
    /// crash because it can be found out again.
    pub fn write_soon(&self, write: impl FnMut(&Connection) -> Result<()> + Send + 'static) -> Result<()> {
        self.writer.submit(write, |result| {
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
    // Most documents have some hundred bytes: grown from nothing, they would be copied again and again.
    let mut json = Vec::with_capacity(1_536);
    let written = serde_json::to_writer(&mut json, document).map_err(|error| error.to_string());
    written
        .and_then(|()| String::from_utf8(json).map_err(|error| error.to_string()))
        .map_err(|error| {
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
    // Plans by statement, not by value: with SQLite's default, each new time in `wake_at <= ?` has the
    // statement prepared again.
    connection
        .set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(|e| failure(&e))?;
    // Another process (a `jobs cancel` beside `serve`) writes for milliseconds at most.
    connection
        .busy_timeout(Duration::from_secs(10))
        .map_err(|e| failure(&e))?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn database() -> (tempfile::TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("d.sqlite")).unwrap();
        (folder, database)
    }

    pub(super) async fn insert(database: &Database, id: &'static str) -> Result<()> {
        database
            .write(move |connection| {
                connection
                    .execute("INSERT INTO projects VALUES (?1, '{}')", [id])
                    .map(|_| ())
                    .map_err(|error| failure(&error))
            })
            .await
    }

    pub(super) fn count(database: &Database) -> i64 {
        database
            .read(|connection| {
                connection
                    .query_row("SELECT count(*) FROM projects", [], |row| row.get(0))
                    .map_err(|e| failure(&e))
            })
            .unwrap()
    }

    #[tokio::test]
    async fn who_drops_it_leaves_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("d.sqlite")).unwrap();
        insert(&database, "a").await.unwrap();
        drop(database);
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(files.len(), 1, "the write-ahead log is folded into it: {files:?}");
    }

    #[tokio::test]
    async fn what_was_written_is_there_when_the_folder_is_opened_again() {
        let (folder, database) = database();
        insert(&database, "a").await.unwrap();
        let again = Database::open(&folder.path().join("d.sqlite")).unwrap();
        assert_eq!(count(&again), 1);
    }
}
