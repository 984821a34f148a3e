use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use bedrock_diy_core::{Code, Failure};

/// The folder that holds everything of one machine.
///
/// ```text
/// bedrock-diy.sqlite    projects, cards, jobs, events, memo, queues, short texts
/// objects/ab/abcdef…    longer texts and files, by their SHA-256
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
            fs::create_dir_all(&path).map_err(|error| unusable(&path, &error))?;
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

    /// Where articles are dropped.
    #[must_use]
    pub fn inbox(&self) -> PathBuf {
        self.0.join("inbox")
    }

    /// Takes the right to work jobs: one process a folder. The lock goes with the process, however it
    /// ends.
    ///
    /// Fails with [`Code::InvalidRequest`] where another process has it.
    pub fn lock(&self) -> Result<DataFolderLock, Failure> {
        let path = self.0.join("lock");
        let file = File::create(&path).map_err(|error| unusable(&path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(DataFolderLock(file)),
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

fn unusable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        Code::StorageUnavailable,
        format!("{} can't be used: {error}", path.display()),
    )
}
