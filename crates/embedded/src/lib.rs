//! Everything on one machine: the ports on `SQLite` (in WAL mode) and files under one data folder, and
//! the engine that runs the state machine file.
//!
//! **Architecture invariants**
//!
//! - One thread writes ([`database`]). It takes whatever waits, writes it in one transaction, and
//!   tells each caller only after the commit has reached the disk (group commit with
//!   `synchronous=FULL`). So nothing counts as done that a power cut could undo.
//! - Texts of up to [`objects::INLINE_BYTES`] lie in the database, larger ones in files that are on
//!   disk before the row that names them.
//! - The engine knows no handler and the handlers know no engine: what runs next is said by
//!   `statemachine/article.asl.json` alone.

mod aside;
mod backoff;
mod bus;
mod clock;
mod concurrency;
mod data_folder;
mod database;
mod deliveries;
pub mod engine;
mod executions;
mod history;
mod hooks;
mod inbox;
mod jobs;
mod memo;
pub mod objects;
mod projects;
mod queue;
mod quota;
mod recent;
mod runs;
mod secrets;
mod sessions;
mod tail;
mod uploads;
mod watches;
mod webhooks;

pub use backoff::Backoff;
pub use bus::EmbeddedBus;
pub use clock::SystemClock;
pub use concurrency::{ConcurrencyLimit, Turns};
pub use data_folder::{DataFolder, DataFolderLock};
pub use database::Database;
pub use deliveries::{DELIVERY_QUEUE, SqliteDeliveries};
pub use executions::{Execution, ExecutionStore, Unreadable};
pub use history::SqliteHistory;
pub use hooks::SqliteHooks;
pub use inbox::{Inbox, InboxFile};
pub use jobs::{JobRow, RowFilter, SqliteJobs};
pub use memo::SqliteMemo;
pub use objects::SqliteObjects;
pub use projects::SqliteProjects;
pub use queue::{DeadLetter, Message, SqliteQueue};
pub use quota::MemoryQuota;
pub use runs::FreshRuns;
pub use secrets::FileSecrets;
pub use tail::Tail;
pub use uploads::{LocalUploads, Upload};
pub use webhooks::{NOTIFY_QUEUE, SqliteWebhooks};
