use bedrock_diy_core::{BatchId, SessionId, hook::TextType, intake::Lane};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::body::Document;

/// The most bytes of an article that comes in a request's body.
pub(crate) const INLINE_BYTES: usize = 5_000_000;

/// An article, and what is to become of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewArticle {
    /// The text to work on.
    #[schema(min_length = 1)]
    pub(crate) text: String,
    /// What the text is: `text/plain` where nothing is said.
    #[schema(nullable = false)]
    #[serde(default)]
    pub(crate) media_type: Option<TextType>,
    /// What you call it: a file name, a headline, the id in your CMS.
    #[schema(min_length = 1, max_length = 500, nullable = false)]
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Its title: `meta.title` in templates.
    #[schema(max_length = 500, nullable = false)]
    #[serde(default)]
    pub(crate) title: Option<String>,
    /// Its language as a BCP 47 tag: `meta.language` in templates.
    #[schema(max_length = 100, nullable = false)]
    #[serde(default)]
    pub(crate) language: Option<String>,
    /// Whatever else is known about it: `meta.*` in templates.
    #[schema(value_type = Object, required = false)]
    #[serde(default)]
    pub(crate) metadata: Map<String, Value>,
    /// The conversation that it belongs to: its last 50 messages are part of what the cards are asked. It has one job at a
    /// time: while its last one has not ended, another one is refused with `SessionBusy`.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255, pattern = r"^[^/\\\x00-\x1f\x7f-\x9f]+$", nullable = false)]
    #[serde(default)]
    pub(crate) session_id: Option<SessionId>,
    /// The batch that its job is listed in.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255, pattern = r"^[^/\\\x00-\x1f\x7f-\x9f]+$", nullable = false)]
    #[serde(default)]
    pub(crate) batch: Option<BatchId>,
    /// `live` where somebody waits for it, which is usual here; `bulk` where it can stand behind others.
    #[schema(nullable = false)]
    #[serde(default)]
    pub(crate) lane: Option<Lane>,
    /// Asks the models again, also for what they have answered before.
    #[schema(required = false)]
    #[serde(default)]
    pub(crate) fresh: bool,
}

impl Document for NewArticle {
    const MAX_BYTES: usize = INLINE_BYTES;
}

/// What is said of an article whose text is the whole body.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct AboutText {
    /// What you call it, where the body is text: a file name, a headline, the id in your CMS.
    #[param(min_length = 1, max_length = 500)]
    pub(crate) name: Option<String>,
    /// Its title, where the body is text.
    #[param(max_length = 500)]
    pub(crate) title: Option<String>,
    /// Its language as a BCP 47 tag, where the body is text.
    #[param(max_length = 100)]
    pub(crate) language: Option<String>,
    /// The conversation that it belongs to, where the body is text. It has one job at a time.
    #[param(value_type = Option<String>, min_length = 1, max_length = 255, pattern = r"^[^/\\\x00-\x1f\x7f-\x9f]+$")]
    pub(crate) session_id: Option<SessionId>,
    /// The batch that its job is listed in, where the body is text.
    #[param(value_type = Option<String>, min_length = 1, max_length = 255, pattern = r"^[^/\\\x00-\x1f\x7f-\x9f]+$")]
    pub(crate) batch: Option<BatchId>,
    /// `live` or `bulk`, where the body is text.
    #[param(inline)]
    pub(crate) lane: Option<Lane>,
    /// Asks the models again, where the body is text.
    pub(crate) fresh: Option<bool>,
}

/// The type of text of that media type.
pub(crate) fn text_type(name: &str) -> Option<TextType> {
    match name {
        "text/plain" => Some(TextType::Plain),
        "text/markdown" => Some(TextType::Markdown),
        "text/html" => Some(TextType::Html),
        _ => None,
    }
}

/// Its media type.
pub(crate) fn media_type(kind: TextType) -> &'static str {
    match kind {
        TextType::Plain => "text/plain",
        TextType::Markdown => "text/markdown",
        TextType::Html => "text/html",
    }
}
