//! Articles: the text to work on, and where it lies.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Which bucket an object lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bucket {
    /// Articles as they came, and their text.
    Articles,
    /// Stage outputs and results.
    Results,
}

impl Bucket {
    /// The bucket's short name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Articles => "articles",
            Self::Results => "results",
        }
    }
}

/// A claim check: where some text or file lies. What travels in queues, the state machine and events
/// in place of the text itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// The bucket.
    pub bucket: Bucket,
    /// The key in it.
    pub key: String,
    /// The version; `None` in a bucket without versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its size, in bytes.
    pub size: u64,
}

/// An article as a job knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Article {
    /// What its owner calls it: a file name, or a path within its batch.
    pub name: String,
    /// The file as it came.
    pub source: ObjectRef,
    /// Its text in UTF-8: the same object where the file is that already. Known once it is planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<ObjectRef>,
    /// What is known about it.
    #[serde(default)]
    pub meta: ArticleMeta,
}

/// What is known about an article: `meta.*` in templates.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArticleMeta {
    /// Its title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its language, as a BCP 47 tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Its media type, such as `text/html`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Whatever else the submitter said.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub other: Map<String, Value>,
}

/// The key of a stage's output in [`Bucket::Results`].
#[must_use]
pub fn output_key(
    project: &crate::ProjectId,
    job: &crate::JobId,
    stage: u32,
    prompt: &crate::PromptId,
) -> String {
    format!("{project}/{job}/{stage}-{prompt}.txt")
}

/// The key of a job's result document in [`Bucket::Results`].
#[must_use]
pub fn result_key(project: &crate::ProjectId, job: &crate::JobId) -> String {
    format!("{project}/{job}/result.json")
}

/// The key of a submitted article in [`Bucket::Articles`].
#[must_use]
pub fn submitted_key(project: &crate::ProjectId, job: &crate::JobId, name: &str) -> String {
    format!("submitted/{project}/{job}/{name}")
}

/// The project, the batch and the name within it of an object in the inbox
/// (`inbox/{projectId}/{batch}/{file}`; the file may lie in folders of its own).
#[must_use]
pub fn parse_inbox_key(key: &str) -> Option<(&str, &str, &str)> {
    let mut parts = key.strip_prefix("inbox/")?.splitn(3, '/');
    let (project, batch, name) = (parts.next()?, parts.next()?, parts.next()?);
    (!project.is_empty() && !batch.is_empty() && !name.is_empty()).then_some((project, batch, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_inbox_key_names_project_batch_and_file() {
        assert_eq!(
            parse_inbox_key("inbox/news/monday/a b+c.txt"),
            Some(("news", "monday", "a b+c.txt"))
        );
        assert_eq!(
            parse_inbox_key("inbox/news/monday/sub/기사 📰.html"),
            Some(("news", "monday", "sub/기사 📰.html"))
        );
        for wrong in [
            "inbox/news/a.txt",
            "inbox//monday/a.txt",
            "inbox/news/monday/",
            "submitted/news/monday/a.txt",
        ] {
            assert_eq!(parse_inbox_key(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn parsing_any_key_loses_nothing(key in ".*") {
            if let Some((project, batch, name)) = parse_inbox_key(&key) {
                prop_assert_eq!(format!("inbox/{project}/{batch}/{name}"), key);
            }
        }
    }
}
