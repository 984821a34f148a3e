//! Articles: the text to work on, and where it lies.

use serde::{Deserialize, Serialize};

/// Which bucket an object lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// The bucket.
    pub bucket: Bucket,
    /// The key in it.
    pub key: String,
    /// The version; not there in a bucket without versions.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
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
    /// Which record of `source` it is, counted from 0, where that file holds many and this one was not taken
    /// out of it, because it can't be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<usize>,
    /// Its text in UTF-8: the same object where the file is that already. Known once it is planned, or
    /// from the start where it was taken out of a file that holds many.
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
    /// Whatever else the submitter said, as a JSON object that is stored for itself: it may be long, and
    /// queue messages and jobs are claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<ObjectRef>,
}

impl Article {
    /// An article of which nothing is known but where it lies.
    #[must_use]
    pub fn new(name: impl Into<String>, source: ObjectRef) -> Self {
        Self {
            name: name.into(),
            source,
            record: None,
            text: None,
            meta: ArticleMeta::default(),
        }
    }
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

/// The key of something that belongs to a submitted article in [`Bucket::Articles`].
#[must_use]
pub fn submitted_key(project: &crate::ProjectId, job: &crate::JobId, part: SubmittedPart) -> String {
    format!("submitted/{project}/{job}/{}", part.as_str())
}

/// What lies in a submitted article's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubmittedPart {
    /// The article as it came.
    Source,
    /// Its text, where that is another object than the source.
    Text,
    /// What else is known about it (see [`ArticleMeta::more`]).
    Metadata,
}

impl SubmittedPart {
    fn as_str(self) -> &'static str {
        match self {
            Self::Source => "article",
            Self::Text => "article.txt",
            Self::Metadata => "metadata.json",
        }
    }
}

/// The key of an article that is dropped in the inbox.
#[must_use]
pub fn inbox_key(project: &crate::ProjectId, batch: &crate::BatchId, name: &str) -> String {
    format!("inbox/{project}/{batch}/{name}")
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
