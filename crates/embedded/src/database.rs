//! The database: one thread that writes in groups, and a few connections that read.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use bedrock_diy_core::{Code, Failure, error::Result};
use rusqlite::{Connection, OpenFlags};
use tokio::{runtime::Handle, sync::oneshot};

const SCHEMA: &str = include_str!("schema.sql");

/// The layout of the tables; a data folder of another one is refused, not guessed at.
const SCHEMA_VERSION: i64 = 7;

/// What layouts before lack, the oldest first: the first of them is layout 4. It is all that differs, so such a folder
/// is brought up to date.
const SINCE: [&str; 3] = [
    "CREATE INDEX jobs_by_project ON jobs (project_id)",
    "CREATE TABLE webhooks (
         webhook_id TEXT PRIMARY KEY, project_id TEXT NOT NULL, document TEXT NOT NULL
     ) WITHOUT ROWID;
     CREATE INDEX webhooks_by_project ON webhooks (project_id, webhook_id);
     CREATE TABLE deliveries (
         webhook_id TEXT NOT NULL, delivery_id TEXT NOT NULL, created_at INTEGER NOT NULL, document TEXT NOT NULL,
         PRIMARY KEY (webhook_id, delivery_id)
     ) WITHOUT ROWID;
     CREATE INDEX deliveries_by_age ON deliveries (created_at);",
    "CREATE TABLE session_jobs (
         project_id TEXT NOT NULL, session_id TEXT NOT NULL, job INTEGER NOT NULL,
         PRIMARY KEY (project_id, session_id)
     ) WITHOUT ROWID",
];
const FIRST_LAYOUT: i64 = 4;

/// More than this many writes in one transaction would make the first one wait for the last.
const GROUP: usize = 1_024;

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

/// The thread that writes. Whoever drops it waits until all is written and the file is closed, which folds
/// the write-ahead log into it: a process that ends leaves one file.
struct Writer {
    /// None when no more is taken.
    operations: Option<Sender<Box<dyn Operation>>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.operations = None;
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            // It catches the panics of writes; were there one of its own, the log has it.
            let _ = thread.join();
        }
    }
}

/// What the writer is asked to do. Whatever becomes of it, its caller is told.
trait Operation: Send {
    /// Runs within a transaction, and returns why nothing of it may stay where it failed. May be run
    /// again in another transaction, where the first one was rolled back.
    fn run(&mut self, connection: &Connection) -> Option<&Failure>;

    /// Tells the caller how it went; `committed` is how the transaction did.
    fn tell(self: Box<Self>, committed: Result<()>);

    /// Where the caller waits.
    fn runtime(&self) -> Option<&Handle>;
}

/// A write, and whom to tell.
struct Write<T, W, F> {
    runtime: Option<Handle>,
    /// None after it panicked.
    work: Option<W>,
    /// None before it ran.
    result: Option<Result<T>>,
    tell: F,
}

impl<T, W, F> Operation for Write<T, W, F>
where
    T: Send,
    W: FnMut(&Connection) -> Result<T> + Send,
    F: FnOnce(Result<T>) + Send,
{
    fn run(&mut self, connection: &Connection) -> Option<&Failure> {
        if let Some(work) = &mut self.work {
            // One caller's panic is that caller's failure: the thread goes on for the others. What the
            // closure had begun is rolled back, so that nothing half-done is seen.
            let result = catch_unwind(AssertUnwindSafe(|| work(connection)));
            if result.is_err() {
                self.work = None;
            }
            self.result = Some(result.unwrap_or_else(|_| Err(panicked())));
        }
        self.result.as_ref()?.as_ref().err()
    }

    fn tell(self: Box<Self>, committed: Result<()>) {
        let Self {
            result, tell, work, ..
        } = *self;
        // What the caller shares with it is the caller's alone again when it hears of the end.
        drop(work);
        tell(match (result, committed) {
            // Its own failure says more than the transaction's.
            (Some(Err(failure)), _) | (_, Err(failure)) => Err(failure),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(stopped()),
        });
    }

    fn runtime(&self) -> Option<&Handle> {
        self.runtime.as_ref()
    }
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
        let thread = thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || write_groups(&writer, &receiver))
            .map_err(|error| {
                Failure::new(
                    Code::StorageUnavailable,
                    format!("no thread for the database: {error}"),
                )
            })?;
        Ok(Self {
            writer: Arc::new(Writer {
                operations: Some(sender),
                thread: Some(thread),
            }),
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
        self.submit(write, move |result| {
            // Nobody listens where the caller was cancelled; the write counts all the same.
            let _ = told.send(result);
        })?;
        answer.await.map_err(|_| stopped())?
    }

    /// Writes without waiting, in order with this caller's later writes. For what may be lost in a
    /// crash because it can be found out again.
    pub fn write_soon(&self, write: impl FnMut(&Connection) -> Result<()> + Send + 'static) -> Result<()> {
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
        write: impl FnMut(&Connection) -> Result<T> + Send + 'static,
        tell: impl FnOnce(Result<T>) + Send + 'static,
    ) -> Result<()> {
        let operation = Write {
            runtime: Handle::try_current().ok(),
            work: Some(write),
            result: None,
            tell,
        };
        let operations = self.writer.operations.as_ref().ok_or_else(stopped)?;
        operations.send(Box::new(operation)).map_err(|_| stopped())
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

fn stopped() -> Failure {
    Failure::new(
        Code::StorageUnavailable,
        "the database of the data folder has been closed",
    )
}

fn panicked() -> Failure {
    Failure::new(
        Code::InternalError,
        "a write to the database of the data folder panicked; the log says where",
    )
}

/// Some errors (a full disk, a failed write) make `SQLite` undo the whole transaction, not the one
/// statement (<https://sqlite.org/lang_transaction.html>).
fn undone(cause: Option<&Failure>) -> Failure {
    let cause = cause.map_or("an error", |failure| failure.detail.as_str());
    Failure::new(
        Code::StorageUnavailable,
        format!("a write was undone together with the one that failed beside it: {cause}"),
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

fn prepare(connection: &mut Connection) -> Result<()> {
    let set_up = |connection: &mut Connection| -> rusqlite::Result<i64> {
        // FULL: a commit is on the disk when it returns. The write-ahead log is folded back every
        // 40 MB: seldom enough to write a page once for many changes of it. The cache holds the pages that
        // are written to; not more, because SQLite looks through all of it when a page was split.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 10000;
             PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -8000; PRAGMA temp_store = MEMORY;",
        )?;
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let found = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match found {
            0 => transaction.execute_batch(SCHEMA)?,
            FIRST_LAYOUT..SCHEMA_VERSION => {
                let from = usize::try_from(found - FIRST_LAYOUT).unwrap_or_default();
                SINCE
                    .iter()
                    .skip(from)
                    .try_for_each(|lacking| transaction.execute_batch(lacking))?;
            }
            other => return Ok(other),
        }
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        transaction.commit()?;
        Ok(SCHEMA_VERSION)
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
fn write_groups(connection: &Connection, operations: &Receiver<Box<dyn Operation>>) {
    let mut group = Vec::new();
    // The next group gathers while this one goes to the disk: waiting for more would only make all wait.
    while let Ok(first) = operations.recv() {
        let written = write_group(connection, first, operations, &mut group);
        // Whatever went wrong, an open transaction must not stay: the next one could not begin.
        if written.is_err() && !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
        tell(&mut group, &written);
    }
}

/// Tells everybody how the transaction went. To wake who waits in another thread's runtime takes a system call,
/// so one task there tells all who wait there: from within it takes none.
fn tell(group: &mut Vec<Box<dyn Operation>>, written: &Result<()>) {
    let mut together: Vec<(Handle, Vec<Box<dyn Operation>>)> = Vec::new();
    for operation in group.drain(..) {
        match operation.runtime() {
            None => operation.tell(written.clone()),
            Some(runtime) => match together.iter_mut().find(|(known, _)| known.id() == runtime.id()) {
                Some((_, operations)) => operations.push(operation),
                None => together.push((runtime.clone(), vec![operation])),
            },
        }
    }
    for (runtime, operations) in together {
        let (written, is_one) = (written.clone(), operations.len() == 1);
        let tell_each = move || {
            for operation in operations {
                operation.tell(written.clone());
            }
        };
        if is_one {
            tell_each();
        } else {
            runtime.spawn(async move { tell_each() });
        }
    }
}

/// Writes one transaction. Every operation that was taken is in `group` when this returns.
///
/// No operation has a savepoint of its own at first: `SQLite` copies each page that a savepoint's
/// statements touch, which is a fifth of a write's work, and they hardly ever fail half-way. Where one does,
/// all are rolled back and written once more, each with a savepoint.
fn write_group(
    connection: &Connection,
    first: Box<dyn Operation>,
    operations: &Receiver<Box<dyn Operation>>,
    group: &mut Vec<Box<dyn Operation>>,
) -> Result<()> {
    let began = execute(connection, "BEGIN IMMEDIATE");
    let mut next = Some(first);
    while let Some(mut operation) = next {
        let whole = began.is_ok() && run(connection, &mut *operation);
        group.push(operation);
        began.clone()?;
        if !whole {
            return write_apart(connection, group);
        }
        next = if group.len() < GROUP {
            operations.try_recv().ok()
        } else {
            None
        };
    }
    execute(connection, "COMMIT")
}

/// Runs one operation. False where it failed and left something half-done.
fn run(connection: &Connection, operation: &mut dyn Operation) -> bool {
    let changes = connection.total_changes();
    operation.run(connection).is_none()
        || (connection.total_changes() == changes && !connection.is_autocommit())
}

/// Writes the group once more, so that a failure undoes its own operation alone.
fn write_apart(connection: &Connection, group: &mut [Box<dyn Operation>]) -> Result<()> {
    if !connection.is_autocommit() {
        execute(connection, "ROLLBACK")?;
    }
    execute(connection, "BEGIN IMMEDIATE")?;
    for operation in group {
        execute(connection, "SAVEPOINT operation")?;
        let failed = operation.run(connection);
        if connection.is_autocommit() {
            return Err(undone(failed));
        }
        if failed.is_some() {
            execute(connection, "ROLLBACK TO operation")?;
        }
        execute(connection, "RELEASE operation")?;
    }
    execute(connection, "COMMIT")
}

fn execute(connection: &Connection, sql: &str) -> Result<()> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute([]))
        .map(|_| ())
        .map_err(|error| failure(&error))
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
    async fn who_drops_it_leaves_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("d.sqlite")).unwrap();
        insert(&database, "a").await.unwrap();
        drop(database);
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(files.len(), 1, "the write-ahead log is folded into it: {files:?}");
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
    async fn a_folder_of_a_layout_before_is_brought_up_to_date_and_a_later_one_refused() {
        let since_6 = "DROP TABLE session_jobs".to_owned();
        let since_5 = format!("DROP TABLE webhooks; DROP TABLE deliveries; {since_6}");
        let since_4 = format!("DROP INDEX jobs_by_project; {since_5}");
        for (layout, lacks) in [(6, since_6), (5, since_5), (4, since_4)] {
            let (folder, database) = database();
            insert(&database, "a").await.unwrap();
            drop(database);
            let path = folder.path().join("d.sqlite");
            let file = Connection::open(&path).unwrap();
            let schema = || {
                let mut select = file
                    .prepare("SELECT name FROM sqlite_schema ORDER BY name")
                    .unwrap();
                let names = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
                names.collect::<rusqlite::Result<Vec<_>>>().unwrap()
            };
            let whole = schema();
            file.execute_batch(&format!("{lacks}; PRAGMA user_version = {layout}"))
                .unwrap();
            assert_eq!(count(&Database::open(&path).unwrap()), 1);
            assert_eq!(schema(), whole, "layout {layout}");
            file.execute_batch("PRAGMA user_version = 8").unwrap();
            let refused = Database::open(&path).unwrap_err();
            assert!(refused.detail.contains("layout 8"), "{}", refused.detail);
        }
    }

    #[tokio::test]
    async fn what_was_written_is_there_when_the_folder_is_opened_again() {
        let (folder, database) = database();
        insert(&database, "a").await.unwrap();
        let again = Database::open(&folder.path().join("d.sqlite")).unwrap();
        assert_eq!(count(&again), 1);
    }

    /// Runs `writes` in one transaction: the writer is held up until all of them wait.
    async fn together<T>(database: &Database, writes: impl Future<Output = T>) -> T {
        let (go, held) = mpsc::channel::<()>();
        let (_, results, ()) = tokio::join!(
            database.write(move |_| {
                let _ = held.recv();
                Ok(())
            }),
            writes,
            async move { drop(go) }
        );
        results
    }

    #[tokio::test]
    async fn a_panic_fails_its_own_write_and_no_other() {
        let (_folder, database) = database();
        let panics = database.write(|connection| {
            connection
                .execute("INSERT INTO projects VALUES ('half', '{}')", [])
                .map_err(|e| failure(&e))?;
            assert!(connection.is_autocommit(), "this is meant to panic");
            Ok(())
        });
        let (before, panicked, after) = together(&database, async {
            tokio::join!(insert(&database, "a"), panics, insert(&database, "b"))
        })
        .await;
        assert!(before.is_ok() && after.is_ok());
        assert_eq!(panicked.unwrap_err().code, Code::InternalError);
        insert(&database, "c").await.unwrap();
        assert_eq!(count(&database), 3, "a, b and c");
    }

    #[tokio::test]
    async fn when_a_transaction_cannot_begin_its_caller_hears_why() {
        let (folder, database) = database();
        database
            .write(|connection| {
                connection
                    .busy_timeout(std::time::Duration::ZERO)
                    .map_err(|error| failure(&error))
            })
            .await
            .unwrap();
        let other = Connection::open(folder.path().join("d.sqlite")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let refused = insert(&database, "a").await.unwrap_err();
        assert_eq!(refused.code, Code::StorageUnavailable);
        assert!(refused.detail.contains("locked"), "{}", refused.detail);

        other.execute_batch("COMMIT").unwrap();
        insert(&database, "a").await.unwrap();
        assert_eq!(count(&database), 1);
    }

    #[tokio::test]
    async fn nobody_is_told_of_a_success_that_a_full_disk_undid() {
        let (_folder, database) = database();
        insert(&database, "before").await.unwrap();
        let most_pages = async |limit: &'static str| {
            let set = move |connection: &Connection| {
                let pages = format!("PRAGMA max_page_count = {limit}");
                connection
                    .query_row(&pages, [], |_| Ok(()))
                    .map_err(|e| failure(&e))
            };
            database.write(set).await.unwrap();
        };
        let large = || {
            database.write(|connection| {
                connection
                    .execute(
                        "INSERT INTO projects VALUES ('large', hex(zeroblob(1000000)))",
                        [],
                    )
                    .map(|_| ())
                    .map_err(|e| failure(&e))
            })
        };

        // Never below what is there: the next page that is needed is one too many.
        most_pages("1").await;
        let (first, full, last) = together(&database, async {
            tokio::join!(insert(&database, "first"), large(), insert(&database, "last"))
        })
        .await;
        let (undone, full) = (first.unwrap_err(), full.unwrap_err());
        assert!(undone.detail.contains("undone together"), "{}", undone.detail);
        assert!(full.detail.ends_with("full"), "{}", full.detail);
        for failure in [undone, full] {
            assert_eq!(failure.code, Code::StorageUnavailable);
        }
        last.unwrap();
        assert_eq!(count(&database), 2, "before and last");

        most_pages("1000000000").await;
        insert(&database, "first").await.unwrap();
        large().await.unwrap();
        assert_eq!(count(&database), 4, "nothing is lost, and everything works again");
    }
}
