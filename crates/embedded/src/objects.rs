//! Objects: short ones in the database, long ones in files named by their hash.

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bedrock_diy_core::{
    Code, Failure,
    article::{Bucket, ObjectRef},
    error::Result,
    ports::Objects,
    text::sha256_hex,
};
use rusqlite::{Connection, OptionalExtension};

use crate::{
    database::{Database, failure},
    recent::RecentObjects,
};

/// Up to this size an object lies in the database, where it is written and synced together with
/// everything else; `SQLite` reads blobs of this size faster than a file system opens files
/// (sqlite.org/fasterthanfs.html: below about 100 kB).
pub const INLINE_BYTES: usize = 64 * 1024;

/// Objects in `SQLite` and files.
#[derive(Debug, Clone)]
pub struct SqliteObjects {
    database: Database,
    files: Arc<PathBuf>,
    synced: SyncedFolders,
    folders: Folders,
    recent: RecentObjects,
}

/// Folders of files whose own names are known to be on the disk: each is synced into the folder above
/// it once a process, since an earlier one may have died before it did that.
type SyncedFolders = Arc<Mutex<HashSet<PathBuf>>>;

/// Numbers of key folders that were looked up lately; a number never changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Folders(Arc<Mutex<HashMap<(Bucket, String), i64>>>);

/// Where an object's bytes are to lie, decided before the row is written.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// In the row.
    Inline(Arc<[u8]>),
    /// In this file, on the disk already.
    File { name: String, size: usize },
}

impl SqliteObjects {
    /// On this database, with long objects in files under `files`.
    #[must_use]
    pub fn new(database: Database, files: PathBuf) -> Self {
        Self {
            database,
            files: Arc::new(files),
            synced: SyncedFolders::default(),
            folders: Folders::default(),
            recent: RecentObjects::default(),
        }
    }

    /// Makes the bytes ready to be named by a row: long ones are in a file and on the disk when this
    /// returns.
    pub(crate) async fn body(&self, bytes: Vec<u8>) -> Result<Body> {
        if bytes.len() <= INLINE_BYTES {
            return Ok(Body::Inline(bytes.into()));
        }
        let (files, synced) = (Arc::clone(&self.files), Arc::clone(&self.synced));
        blocking(move || {
            let name = sha256_hex(&bytes);
            store_file(&files, &synced, &name, &bytes).map_err(|error| {
                Failure::new(
                    Code::StorageUnavailable,
                    format!("an object can't be stored in {}: {error}", files.display()),
                )
            })?;
            Ok(Body::File {
                name,
                size: bytes.len(),
            })
        })
        .await
    }

    /// The folders' numbers, for writes that put an object along with other rows.
    pub(crate) fn folders(&self) -> Folders {
        self.folders.clone()
    }

    /// Keeps a stage's output and its folder's number in memory, now that they are stored: the next stage reads
    /// the one and writes into the other.
    pub(crate) fn keep_recent(&self, object: &ObjectRef, body: &Body, folder: i64) {
        self.folders.keep(object.bucket, split_key(&object.key).0, folder);
        if let Body::Inline(bytes) = body {
            self.recent.keep(object, Arc::clone(bytes));
        }
    }

    async fn read_file(&self, name: String, object: &ObjectRef) -> Result<Vec<u8>> {
        let path = file_path(&self.files, &name);
        let key = object.key.clone();
        blocking(move || {
            fs::read(&path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => not_found(&key),
                _ => Failure::new(Code::StorageUnavailable, format!("{key} can't be read: {error}")),
            })
        })
        .await
    }
}

#[async_trait]
impl Objects for SqliteObjects {
    async fn put(&self, bucket: Bucket, key: &str, bytes: Vec<u8>) -> Result<ObjectRef> {
        // A version is what was put: the same bytes under the same key are the same version, so that
        // a file which is dropped twice is one article.
        let version = (bucket == Bucket::Articles).then(|| sha256_hex(&bytes)[..32].to_owned());
        let object = ObjectRef {
            bucket,
            key: key.to_owned(),
            version,
            size: bytes.len() as u64,
        };
        let body = self.body(bytes).await?;
        let (folders, stored) = (self.folders(), object.clone());
        self.database
            .write(move |connection| put(connection, &folders, &stored, &body).map(|_| ()))
            .await?;
        Ok(object)
    }

    async fn get(&self, object: &ObjectRef) -> Result<Vec<u8>> {
        if let Some(bytes) = self.recent.get(object) {
            return Ok(bytes.to_vec());
        }
        let (folder, name) = split_key(&object.key);
        let row = self.database.read(|connection| {
            let Some(folder) = self.folders.find(connection, object.bucket, folder)? else {
                return Ok(None);
            };
            connection
                .prepare_cached(
                    "SELECT bytes, file FROM objects WHERE folder = ?1 AND name = ?2 AND version = ?3",
                )
                .and_then(|mut select| {
                    let version = object.version.as_deref().unwrap_or_default();
                    select
                        .query_row((folder, name, version), |row| {
                            Ok((
                                row.get::<_, Option<Vec<u8>>>(0)?,
                                row.get::<_, Option<String>>(1)?,
                            ))
                        })
                        .optional()
                })
                .map_err(|error| failure(&error))
        })?;
        match row {
            Some((Some(bytes), _)) => {
                // What has no version could have been replaced since it was read here.
                if object.version.is_some() {
                    self.recent.keep(object, bytes.as_slice().into());
                }
                Ok(bytes)
            }
            Some((None, Some(file))) => self.read_file(file, object).await,
            _ => Err(not_found(&object.key)),
        }
    }
}

/// Writes an object's row within a transaction, and returns its folder's number.
pub(crate) fn put(
    connection: &Connection,
    folders: &Folders,
    object: &ObjectRef,
    body: &Body,
) -> Result<i64> {
    let (folder, name) = split_key(&object.key);
    let folder = folders.number(connection, object.bucket, folder)?;
    let (size, bytes, file) = match body {
        Body::Inline(bytes) => (bytes.len(), Some(bytes), None),
        Body::File { name, size } => (*size, None, Some(name)),
    };
    connection
        .prepare_cached(
            "INSERT INTO objects (folder, name, version, size, bytes, file) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (folder, name, version) DO UPDATE SET size = excluded.size, bytes = excluded.bytes, file = excluded.file",
        )
        .and_then(|mut insert| {
            insert.execute((
                folder,
                name,
                object.version.as_deref().unwrap_or_default(),
                size,
                bytes,
                file,
            ))
        })
        .map(|_| folder)
        .map_err(|error| failure(&error))
}

impl Folders {
    /// More than these and the table is asked again: it is a cache, not a copy.
    const KEPT: usize = 4_096;

    fn find(&self, connection: &Connection, bucket: Bucket, path: &str) -> Result<Option<i64>> {
        if let Some(number) = self.recent(bucket, path) {
            return Ok(Some(number));
        }
        let number = select_folder(connection, bucket, path)?;
        if let Some(number) = number {
            self.keep(bucket, path, number);
        }
        Ok(number)
    }

    /// The folder's number, made where there is none, within a transaction. Not remembered here: the
    /// transaction may yet fail.
    pub(crate) fn number(&self, connection: &Connection, bucket: Bucket, path: &str) -> Result<i64> {
        if let Some(number) = self.recent(bucket, path) {
            return Ok(number);
        }
        if let Some(number) = select_folder(connection, bucket, path)? {
            return Ok(number);
        }
        connection
            .prepare_cached("INSERT INTO folders (bucket, path) VALUES (?1, ?2)")
            .and_then(|mut insert| insert.insert((bucket.as_str(), path)))
            .map_err(|error| failure(&error))
    }

    fn recent(&self, bucket: Bucket, path: &str) -> Option<i64> {
        self.kept().get(&(bucket, path.to_owned())).copied()
    }

    fn keep(&self, bucket: Bucket, path: &str, number: i64) {
        let mut kept = self.kept();
        if kept.len() >= Self::KEPT {
            kept.clear();
        }
        kept.insert((bucket, path.to_owned()), number);
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<(Bucket, String), i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn select_folder(connection: &Connection, bucket: Bucket, path: &str) -> Result<Option<i64>> {
    connection
        .prepare_cached("SELECT folder FROM folders WHERE bucket = ?1 AND path = ?2")
        .and_then(|mut select| {
            select
                .query_row((bucket.as_str(), path), |row| row.get(0))
                .optional()
        })
        .map_err(|error| failure(&error))
}

/// A key's folder and its name therein.
pub(crate) fn split_key(key: &str) -> (&str, &str) {
    key.rsplit_once('/').unwrap_or(("", key))
}

/// The key of a name in a folder.
pub(crate) fn join_key(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        [folder, name].join("/")
    }
}

fn file_path(files: &Path, name: &str) -> PathBuf {
    files.join(&name[..2.min(name.len())]).join(name)
}

/// Where a file lies until it is whole.
pub(crate) const UNFINISHED: &str = "unfinished";

/// Stores a file so that it is whole or not there, also after a power cut: written elsewhere, synced,
/// renamed, and the folder synced.
fn store_file(files: &Path, synced: &SyncedFolders, name: &str, bytes: &[u8]) -> io::Result<()> {
    let path = file_path(files, name);
    let folder = path.parent().unwrap_or(files);
    fs::create_dir_all(folder)?;
    let known = || synced.lock().unwrap_or_else(PoisonError::into_inner);
    if !known().contains(folder) {
        sync_folder(files)?;
        known().insert(folder.to_owned());
    }
    if fs::metadata(&path).is_ok_and(|found| found.len() == bytes.len() as u64) {
        // It was synced before it got this name; whoever named it may have died before the name was.
        return sync_folder(folder);
    }
    let unfinished = files.join(UNFINISHED);
    fs::create_dir_all(&unfinished)?;
    let part = unfinished.join(format!("{name}.{:08x}", rand::random::<u32>()));
    let written = (|| {
        let mut file = fs::File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, &path)?;
        sync_folder(folder)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}

/// Removes what processes that have died were writing. Only for whoever holds the data folder's lock
/// and has not begun to write: nobody else stores files.
pub(crate) fn remove_unfinished(files: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(files.join(UNFINISHED)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        fs::remove_file(entry?.path())?;
    }
    Ok(())
}

/// Puts a folder's entries on the disk: a file's own sync does not.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

fn not_found(key: &str) -> Failure {
    Failure::new(Code::ArticleNotFound, format!("{key} is not there"))
}

/// Runs file work where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::new(Code::InternalError, format!("file work ended early: {error}")))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![folder.to_owned()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    found.push(path);
                }
            }
        }
        found
    }

    #[tokio::test]
    async fn long_objects_of_the_same_bytes_are_one_file_and_leave_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("d.sqlite")).unwrap();
        let place = folder.path().join("objects");
        let bytes = vec![7; INLINE_BYTES + 1];
        for _ in 0..2 {
            // A new process each time: it knows nothing of what is synced.
            let objects = SqliteObjects::new(database.clone(), place.clone());
            let first = objects.put(Bucket::Articles, "a/1", bytes.clone()).await.unwrap();
            let second = objects.put(Bucket::Articles, "a/2", bytes.clone()).await.unwrap();
            assert_eq!(objects.get(&first).await.unwrap(), bytes);
            assert_eq!(objects.get(&second).await.unwrap(), bytes);
        }
        assert_eq!(files(&place), [file_path(&place, &sha256_hex(&bytes))]);
    }
}
