use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use bedrock_diy_core::error::Result;

use crate::database::{Database, failure};

/// The inbox folder: `inbox/{projectId}/{batch}/…`, watched as S3 watches the bucket.
///
/// S3 shows an object when it is whole; a folder shows a file while it is still being copied. A file
/// therefore counts as dropped when two looks, some time apart, found it the same.
#[derive(Debug)]
pub struct Inbox {
    folder: PathBuf,
    database: Database,
    taken: HashMap<String, Shape>,
    seen: HashMap<String, Shape>,
}

/// A file that lies in the inbox and is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Its key, as the object's in S3 would be.
    pub key: String,
    /// How large it is, in bytes.
    pub size: u64,
    /// When it was last changed, in nanoseconds since the epoch.
    pub modified: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    size: u64,
    modified: i64,
}

impl Inbox {
    /// The inbox in this folder; remembers what was taken from it before.
    pub fn open(folder: PathBuf, database: Database) -> Result<Self> {
        let taken = database.read(|connection| {
            connection
                .prepare_cached("SELECT path, size, modified FROM inbox_files")
                .and_then(|mut select| {
                    select
                        .query_map([], |row| {
                            Ok((
                                row.get(0)?,
                                Shape {
                                    size: row.get(1)?,
                                    modified: row.get(2)?,
                                },
                            ))
                        })?
                        .collect()
                })
                .map_err(|error| failure(&error))
        })?;
        Ok(Self {
            folder,
            database,
            taken,
            seen: HashMap::new(),
        })
    }

    /// Looks once: the files that are new or changed, and were the same at the last look.
    pub fn look(&mut self) -> io::Result<Vec<InboxFile>> {
        let mut found = Vec::new();
        walk(&self.folder, "inbox", &mut found)?;
        let mut seen = HashMap::new();
        let mut whole = Vec::new();
        for file in found {
            let shape = Shape {
                size: file.size,
                modified: file.modified,
            };
            if self.taken.get(&file.key) == Some(&shape) {
                continue;
            }
            seen.insert(file.key.clone(), shape);
            if self.seen.get(&file.key) == Some(&shape) {
                whole.push(file);
            }
        }
        self.seen = seen;
        Ok(whole)
    }

    /// Whether something was seen that is not taken yet.
    #[must_use]
    pub fn is_expecting(&self) -> bool {
        !self.seen.is_empty()
    }

    /// Remembers that a file was taken, durably.
    pub async fn take(&mut self, file: &InboxFile) -> Result<()> {
        let (key, size, modified) = (file.key.clone(), file.size, file.modified);
        self.taken.insert(key.clone(), Shape { size, modified });
        self.seen.remove(&key);
        self.database
            .write(move |connection| {
                connection
                    .execute(
                        "INSERT INTO inbox_files VALUES (?1, ?2, ?3)
                         ON CONFLICT DO UPDATE SET size = excluded.size, modified = excluded.modified",
                        (key, size, modified),
                    )
                    .map(|_| ())
                    .map_err(|error| failure(&error))
            })
            .await
    }
}

/// What editors and browsers call a file that is not finished.
const UNFINISHED: [&str; 3] = ["~", ".part", ".crdownload"];

/// Files below a folder. Hidden ones, and what is still being downloaded or edited, are no articles.
fn walk(folder: &Path, key: &str, found: &mut Vec<InboxFile>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || UNFINISHED.iter().any(|ending| name.ends_with(ending)) {
            continue;
        }
        let key = format!("{key}/{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), &key, found)?;
        } else if kind.is_file() {
            // Gone since it was listed: the next look will not see it either.
            let Ok(metadata) = entry.metadata() else { continue };
            found.push(InboxFile {
                path: entry.path(),
                key,
                size: metadata.len(),
                modified: modified(&metadata),
            });
        }
    }
    Ok(())
}

fn modified(metadata: &fs::Metadata) -> i64 {
    let since = metadata
        .modified()
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_taken_once_when_it_is_whole_and_again_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("d.sqlite")).unwrap();
        let batch = folder.path().join("inbox/news/monday");
        fs::create_dir_all(&batch).unwrap();
        fs::write(batch.join("a b.txt"), "one").unwrap();
        fs::write(batch.join(".hidden"), "no").unwrap();

        let mut inbox = Inbox::open(folder.path().join("inbox"), database.clone()).unwrap();
        assert_eq!(inbox.look().unwrap(), [], "it may still be growing");
        let whole = inbox.look().unwrap();
        assert_eq!(
            whole.iter().map(|file| file.key.as_str()).collect::<Vec<_>>(),
            ["inbox/news/monday/a b.txt"]
        );
        inbox.take(&whole[0]).await.unwrap();
        assert_eq!(inbox.look().unwrap(), []);

        let mut again = Inbox::open(folder.path().join("inbox"), database).unwrap();
        assert_eq!(
            (again.look().unwrap(), again.look().unwrap()),
            (vec![], vec![]),
            "a restart takes nothing twice"
        );

        fs::write(batch.join("a b.txt"), "another").unwrap();
        again.look().unwrap();
        assert_eq!(again.look().unwrap().len(), 1);
    }
}
