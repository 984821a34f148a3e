//! Answers as data: what is said, how it comes, and what goes wrong on the way.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{Breakage, StopReason, Usage};
use crate::wire::errors::ErrorKind;

/// An answer.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// What it says.
    pub content: Content,
    /// Why it ends. Default: `end_turn`, or `tool_use` after a tool use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<StopReason>,
    /// The stop sequence that it reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_sequence: Option<String>,
    /// Its cost. Default: an estimate of one token for four bytes of text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Into how many deltas its text is cut, where it has as many characters. Default: 8.
    #[serde(default = "eight")]
    pub chunks: usize,
    /// Milliseconds to the first delta. Default: 0.
    #[serde(default)]
    pub first_token_ms: u64,
    /// Milliseconds a token, for the deltas after the first. Default: 0.
    #[serde(default)]
    pub per_token_ms: f64,
    /// What goes wrong in the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}

impl Reply {
    /// A reply with this content and nothing else set.
    #[must_use]
    pub fn new(content: Content) -> Self {
        Self {
            content,
            stop_reason: None,
            stop_sequence: None,
            usage: None,
            chunks: eight(),
            first_token_ms: 0,
            per_token_ms: 0.0,
            fault: None,
        }
    }

    /// This text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Content::Text(text.into()))
    }

    /// This template, see [`Content::Template`].
    pub fn template(template: impl Into<String>) -> Self {
        Self::new(Content::Template(template.into()))
    }

    /// This value as JSON text.
    #[must_use]
    pub fn json(value: Value) -> Self {
        Self::new(Content::Json(value))
    }

    /// A tool use.
    pub fn tool_use(name: impl Into<String>, input: Value) -> Self {
        Self::new(Content::ToolUse(ToolCall {
            name: name.into(),
            input,
        }))
    }

    /// Ends for this reason.
    #[must_use]
    pub fn stop_reason(mut self, reason: StopReason) -> Self {
        self.stop_reason = Some(reason);
        self
    }

    /// Costs so much.
    #[must_use]
    pub fn usage(mut self, usage: Usage) -> Self {
        self.usage = Some(usage);
        self
    }

    /// Comes in so many deltas.
    #[must_use]
    pub fn chunks(mut self, chunks: usize) -> Self {
        self.chunks = chunks;
        self
    }

    /// Takes this long to the first delta, and then for each token, in milliseconds.
    #[must_use]
    pub fn latency(mut self, first_token_ms: u64, per_token_ms: f64) -> Self {
        self.first_token_ms = first_token_ms;
        self.per_token_ms = per_token_ms;
        self
    }

    /// Breaks in this way after so many deltas.
    #[must_use]
    pub fn breaks(mut self, after_chunks: usize, breakage: Breakage) -> Self {
        self.fault = Some(Fault {
            after_chunks,
            what: What::Break(breakage),
        });
        self
    }

    /// Fails with this exception within the stream, after so many deltas.
    #[must_use]
    pub fn fails(mut self, after_chunks: usize, kind: ErrorKind) -> Self {
        self.fault = Some(Fault {
            after_chunks,
            what: What::Exception(Failure { kind, message: None }),
        });
        self
    }
}

/// What a reply says.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// This text.
    Text(String),
    /// This text with parts of the request: `${user}` the last user message, `${system}` the system blocks,
    /// `${user:80}` and `${system:80}` their first 80 characters, `${hash}` the request's content hash,
    /// `${model}` the model id, `${call}` the call's number.
    Template(String),
    /// This value as JSON text.
    Json(Value),
    /// A tool use.
    ToolUse(ToolCall),
}

/// A tool use.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// The tool's name.
    pub name: String,
    /// Its input.
    pub input: Value,
}

/// Something that goes wrong in a stream. Without streaming, a fault that would end the answer becomes an
/// `InternalServerException`, the exception itself, a closed connection, or silence.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Deltas that come before it.
    pub after_chunks: usize,
    /// What it is.
    pub what: What,
}

/// See [`Fault`].
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// An exception.
    Exception(Failure),
    /// Anything else.
    Break(Breakage),
}

/// One of Bedrock's exceptions.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Which one.
    pub kind: ErrorKind,
    /// Its message. Default: the one that Bedrock sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

fn eight() -> usize {
    8
}
