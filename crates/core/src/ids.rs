//! Names of things: what they may look like, and where they come from.

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};
use ulid::Ulid;

use crate::error::{Code, Failure, Result};

/// Declares a string id that is checked when it is made and when it is read. Clones share the string: jobs,
/// events and records carry the same ids about.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes the id. Fails with [`Code::InvalidRequest`], saying what is allowed.
            pub fn new(id: impl Into<String>) -> Result<Self> {
                let id = id.into();
                match $check(&id) {
                    Ok(()) => Ok(Self(id.into())),
                    Err(rule) => Err(Failure::new(
                        Code::InvalidRequest,
                        format!("{:?} can't be a {}: it {rule}", shortened(&id), $what),
                    )),
                }
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Failure;

            fn try_from(id: String) -> Result<Self> {
                Self::new(id)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.as_str().to_owned()
            }
        }

        impl std::str::FromStr for $name {
            type Err = Failure;

            fn from_str(id: &str) -> Result<Self> {
                Self::new(id)
            }
        }
    };
}

id!(
    /// Names a project: lower-case letters, digits and hyphens, so that it can stand in an S3 key, a
    /// folder's name and an address without any escaping.
    ProjectId,
    "project id",
    slug
);
id!(
    /// Names a prompt card within its project. Also its name in templates
    /// (`stages.<name>.output`; a hyphen is written as an underscore there).
    PromptId,
    "prompt id",
    slug
);
id!(
    /// Names a batch within its project: the S3 folder that the articles came in, or the upload.
    BatchId,
    "batch id",
    folder_name
);
id!(
    /// Names a chat conversation.
    SessionId,
    "session id",
    folder_name
);
id!(
    /// Names a job: 26 characters of Crockford's base 32, as a ULID.
    JobId,
    "job id",
    ulid_text
);
id!(
    /// Names an inbound hook, and is the last part of its address: 26 characters of Crockford's base 32, as a ULID.
    HookId,
    "hook id",
    ulid_text
);
id!(
    /// Names an outbound webhook: 26 characters of Crockford's base 32, as a ULID.
    WebhookId,
    "webhook id",
    ulid_text
);
id!(
    /// Names a delivery to a webhook, and is its `webhook-id` there: 26 characters of Crockford's base 32, as a ULID.
    /// Later ones come later in the order of their ids.
    DeliveryId,
    "delivery id",
    ulid_text
);

impl JobId {
    /// The job of an article dropped in the inbox: the same object version is the same job, however
    /// often it is delivered. `record` counts the articles of a JSON Lines file from 0.
    #[must_use]
    pub fn of_drop(project: &ProjectId, key: &str, version: &str, record: Option<usize>) -> Self {
        let record = record.map(|index| index.to_string());
        Self::derived(&[
            "drop",
            project.as_str(),
            key,
            version,
            record.as_deref().unwrap_or(""),
        ])
    }

    /// The job of a submission that carries an idempotency key.
    #[must_use]
    pub fn of_submission(caller: &str, project: &ProjectId, idempotency_key: &str) -> Self {
        Self::derived(&["submission", caller, project.as_str(), idempotency_key])
    }

    /// The job that tries a failed or cancelled one again. Two clicks on "retry" are one retry.
    #[must_use]
    pub fn of_retry(job: &Self) -> Self {
        Self::derived(&["retry", job.as_str()])
    }

    /// The job that runs the article of another one again with a pipeline revision: of one, once.
    #[must_use]
    pub fn of_rerun(job: &Self, pipeline: &str) -> Self {
        Self::derived(&["rerun", job.as_str(), pipeline])
    }

    /// A job id that nobody can derive, for submissions without an idempotency key.
    #[must_use]
    pub fn fresh(now: crate::time::Timestamp, randomness: u128) -> Self {
        Self(fresh(now, randomness))
    }

    fn derived(parts: &[&str]) -> Self {
        Self(Ulid::from(digest(parts)).to_string().into())
    }
}

/// The first 128 bits of SHA-256 over the parts, each with its length in front, so that no two
/// different lists of parts read the same.
fn digest(parts: &[&str]) -> u128 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let mut bits = [0; 16];
    bits.copy_from_slice(&digest[..16]);
    u128::from_be_bytes(bits)
}

impl HookId {
    /// An id that nobody else has: 80 bits of it are the randomness's.
    #[must_use]
    pub fn fresh(now: crate::time::Timestamp, randomness: u128) -> Self {
        Self(fresh(now, randomness))
    }
}

impl WebhookId {
    /// An id that nobody else has: 80 bits of it are the randomness's.
    #[must_use]
    pub fn fresh(now: crate::time::Timestamp, randomness: u128) -> Self {
        Self(fresh(now, randomness))
    }
}

impl DeliveryId {
    /// The delivery of an event to a webhook: the same one, however often the event is heard of.
    #[must_use]
    pub fn of(webhook: &WebhookId, event: &str, at: crate::time::Timestamp) -> Self {
        Self(fresh(at, digest(&["delivery", webhook.as_str(), event])))
    }

    /// An id that nobody can derive.
    #[must_use]
    pub fn fresh(now: crate::time::Timestamp, randomness: u128) -> Self {
        Self(fresh(now, randomness))
    }
}

fn fresh(now: crate::time::Timestamp, randomness: u128) -> Arc<str> {
    let millis = u64::try_from(now.millis()).unwrap_or(0);
    Ulid::from_parts(millis, randomness).to_string().into()
}

/// The id that a human name suggests: `Élan & Co. 2026` becomes `lan-co-2026`.
#[must_use]
pub fn slug_of(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(MAX_SLUG);
    slug.trim_end_matches('-').to_owned()
}

const MAX_SLUG: usize = 64;
const MAX_FOLDER_NAME: usize = 255;

fn slug(id: &str) -> std::result::Result<(), &'static str> {
    let fits = !id.is_empty()
        && id.len() <= MAX_SLUG
        && id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !id.starts_with('-')
        && !id.ends_with('-');
    fits.then_some(())
        .ok_or("must be 1 to 64 lower-case letters, digits and inner hyphens")
}

fn folder_name(id: &str) -> std::result::Result<(), &'static str> {
    let fits = !id.is_empty()
        && id.len() <= MAX_FOLDER_NAME
        && id != "."
        && id != ".."
        && !id.contains('/')
        && !id.contains('\\')
        && !id.chars().any(char::is_control);
    fits.then_some(())
        .ok_or("must be 1 to 255 bytes without slashes and control characters")
}

fn ulid_text(id: &str) -> std::result::Result<(), &'static str> {
    Ulid::from_string(id)
        .map(|_| ())
        .map_err(|_| "must be 26 characters of Crockford's base 32")
}

/// Enough of an id to recognise it, however long the nonsense is that was sent for one.
fn shortened(id: &str) -> String {
    const SHOWN: usize = 80;
    match id.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &id[..end]),
        None => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn project(id: &str) -> ProjectId {
        ProjectId::new(id).unwrap()
    }

    #[test]
    fn one_object_version_is_one_job() {
        let a = JobId::of_drop(&project("p"), "inbox/p/b/a.txt", "v1", None);
        assert_eq!(a, JobId::of_drop(&project("p"), "inbox/p/b/a.txt", "v1", None));
        assert_ne!(a, JobId::of_drop(&project("p"), "inbox/p/b/a.txt", "v2", None));
        assert_ne!(a, JobId::of_drop(&project("p"), "inbox/p/b/a.txt", "v1", Some(0)));
    }

    #[test]
    fn a_bad_id_is_named_and_the_rule_said() {
        let failure = ProjectId::new("../etc").unwrap_err();
        assert_eq!(failure.code, Code::InvalidRequest);
        assert!(failure.detail.contains("../etc") && failure.detail.contains("lower-case"));
    }

    proptest! {
        #[test]
        fn different_parts_never_derive_the_same_job(a in ".{0,12}", b in ".{0,12}", c in ".{0,12}", d in ".{0,12}") {
            let one = JobId::of_submission(&a, &project("p"), &b);
            let other = JobId::of_submission(&c, &project("p"), &d);
            prop_assert_eq!(one == other, (a, b) == (c, d));
        }

        #[test]
        fn every_derived_job_id_is_a_valid_one(key in ".*", version in ".*") {
            let id = JobId::of_drop(&project("p"), &key, &version, None);
            prop_assert!(JobId::new(id.as_str()).is_ok());
        }

        #[test]
        fn a_slug_of_anything_is_a_valid_id_or_empty(name in ".*") {
            let slug = slug_of(&name);
            prop_assert!(slug.is_empty() || ProjectId::new(slug).is_ok());
        }
    }
}
