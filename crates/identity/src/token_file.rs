//! Tokens of one machine's own, in a file.

mod entries;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use bedrock_diy_core::{
    Code, Failure,
    access::{Caller, Role},
    text::sha256_hex,
};
use parking_lot::{Mutex, RwLock};
use subtle::{Choice, ConstantTimeEq as _};
use tokio::time::Instant;

use self::entries::{Loaded, check_name, gone};
use crate::{
    Identity, Refused,
    private_file::{self, Stamp, unusable},
};

pub use self::entries::{NewToken, TokenEntry};

/// The name of the token that a machine's own tools use: an admin's.
pub const LOCAL: &str = "local";

/// How long the file is taken for unchanged. Asking for its metadata costs more than all the rest of
/// telling who somebody is.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Longer than any token that was made here; what is longer is not worth hashing.
const LONGEST_TOKEN: usize = 128;

/// Who may use `bedrock-diy serve` on one machine.
///
/// Two files, each for its owner alone (mode 600; on Unix one that is open to others is refused):
///
/// ```text
/// tokens.toml    name, role and SHA-256 of every token
/// token          the token named `local`, as it is
/// ```
///
/// A token is shown once, when it is made. The one exception is `local`, an admin's, which is made with
/// the file: the command line must find it without asking anybody ([`local_token`]). It gives nobody
/// more than they have, for whoever can read the owner's files can read and change the data folder
/// itself. Whoever wants it gone removes the entry; it is not made again.
///
/// A token is 256 random bits: a fast hash is enough where nothing can be guessed.
///
/// A changed file counts within a second, without a restart, and one that can't be read any more lets
/// nobody in.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    loaded: RwLock<Loaded>,
    /// When the file was last found to be as it was loaded.
    looked: Mutex<Option<Instant>>,
}

impl TokenFile {
    /// Opens the file, or makes it with the token [`LOCAL`], and the file `token` beside it; the folder must
    /// be there. `randomness` is what a new token is made of: draw it from a cryptographic source.
    ///
    /// Fails with [`Code::InvalidRequest`] where the file is open to others or says nothing sensible,
    /// with [`Code::StorageUnavailable`] where it can't be used at all.
    pub fn open_or_create(
        path: impl Into<PathBuf>,
        randomness: [u8; 32],
    ) -> Result<(Self, Option<NewToken>), Failure> {
        let path = path.into();
        if let Some(loaded) = Loaded::read(&path)? {
            return Ok((Self::new(path, loaded), None));
        }
        // First the token, then the file that makes it count: whoever dies between the two leaves a token
        // that opens nothing, and the next one replaces it.
        let made = NewToken::make(LOCAL, Role::Admin, randomness);
        private_file::write(&beside(&path), &format!("{}\n", made.token))?;
        let loaded = Loaded::write(&path, vec![made.entry()])?;
        Ok((Self::new(path, loaded), Some(made)))
    }

    fn new(path: PathBuf, loaded: Loaded) -> Self {
        Self {
            path,
            loaded: RwLock::new(loaded),
            looked: Mutex::default(),
        }
    }

    /// The tokens' names and roles, in the file's order.
    pub fn entries(&self) -> Result<Vec<TokenEntry>, Failure> {
        self.reload()?;
        Ok(self.loaded.read().entries.clone())
    }

    /// Makes a token. One by the name [`LOCAL`] is also written where the command line finds it.
    /// `randomness` is what it is made of: draw it from a cryptographic source.
    ///
    /// Fails with [`Code::InvalidRequest`] where the name is empty, too long, or taken.
    pub fn add(&self, name: &str, role: Role, randomness: [u8; 32]) -> Result<NewToken, Failure> {
        check_name(name)?;
        self.reload()?;
        let mut loaded = self.loaded.write();
        if loaded.entries.iter().any(|entry| entry.name == name) {
            return Err(Failure::new(
                Code::InvalidRequest,
                format!(
                    "there is a token by the name `{name}` already: remove it first, or choose another name"
                ),
            ));
        }
        let made = NewToken::make(name, role, randomness);
        if name == LOCAL {
            private_file::write(&beside(&self.path), &format!("{}\n", made.token))?;
        }
        let mut entries = loaded.entries.clone();
        entries.push(made.entry());
        *loaded = Loaded::write(&self.path, entries)?;
        Ok(made)
    }

    /// Removes a token: it is refused here at once, and within a second by whoever else has the file open.
    /// Tells whether there was one of that name.
    pub fn remove(&self, name: &str) -> Result<bool, Failure> {
        self.reload()?;
        let mut loaded = self.loaded.write();
        let mut entries = loaded.entries.clone();
        entries.retain(|entry| entry.name != name);
        if entries.len() == loaded.entries.len() {
            return Ok(false);
        }
        *loaded = Loaded::write(&self.path, entries)?;
        if name == LOCAL {
            let plain = beside(&self.path);
            private_file::remove(&plain).map_err(|error| unusable(&plain, &error))?;
        }
        Ok(true)
    }

    /// Reads the file again where it has changed, and looks for that now and then.
    fn look(&self) -> Result<(), Failure> {
        let mut looked = self.looked.lock();
        if looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return Ok(());
        }
        // Where this fails, the next caller looks again.
        *looked = None;
        self.reload()?;
        *looked = Some(Instant::now());
        Ok(())
    }

    /// Reads the file again where it has changed.
    fn reload(&self) -> Result<(), Failure> {
        if Stamp::of(&self.path)? == self.loaded.read().stamp {
            return Ok(());
        }
        *self.loaded.write() = Loaded::read(&self.path)?.ok_or_else(|| gone(&self.path))?;
        Ok(())
    }
}

#[async_trait]
impl Identity for TokenFile {
    async fn caller(&self, token: &str) -> Result<Caller, Refused> {
        if token.len() > LONGEST_TOKEN {
            return Err(unknown());
        }
        let hash = sha256_hex(token.as_bytes());
        // A few microseconds of waiting for the disk's cache: less than handing it to another thread.
        self.look().map_err(unreadable)?;
        if let Some(caller) = self.loaded.read().caller(&hash) {
            return Ok(caller);
        }
        // It may have been made a moment ago.
        self.reload().map_err(unreadable)?;
        self.loaded.read().caller(&hash).ok_or_else(unknown)
    }
}

impl Loaded {
    /// Whose token has this hash. Every entry is compared, and all of it: how long it takes tells nothing about
    /// what is there.
    fn caller(&self, hash: &str) -> Option<Caller> {
        let mut found = None;
        for entry in &self.entries {
            let same: Choice = entry.sha256.as_bytes().ct_eq(hash.as_bytes());
            if bool::from(same) {
                found = Some(entry);
            }
        }
        found.map(|entry| Caller {
            subject: entry.name.clone(),
            name: entry.name.clone(),
            role: entry.role,
        })
    }
}

fn unknown() -> Refused {
    Refused::invalid("the token is not one of this server's")
}

/// Where the file lies is nothing for callers.
#[expect(clippy::needless_pass_by_value, reason = "it is what an error is mapped with")]
fn unreadable(failure: Failure) -> Refused {
    tracing::error!(error = %failure.detail, "the token file can't be read, and nobody is let in");
    Refused::Unavailable("the server can't read its token file: its log says why".into())
}

/// The token [`LOCAL`] of the token file at `path`, for tools that talk to this machine; nothing where
/// there is none (yet).
///
/// Fails with [`Code::InvalidRequest`] where others could read it too.
pub fn local_token(path: &Path) -> Result<Option<String>, Failure> {
    let text = private_file::read(&beside(path))?;
    Ok(text
        .map(|(text, _)| text.trim().to_owned())
        .filter(|token| !token.is_empty()))
}

/// Where the token [`LOCAL`] lies: next to the token file.
fn beside(path: &Path) -> PathBuf {
    path.with_file_name("token")
}
