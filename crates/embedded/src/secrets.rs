//! Secrets as files that nobody but their owner may read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bedrock_diy_core::{
    Code, Failure,
    error::Result,
    hook::Secret,
    ports::{SecretName, Secrets},
};

use crate::objects::{UNFINISHED, blocking, sync_folder};

/// Secrets in a folder, a file a name, as a JSON array of texts.
///
/// On systems other than Unix the files have the rights of the folder that they lie in.
#[derive(Debug, Clone)]
pub struct FileSecrets(Arc<PathBuf>);

impl FileSecrets {
    /// In this folder, which is made when the first one is stored.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self(Arc::new(folder))
    }

    fn path(&self, name: &SecretName) -> PathBuf {
        self.0.join(name.as_str())
    }
}

#[async_trait]
impl Secrets for FileSecrets {
    async fn put(&self, name: &SecretName, secrets: &[Secret]) -> Result<()> {
        let texts: Vec<_> = secrets.iter().map(Secret::reveal).collect();
        // Serde's own words could quote what they are about: here, and wherever secrets are read.
        let json = serde_json::to_vec(&texts).map_err(|_| broken(name))?;
        let (folder, path, name) = (Arc::clone(&self.0), self.path(name), name.clone());
        blocking(move || store(&folder, &path, &json).map_err(|error| unusable(&name, &error))).await
    }

    async fn get(&self, name: &SecretName) -> Result<Vec<Secret>> {
        let (path, name) = (self.path(name), name.clone());
        blocking(move || match fs::read(path) {
            Ok(json) => {
                let texts: Vec<String> = serde_json::from_slice(&json).map_err(|_| broken(&name))?;
                Ok(texts.into_iter().map(Secret::stored).collect())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(unusable(&name, &error)),
        })
        .await
    }

    async fn delete(&self, name: &SecretName) -> Result<()> {
        let (path, name) = (self.path(name), name.clone());
        blocking(move || remove(&path).map_err(|error| unusable(&name, &error))).await
    }
}

/// Stores a file so that it is whole or not there, also after a power cut: written elsewhere, synced, renamed, and
/// its folder synced.
fn store(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = folder.join(UNFINISHED);
    let place = path.parent().unwrap_or(folder);
    make_private(folder)?;
    make_private(&unfinished)?;
    make_private(place)?;
    let part = unfinished.join(format!("{:016x}", rand::random::<u64>()));
    let written = (|| {
        let mut file = private_file(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        sync_folder(place)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => path.parent().map_or(Ok(()), sync_folder),
    }
}

/// A folder for its owner alone, whose own name is on the disk when this returns.
fn make_private(folder: &Path) -> io::Result<()> {
    if !folder.is_dir() {
        fs::create_dir_all(folder)?;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    folder.parent().map_or(Ok(()), sync_folder)
}

/// A new file that has never been open to anybody else.
fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

fn unusable(name: &SecretName, error: &io::Error) -> Failure {
    Failure::new(
        Code::StorageUnavailable,
        format!(
            "the secrets {} of the data folder can't be used: {error}",
            name.as_str()
        ),
    )
}

fn broken(name: &SecretName) -> Failure {
    Failure::new(
        Code::InternalError,
        format!(
            "the file of the secrets {} in the data folder is no list of texts",
            name.as_str()
        ),
    )
}

#[cfg(test)]
mod tests {
    use bedrock_diy_core::{HookId, time::Timestamp};

    use super::*;

    fn name() -> SecretName {
        SecretName::of_hook(&HookId::fresh(Timestamp::from_millis(0), 7))
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn nobody_else_may_read_a_secret_and_nothing_is_left_beside_it() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let secrets = FileSecrets::new(folder.path().join("secrets"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for text in ["the first secret of a hook", "the second secret of a hook"] {
            secrets
                .put(&name(), &[Secret::stored(text.into())])
                .await
                .unwrap();
            assert_eq!(mode(&secrets.path(&name())), 0o600);
        }
        assert_eq!(mode(&folder.path().join("secrets")), 0o700);
        assert_eq!(mode(&folder.path().join("secrets/hooks")), 0o700);
        let unfinished = folder.path().join("secrets").join(UNFINISHED);
        assert_eq!(fs::read_dir(unfinished).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_broken_file_is_named_and_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = FileSecrets::new(folder.path().to_owned());
        secrets.put(&name(), &[]).await.unwrap();
        fs::write(secrets.path(&name()), r#""do not tell anybody""#).unwrap();
        let failure = secrets.get(&name()).await.unwrap_err();
        assert_eq!(failure.code, Code::InternalError);
        assert!(failure.detail.contains(name().as_str()), "{failure}");
        assert!(!failure.detail.contains("tell"), "{failure}");
    }
}
