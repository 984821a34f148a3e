//! The thread that writes: whatever comes while a transaction goes to the disk shares the next one.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

use bedrock_diy_core::{Code, Failure, error::Result};
use rusqlite::Connection;
use tokio::runtime::Handle;

use super::failure;

/// More than this many writes in one transaction would make the first one wait for the last.
const GROUP: usize = 1_024;

/// Where this many writes shared a transaction, others are about to come: the next transaction begins no sooner
/// than [`COMMIT_DELAY`] after it, so that more share that one, too. Fewer pages are written and synced for
/// each, and who writes alone never waits. (PostgreSQL calls them `commit_siblings` and `commit_delay`.)
const COMMIT_SIBLINGS: usize = 4;
const COMMIT_DELAY: Duration = Duration::from_micros(500);

/// The thread that writes. Whoever drops it waits until all is written and the file is closed, which folds
/// the write-ahead log into it: a process that ends leaves one file.
pub(super) struct Writer {
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

impl Writer {
    /// A thread that writes with this connection.
    pub(super) fn start(connection: Connection) -> Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || write_groups(&connection, &receiver))
            .map_err(|error| {
                Failure::new(
                    Code::StorageUnavailable,
                    format!("no thread for the database: {error}"),
                )
            })?;
        Ok(Self {
            operations: Some(sender),
            thread: Some(thread),
        })
    }

    /// Has this written, and its caller told.
    pub(super) fn submit<T: Send + 'static>(
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
        let operations = self.operations.as_ref().ok_or_else(stopped)?;
        operations.send(Box::new(operation)).map_err(|_| stopped())
    }
}

/// Takes whatever waits, writes it in one transaction, and tells everybody after the commit.
fn write_groups(connection: &Connection, operations: &Receiver<Box<dyn Operation>>) {
    let mut group = Vec::new();
    let (mut shared, mut ended) = (0, Instant::now());
    // The next group gathers while this one goes to the disk.
    while let Ok(first) = operations.recv() {
        if shared >= COMMIT_SIBLINGS {
            thread::sleep(COMMIT_DELAY.saturating_sub(ended.elapsed()));
        }
        let written = write_group(connection, first, operations, &mut group);
        // Whatever went wrong, an open transaction must not stay: the next one could not begin.
        if written.is_err() && !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
        (shared, ended) = (group.len(), Instant::now());
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

pub(super) fn stopped() -> Failure {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::{
        Database,
        tests::{count, database, insert},
    };

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
