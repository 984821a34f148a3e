//! How the tables are laid out, and how a data folder of an earlier layout is brought up to date.

use bedrock_diy_core::{Code, Failure, error::Result};
use rusqlite::{Connection, TransactionBehavior};

use super::failure;

const SCHEMA: &str = include_str!("../schema.sql");

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

pub(super) fn prepare(connection: &mut Connection) -> Result<()> {
    let set_up = |connection: &mut Connection| -> rusqlite::Result<i64> {
        // FULL: a commit is on the disk when it returns. The write-ahead log is folded back every
        // 40 MB: seldom enough to write a page once for many changes of it. The cache holds the pages that
        // are written to; not more, because SQLite looks through all of it when a page was split.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 10000;
             PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -8000; PRAGMA temp_store = MEMORY;",
        )?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::{
        Database,
        tests::{count, database, insert},
    };

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
}
