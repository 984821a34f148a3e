use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use bedrock_diy_core::{Code, Failure};

use crate::objects;

/// The folder that holds everything of one machine.
///
/// ```text
/// bedrock-diy.sqlite    projects, cards, jobs, events, memo, queues, short texts
/// objects/ab/abcdef…    longer texts and files, by their SHA-256
/// objects/unfinished/…    those that are being written
/// secrets/…            the secrets of hooks and webhooks, for the folder's owner alone
/// tokens.toml, token   who may ask the API of this machine, and with what its owner does
/// models/              the demo model, once it was fetched
/// inbox/{projectId}/{batch}/…    drop articles here while `bedrock-diy serve` runs
/// lock                  held by the one process that works jobs
/// ```
#[derive(Debug, Clone)]
pub struct DataFolder(PathBuf);

impl DataFolder {
    /// Opens the folder, making it where it is not there.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Failure> {
        let folder = Self(path.into());
        for path in [folder.objects(), folder.inbox()] {
            create(&path).map_err(|error| unusable(&path, &error))?;
        }
        Ok(folder)
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The database file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.0.join("bedrock-diy.sqlite")
    }

    /// Where large objects lie.
    #[must_use]
    pub fn objects(&self) -> PathBuf {
        self.0.join("objects")
    }

    /// Where secrets lie.
    #[must_use]
    pub fn secrets(&self) -> PathBuf {
        self.0.join("secrets")
    }

    /// Where articles are dropped.
    #[must_use]
    pub fn inbox(&self) -> PathBuf {
        self.0.join("inbox")
    }

    /// Takes the right to work jobs: one process a folder. The lock goes with the process, however it
    /// ends; what such a process was writing then is removed.
    ///
    /// Fails with [`Code::InvalidRequest`] where another process has it.
    pub fn lock(&self) -> Result<DataFolderLock, Failure> {
        let path = self.0.join("lock");
        let file = File::create(&path).map_err(|error| unusable(&path, &error))?;
        match file.try_lock() {
            Ok(()) => {
                // Only the lock's holder stores files, and this one has not begun. What stays takes room
                // and does no harm.
                for folder in [self.objects(), self.secrets()] {
                    if let Err(error) = objects::remove_unfinished(&folder) {
                        tracing::warn!(%error, "unfinished files of an earlier process could not be removed");
                    }
                }
                Ok(DataFolderLock(file))
            }
            Err(TryLockError::WouldBlock) => Err(Failure::new(
                Code::InvalidRequest,
                format!(
                    "another bedrock-diy works in {}: wait until it ends, stop it, or choose another folder with --data",
                    self.0.display()
                ),
            )),
            Err(TryLockError::Error(error)) => Err(unusable(&path, &error)),
        }
    }
}

/// The right to work jobs in a data folder; given back when dropped.
#[derive(Debug)]
pub struct DataFolderLock(#[expect(dead_code, reason = "held, not used")] File);

/// Makes a folder and those above it, each of them on the disk when this returns: a power cut may not
/// take a folder away from files that are synced.
fn create(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = match path.parent() {
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
        // The root is there; what else has nothing above it says itself what is wrong with it.
        None => return fs::create_dir(path),
    };
    create(above)?;
    // Another process may be faster.
    fs::create_dir(path).or_else(|error| if path.is_dir() { Ok(()) } else { Err(error) })?;
    objects::sync_folder(above)
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        Code::StorageUnavailable,
        format!("{} can't be used: {error}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_process_was_writing_is_removed_by_the_next_one_that_works() {
        let place = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(place.path().join("a/b")).unwrap();
        let unfinished = folder.objects().join("unfinished");
        fs::create_dir(&unfinished).unwrap();
        fs::create_dir(folder.objects().join("ab")).unwrap();
        let (part, whole) = (unfinished.join("abcd.00000001"), folder.objects().join("ab/abcd"));
        let lock = folder.lock().unwrap();
        fs::write(&part, "half of").unwrap();
        fs::write(&whole, "half of it is not all").unwrap();

        let second = DataFolder::open(folder.path()).unwrap();
        assert_eq!(second.lock().unwrap_err().code, Code::InvalidRequest);
        assert!(part.exists(), "whoever does not work touches nothing");
        drop(lock);
        let _lock = second.lock().unwrap();
        assert!(!part.exists() && whole.exists());
    }
}
