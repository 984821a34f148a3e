//! What goes to a model and what comes back, in the terms of Bedrock's Converse.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::project::{Guardrail, InferenceParameters};

/// One call of a model: everything that its answer depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelRequest {
    /// A model id or an inference profile's id or ARN.
    pub model: String,
    /// The parameters to send; what is `None` is not sent.
    pub parameters: InferenceParameters,
    /// The system prompt.
    pub system: String,
    /// The conversation; starts and ends with the user.
    pub messages: Vec<Message>,
    /// The guardrail.
    pub guardrail: Option<Guardrail>,
    /// The JSON Schema that the answer is to satisfy.
    pub output_schema: Option<Value>,
    /// Whether the service may be asked to hold the model to the schema (Converse's `outputConfig`), as far
    /// as it can; otherwise the model is told it in words. Not a part of the memo key: the answer is judged
    /// by the whole schema either way.
    #[serde(skip)]
    pub send_schema: bool,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub text: String,
}

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Our side.
    User,
    /// The model.
    Assistant,
}

impl Message {
    /// Something we say.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self {
            role: Role::User,
            text: text.into(),
        }
    }

    /// Something the model said.
    #[must_use]
    pub fn assistant(text: impl Into<String>) -> Self {
        Self {
            role: Role::Assistant,
            text: text.into(),
        }
    }
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelAnswer {
    /// The text.
    pub text: String,
    /// Why the model stopped.
    pub stop_reason: StopReason,
    /// What it cost in tokens.
    pub usage: Usage,
    /// From the request to the end of the answer.
    pub latency: Duration,
}

/// Why a model stopped: Converse's `stopReason`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// It had said everything.
    EndTurn,
    /// It met one of the stop sequences.
    StopSequence,
    /// It met `maxTokens`, or the end of its context window.
    MaxTokens,
    /// A guardrail stepped in.
    GuardrailIntervened,
    /// The model's own filter stepped in.
    ContentFiltered,
    /// Anything else, by Converse's name for it.
    Other(String),
}

/// Tokens of one or several calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Tokens read, without those that came from or went to the prompt cache.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Tokens read from the prompt cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_read_tokens: u64,
    /// Tokens written to the prompt cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write_tokens: u64,
}

impl Usage {
    /// All tokens.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cache_read_tokens += other.cache_read_tokens;
        self.cache_write_tokens += other.cache_write_tokens;
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
