//! The tokens of whoever has signed in, in a file for its owner alone.

use std::path::{Path, PathBuf};

use bedrock_diy_core::{Code, Failure, error::Result};
use bedrock_diy_identity::private_file;
use serde::{Deserialize, Serialize};

/// A token that is so near its end, in milliseconds, is not shown any more: it would end on the way.
const MARGIN: i64 = 60 * 1_000;

/// Where the tokens of a profile are kept.
#[derive(Debug, Clone)]
pub(super) struct SignIns(PathBuf);

/// What is kept.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Kept {
    /// Who granted it, and to which client: another profile of the same name has other tokens.
    pub(super) issuer: String,
    pub(super) client_id: String,
    pub(super) access_token: String,
    /// In milliseconds since the Unix epoch.
    pub(super) expires_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token: Option<String>,
}

impl SignIns {
    /// Of this profile, in this folder.
    pub(super) fn of(folder: &Path, profile: &str) -> Self {
        Self(folder.join(format!("{profile}.json")))
    }

    /// What is kept of this issuer and client. What can't be understood counts as nothing: somebody signs in again.
    pub(super) fn read(&self, issuer: &str, client_id: &str) -> Result<Option<Kept>> {
        let text = private_file::text(&self.0)?;
        let kept = text.and_then(|text| serde_json::from_str::<Kept>(&text).ok());
        Ok(kept.filter(|kept| kept.issuer == issuer && kept.client_id == client_id))
    }

    /// Keeps it in place of what was kept.
    pub(super) fn write(&self, kept: &Kept) -> Result<()> {
        let unfit =
            |why: String| Failure::new(Code::StorageUnavailable, format!("{} {why}", self.0.display()));
        let folder = self.0.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|error| unfit(format!("can't be written: {error}")))?;
        let text = serde_json::to_string(kept).map_err(|_| unfit("can't be put together".into()))?;
        private_file::write(&self.0, &text)
    }

    /// Forgets it.
    pub(super) fn remove(&self) -> Result<()> {
        private_file::remove(&self.0).map_err(|error| {
            let detail = format!("{} can't be removed: {error}", self.0.display());
            Failure::new(Code::StorageUnavailable, detail)
        })
    }
}

impl Kept {
    /// Whether the access token is good for another while.
    pub(super) fn is_fresh(&self, now: i64) -> bool {
        now < self.expires_at - MARGIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_its_owner_s_and_of_one_client() {
        let folder = tempfile::tempdir().unwrap();
        let kept = SignIns::of(&folder.path().join("sign-ins"), "work");
        assert!(kept.read("https://x.org", "c").unwrap().is_none());
        let token = Kept {
            issuer: "https://x.org".into(),
            client_id: "c".into(),
            access_token: "a".into(),
            expires_at: 100_000,
            refresh_token: Some("r".into()),
        };
        kept.write(&token).unwrap();
        assert!(kept.read("https://x.org", "other").unwrap().is_none());
        let read = kept.read("https://x.org", "c").unwrap().unwrap();
        assert!(read.is_fresh(39_999) && !read.is_fresh(40_000));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&kept.0).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        kept.remove().unwrap();
        kept.remove().unwrap();
        assert!(kept.read("https://x.org", "c").unwrap().is_none());
    }
}
