//! What is in a token file.

use std::{collections::HashSet, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bedrock_diy_core::{Code, Failure, access::Role, text::sha256_hex};
use serde::{Deserialize, Serialize};

use crate::private_file::{self, Stamp};

/// The longest name of a token, in bytes: it is a subject, and stands in projects and revisions.
const LONGEST_NAME: usize = 100;

const HEAD: &str = "\
# Who may use this machine's API: one entry a token. The tokens themselves are not here, only their
# SHA-256. A change counts within a second. bedrock-diy rewrites this file: comments of your own don't last.
";

/// A token in the file: everything but the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenEntry {
    /// Whose it is: the caller's subject, unique in the file.
    pub name: String,
    /// What its owner may at most.
    pub role: Role,
    /// SHA-256 of the token, in hexadecimal.
    pub sha256: String,
}

/// A token that was just made. This is the only time that it can be seen.
pub struct NewToken {
    /// Whose it is.
    pub name: String,
    /// What its owner may at most.
    pub role: Role,
    /// The token itself: `bd_` and 43 letters, digits, `-` and `_`.
    pub token: String,
}

impl std::fmt::Debug for NewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, role, token: _ } = self;
        write!(f, "NewToken {{ name: {name:?}, role: {role}, token: … }}")
    }
}

/// The file's content, and which state of the file it is.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) stamp: Stamp,
    pub(super) entries: Vec<TokenEntry>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    #[serde(default, rename = "token")]
    tokens: Vec<TokenEntry>,
}

impl NewToken {
    pub(super) fn make(name: &str, role: Role, randomness: [u8; 32]) -> Self {
        Self {
            name: name.to_owned(),
            role,
            token: format!("bd_{}", URL_SAFE_NO_PAD.encode(randomness)),
        }
    }

    pub(super) fn entry(&self) -> TokenEntry {
        TokenEntry {
            name: self.name.clone(),
            role: self.role,
            sha256: sha256_hex(self.token.as_bytes()),
        }
    }
}

impl Loaded {
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Failure> {
        let Some((text, stamp)) = private_file::read(path)? else {
            return Ok(None);
        };
        let wrong = |why: String| Failure::new(Code::InvalidRequest, format!("{}: {why}", path.display()));
        let content: Content = toml::from_str(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            wrong(format!("line {line}: {}", error.message()))
        })?;
        let mut entries = content.tokens;
        let mut names = HashSet::new();
        for entry in &mut entries {
            let name = &entry.name;
            check_name(name).map_err(|failure| wrong(failure.detail))?;
            if !names.insert(name.clone()) {
                return Err(wrong(format!("two tokens have the name `{name}`")));
            }
            if entry.sha256.len() != 64 || !entry.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(wrong(format!(
                    "`sha256` of `{name}` is no SHA-256 in hexadecimal"
                )));
            }
            entry.sha256.make_ascii_lowercase();
        }
        Ok(Some(Self { stamp, entries }))
    }

    pub(super) fn write(path: &Path, entries: Vec<TokenEntry>) -> Result<Self, Failure> {
        let content = Content { tokens: entries };
        let toml = toml::to_string(&content)
            .map_err(|error| Failure::new(Code::InternalError, format!("{}: {error}", path.display())))?;
        private_file::write(path, &format!("{HEAD}\n{toml}"))?;
        // Read again, and not remembered: somebody else may have written it since.
        Self::read(path)?.ok_or_else(|| gone(path))
    }
}

/// Checks that a name can be a subject.
pub(super) fn check_name(name: &str) -> Result<(), Failure> {
    if name.is_empty() || name.len() > LONGEST_NAME || name.trim() != name || name.contains(char::is_control)
    {
        return Err(Failure::new(
            Code::InvalidRequest,
            format!(
                "a token's name has 1 to {LONGEST_NAME} bytes, no control characters, and no space around it"
            ),
        ));
    }
    Ok(())
}

/// Whoever has opened the file before needs it.
pub(super) fn gone(path: &Path) -> Failure {
    Failure::new(
        Code::StorageUnavailable,
        format!(
            "{} is gone: start the server again to make it anew",
            path.display()
        ),
    )
}
