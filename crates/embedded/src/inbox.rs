use std::{
    collections::HashMap,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use bedrock_diy_core::{Class, Failure, error::Result};

use crate::database::{Database, failure};

/// The inbox folder: `inbox/{projectId}/{batch}/…`, watched as S3 watches the bucket.
///
/// S3 shows an object when it is whole; a folder shows a file while it is still being copied. A file
/// therefore counts as dropped when two looks, some time apart, found it the same.
///
/// Links are not followed: one may lead out of the inbox, or back up. What can't be taken (a link, a
/// folder or a file that can't be read) is left alone, said once, and looked at again and again.
#[derive(Debug)]
pub struct Inbox {
    folder: PathBuf,
    database: Database,
    taken: HashMap<String, Shape>,
    seen: HashMap<String, Shape>,
    left_alone: HashMap<String, LeftAlone>,
    told: HashMap<String, Trouble>,
}

/// A file that could not be taken, and why.
#[derive(Debug)]
struct LeftAlone {
    shape: Shape,
    failure: Failure,
}

/// Why something in the inbox holds no article.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trouble {
    Unreadable(String),
    Link,
    NoFile,
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
            left_alone: HashMap::new(),
            told: HashMap::new(),
        })
    }

    /// Looks once: the files that are new or changed, and were the same at the last look.
    pub fn look(&mut self) -> Vec<InboxFile> {
        let mut found = Found::default();
        // The folder itself is always there, unless somebody took it away.
        if let Err(error) = found.read(&self.folder, "inbox") {
            found.trouble("inbox", Trouble::Unreadable(error.to_string()));
        }
        let mut seen = HashMap::new();
        let mut whole = Vec::new();
        for file in found.files {
            let shape = file.shape();
            if self.taken.get(&file.key) == Some(&shape) {
                continue;
            }
            seen.insert(file.key.clone(), shape);
            if self.seen.get(&file.key) == Some(&shape) {
                whole.push(file);
            }
        }
        self.left_alone.retain(|key, _| seen.contains_key(key));
        self.seen = seen;
        for (key, trouble) in &found.troubles {
            if self.told.get(key) != Some(trouble) {
                trouble.tell(key);
            }
        }
        self.told = found.troubles;
        whole
    }

    /// Whether something was seen that is not taken yet and may be, without anybody doing anything about
    /// it.
    #[must_use]
    pub fn is_expecting(&self) -> bool {
        self.seen.iter().any(|(key, shape)| {
            !self
                .left_alone
                .get(key)
                .is_some_and(|left| left.shape == *shape && left.failure.code.class() == Class::Terminal)
        })
    }

    /// Remembers that a file was taken, durably.
    pub async fn take(&mut self, file: &InboxFile) -> Result<()> {
        let (key, shape) = (file.key.clone(), file.shape());
        self.database
            .write(move |connection| {
                connection
                    .execute(
                        "INSERT INTO inbox_files VALUES (?1, ?2, ?3)
                         ON CONFLICT DO UPDATE SET size = excluded.size, modified = excluded.modified",
                        (&key, shape.size, shape.modified),
                    )
                    .map(|_| ())
                    .map_err(|error| failure(&error))
            })
            .await?;
        self.taken.insert(file.key.clone(), shape);
        self.seen.remove(&file.key);
        self.left_alone.remove(&file.key);
        Ok(())
    }

    /// Remembers that a file could not be taken, and says so once. It is tried again at every look: it
    /// may yet be made readable.
    pub fn leave_alone(&mut self, file: &InboxFile, failure: Failure) {
        if self.is_news(file, &failure) {
            tracing::warn!(key = %file.key, error = %failure, "a file in the inbox is left alone for now");
        }
        let shape = file.shape();
        self.left_alone
            .insert(file.key.clone(), LeftAlone { shape, failure });
    }

    fn is_news(&self, file: &InboxFile, failure: &Failure) -> bool {
        let shape = file.shape();
        !self
            .left_alone
            .get(&file.key)
            .is_some_and(|left| left.shape == shape && left.failure == *failure)
    }
}

impl InboxFile {
    fn shape(&self) -> Shape {
        Shape {
            size: self.size,
            modified: self.modified,
        }
    }
}

impl Trouble {
    fn tell(&self, key: &str) {
        match self {
            Self::Unreadable(error) => {
                tracing::warn!(key, error, "a folder in the inbox can't be read for now");
            }
            Self::Link => {
                tracing::warn!(
                    key,
                    "a link in the inbox is not followed: copy there what it leads to"
                );
            }
            Self::NoFile => tracing::warn!(key, "something in the inbox is neither a file nor a folder"),
        }
    }
}

/// What editors and browsers call a file that is not finished.
const UNFINISHED: [&str; 3] = ["~", ".part", ".crdownload"];

/// What a look finds.
#[derive(Default)]
struct Found {
    files: Vec<InboxFile>,
    troubles: HashMap<String, Trouble>,
}

impl Found {
    /// Files below a folder. Hidden ones, and what is still being downloaded or edited, are no articles.
    fn walk(&mut self, folder: &Path, key: &str) {
        if let Err(error) = self.read(folder, key) {
            self.stumble(key, &error);
        }
    }

    fn read(&mut self, folder: &Path, key: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = printable(&entry.file_name());
            if name.starts_with('.') || UNFINISHED.iter().any(|ending| name.ends_with(ending)) {
                continue;
            }
            let key = format!("{key}/{name}");
            if let Err(error) = self.enter(&entry, &key) {
                self.stumble(&key, &error);
            }
        }
        Ok(())
    }

    fn enter(&mut self, entry: &fs::DirEntry, key: &str) -> io::Result<()> {
        let kind = entry.file_type()?;
        if kind.is_dir() {
            self.walk(&entry.path(), key);
        } else if kind.is_file() {
            let metadata = entry.metadata()?;
            self.files.push(InboxFile {
                path: entry.path(),
                key: key.to_owned(),
                size: metadata.len(),
                modified: modified(&metadata),
            });
        } else {
            let trouble = if kind.is_symlink() {
                Trouble::Link
            } else {
                Trouble::NoFile
            };
            self.trouble(key, trouble);
        }
        Ok(())
    }

    fn trouble(&mut self, key: &str, trouble: Trouble) {
        self.troubles.insert(key.to_owned(), trouble);
    }

    fn stumble(&mut self, key: &str, error: &io::Error) {
        // Gone since it was listed: the next look will not see it either.
        if error.kind() != io::ErrorKind::NotFound {
            self.trouble(key, Trouble::Unreadable(error.to_string()));
        }
    }
}

/// A name as part of a key. Bytes that are no UTF-8 are escaped, so that two such names do not become
/// one.
fn printable(name: &OsStr) -> String {
    match name.to_str() {
        Some(text) => text.to_owned(),
        None => name.as_encoded_bytes().escape_ascii().to_string(),
    }
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
    use bedrock_diy_core::Code;

    use super::*;

    fn inbox(folder: &Path) -> Inbox {
        let database = Database::open(&folder.join("d.sqlite")).unwrap();
        Inbox::open(folder.join("inbox"), database).unwrap()
    }

    fn keys(files: &[InboxFile]) -> Vec<&str> {
        let mut keys: Vec<_> = files.iter().map(|file| file.key.as_str()).collect();
        keys.sort_unstable();
        keys
    }

    #[tokio::test]
    async fn a_file_is_taken_once_when_it_is_whole_and_again_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("d.sqlite")).unwrap();
        let batch = folder.path().join("inbox/news/monday");
        fs::create_dir_all(&batch).unwrap();
        fs::write(batch.join("a b.txt"), "one").unwrap();
        fs::write(batch.join(".hidden"), "no").unwrap();

        let mut inbox = Inbox::open(folder.path().join("inbox"), database.clone()).unwrap();
        assert_eq!(inbox.look(), [], "it may still be growing");
        let whole = inbox.look();
        assert_eq!(
            whole.iter().map(|file| file.key.as_str()).collect::<Vec<_>>(),
            ["inbox/news/monday/a b.txt"]
        );
        inbox.take(&whole[0]).await.unwrap();
        assert_eq!(inbox.look(), []);

        let mut again = Inbox::open(folder.path().join("inbox"), database).unwrap();
        assert_eq!(
            (again.look(), again.look()),
            (vec![], vec![]),
            "a restart takes nothing twice"
        );

        fs::write(batch.join("a b.txt"), "another").unwrap();
        again.look();
        assert_eq!(again.look().len(), 1);
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_read_when_it_can_be() {
        let folder = tempfile::tempdir().unwrap();
        let mut inbox = inbox(folder.path());
        assert_eq!(inbox.look(), []);
        assert!(matches!(inbox.told["inbox"], Trouble::Unreadable(_)));

        fs::create_dir_all(folder.path().join("inbox/news/monday")).unwrap();
        fs::write(folder.path().join("inbox/news/monday/a.txt"), "one").unwrap();
        inbox.look();
        assert_eq!(keys(&inbox.look()), ["inbox/news/monday/a.txt"]);
        assert_eq!(inbox.told, HashMap::new(), "told again if it happens again");
    }

    #[test]
    fn a_folder_that_goes_away_meanwhile_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("no folder"), "text").unwrap();
        let mut found = Found::default();
        found.walk(&folder.path().join("gone"), "inbox/news/gone");
        assert_eq!(found.troubles, HashMap::new());
        found.walk(&folder.path().join("no folder"), "inbox/news/other");
        assert!(matches!(
            found.troubles["inbox/news/other"],
            Trouble::Unreadable(_)
        ));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed_and_names_that_are_no_text_stay_apart() {
        use std::os::unix::{ffi::OsStrExt, fs::symlink};

        let folder = tempfile::tempdir().unwrap();
        let batch = folder.path().join("inbox/news/monday");
        fs::create_dir_all(&batch).unwrap();
        fs::write(folder.path().join("secret"), "outside").unwrap();
        symlink(folder.path().join("secret"), batch.join("link.txt")).unwrap();
        symlink(folder.path().join("inbox"), batch.join("loop")).unwrap();
        for name in [b"\xff.txt", b"\xfe.txt"] {
            fs::write(batch.join(OsStr::from_bytes(name)), "text").unwrap();
        }
        let mut inbox = inbox(folder.path());
        inbox.look();
        assert_eq!(
            keys(&inbox.look()),
            ["inbox/news/monday/\\xfe.txt", "inbox/news/monday/\\xff.txt"]
        );
        assert_eq!(inbox.told.len(), 2);
        assert!(inbox.told.values().all(|trouble| *trouble == Trouble::Link));
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_taken_is_expected_no_more_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let batch = folder.path().join("inbox/news/monday");
        fs::create_dir_all(&batch).unwrap();
        fs::write(batch.join("a.txt"), "one").unwrap();
        let mut inbox = inbox(folder.path());
        inbox.look();
        assert!(inbox.is_expecting());
        let [file] = &inbox.look()[..] else { panic!() };

        let full = Failure::new(Code::StorageUnavailable, "the disk is full");
        inbox.leave_alone(file, full.clone());
        assert!(inbox.is_expecting(), "time may heal that");
        assert!(!inbox.is_news(file, &full));

        let unreadable = Failure::new(Code::UnreadableArticle, "it can't be read");
        assert!(inbox.is_news(file, &unreadable), "another reason");
        inbox.leave_alone(file, unreadable.clone());
        assert!(!inbox.is_expecting());
        assert_eq!(
            keys(&inbox.look()),
            ["inbox/news/monday/a.txt"],
            "it is tried again"
        );
        assert!(!inbox.is_news(file, &unreadable) && !inbox.is_expecting());

        fs::write(batch.join("a.txt"), "another").unwrap();
        inbox.look();
        assert!(inbox.is_expecting(), "somebody did something about it");
        let [changed] = &inbox.look()[..] else { panic!() };
        inbox.take(changed).await.unwrap();
        assert_eq!((inbox.look(), inbox.is_expecting()), (Vec::new(), false));
    }
}
