//! Files that only their owner may read.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use bedrock_diy_core::{Code, Failure};

/// Tells one state of a file from another, without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    /// Each [`write`] makes a new file, so that two of them within one tick of the clock differ.
    #[cfg(unix)]
    inode: u64,
    /// Somebody may have opened the file to others since it was read.
    #[cfg(unix)]
    mode: u32,
}

impl Stamp {
    /// The stamp of the file as it is now.
    pub(crate) fn of(path: &Path) -> Result<Self, Failure> {
        let metadata = fs::metadata(path).map_err(|error| unusable(path, &error))?;
        Ok(Self::from_metadata(&metadata))
    }

    fn from_metadata(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;
        Self {
            modified: metadata.modified().ok(),
            bytes: metadata.len(),
            #[cfg(unix)]
            inode: metadata.ino(),
            #[cfg(unix)]
            mode: metadata.mode(),
        }
    }
}

/// Reads a file, or says with `None` that it is not there.
///
/// Fails with [`Code::InvalidRequest`] where others than its owner may read or write it (on Unix; elsewhere
/// the folder's rights are what protects it).
pub(crate) fn read(path: &Path) -> Result<Option<(String, Stamp)>, Failure> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(path, &error)),
    };
    // Of the opened file, not of the path: what is checked is what is read.
    let metadata = file.metadata().map_err(|error| unusable(path, &error))?;
    refuse_what_others_read(path, &metadata)?;
    let mut text = String::new();
    file.read_to_string(&mut text)
        .map_err(|error| unusable(path, &error))?;
    Ok(Some((text, Stamp::from_metadata(&metadata))))
}

/// The text of a file, or nothing where it is not there.
///
/// Fails with [`Code::InvalidRequest`] where others than its owner may read or write it (on Unix).
pub fn text(path: &Path) -> Result<Option<String>, Failure> {
    Ok(read(path)?.map(|(text, _)| text))
}

/// Writes a file for its owner alone: all of it or nothing, on the disk when this returns.
pub fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let unfinished = with_suffix(path, ".unfinished");
    let written = || {
        remove(&unfinished)?;
        let mut options = OpenOptions::new();
        // A new file, never one that somebody has put there for us to fill.
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let mut file = options.open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        sync_folder(path)
    };
    written().map_err(|error| unusable(path, &error))
}

/// Removes a file; that it is not there is as good.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What an I/O error means for whoever needs the file.
pub(crate) fn unusable(path: &Path, error: &io::Error) -> Failure {
    let what = format!("{} can't be used: {error}", path.display());
    Failure::new(Code::StorageUnavailable, what)
}

#[cfg(unix)]
fn refuse_what_others_read(path: &Path, metadata: &Metadata) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt as _;
    let mode = metadata.mode() & 0o777;
    let of_others = mode & 0o077;
    if of_others == 0 {
        return Ok(());
    }
    let path = path.display();
    Err(Failure::new(
        Code::InvalidRequest,
        format!(
            "{path} is open to others than its owner (mode {mode:03o}), and holds what is nobody else's: run `chmod 600 {path}`"
        ),
    ))
}

#[cfg(not(unix))]
fn refuse_what_others_read(_: &Path, _: &Metadata) -> Result<(), Failure> {
    Ok(())
}

/// A renamed file is there after a power cut only when its folder is synced.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
