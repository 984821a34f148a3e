//! What stands between HTTP and the models: a request, and the pieces of its answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use serde::{Deserialize, Serialize};

use crate::wire::canonical;
use crate::wire::errors::ServiceError;

/// Something that answers requests. HTTP, framing and error shapes are no concern of it.
pub trait Model: Send + Sync + 'static {
    /// Begins an answer. The future MUST resolve before any text is there: it decides the HTTP status.
    /// Dropping the future or the answer MUST stop the work: the client has gone.
    fn answer(
        &self,
        request: Arc<Request>,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, Refusal>> + Send + '_>>;

    /// How many input tokens the request would be billed for.
    fn count_tokens(&self, request: &Request) -> Result<u32, ServiceError>;

    /// Replaces the rules by those in `script` (JSON); an error is a sentence for the caller.
    fn load_script(&self, _script: &[u8]) -> Result<(), String> {
        Err("This model takes no script. Start the server with one to use rules.".to_owned())
    }

    /// Forgets what was counted for rules and quotas.
    fn reset(&self) {}
}

/// A model that several servers share.
impl<M: Model + ?Sized> Model for Arc<M> {
    fn answer(
        &self,
        request: Arc<Request>,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, Refusal>> + Send + '_>> {
        (**self).answer(request)
    }

    fn count_tokens(&self, request: &Request) -> Result<u32, ServiceError> {
        (**self).count_tokens(request)
    }

    fn load_script(&self, script: &[u8]) -> Result<(), String> {
        (**self).load_script(script)
    }

    fn reset(&self) {
        (**self).reset();
    }
}

/// An answer while it comes: whatever is ready at once goes to the client in one write.
pub type Answer = Pin<Box<dyn Stream<Item = Piece> + Send>>;

/// Why there is no answer.
#[derive(Debug)]
pub enum Refusal {
    /// One of Bedrock's exceptions, with its HTTP status.
    Error(ServiceError),
    /// The connection is closed without a response.
    Disconnect,
}

impl From<ServiceError> for Refusal {
    fn from(error: ServiceError) -> Self {
        Self::Error(error)
    }
}

/// A part of an answer. An answer that ends without a [`Piece::Stop`] ends early, and the client sees that.
#[derive(Clone, Debug)]
pub enum Piece {
    /// More text of the first content block.
    Text(Arc<str>),
    /// A whole tool use block.
    ToolUse(ToolUse),
    /// The end of the answer.
    Stop(Stop),
    /// An exception after the stream has begun.
    Error(ServiceError),
    /// The stream goes wrong in a way that no service would own up to.
    Break(Breakage),
}

/// A tool use block.
#[derive(Clone, Debug)]
pub struct ToolUse {
    /// The block's id, `tooluse_…`.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The tool's input, as JSON text.
    pub input: String,
}

/// How an answer ended.
#[derive(Clone, Debug)]
pub struct Stop {
    /// Why.
    pub reason: StopReason,
    /// The stop sequence that was met, where one was.
    pub sequence: Option<String>,
    /// What it cost.
    pub usage: Usage,
}

/// Ways in which a stream can go wrong on its way.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Breakage {
    /// The connection is closed in the middle of the body.
    Cut,
    /// The body ends cleanly, without the closing events.
    End,
    /// Nothing comes any more, and the connection stays open.
    Hang,
    /// An event of a type that no client knows; the answer goes on.
    UnknownEvent,
    /// An event of a known type whose payload is not what it should be; the answer goes on.
    MalformedEvent,
    /// Bytes that are no frame at all; the answer goes on.
    Garbage,
    /// A frame whose checksum is wrong; the answer goes on.
    BadChecksum,
    /// From here on the body comes in parts of so many bytes.
    Drip {
        /// Bytes a part; at least one.
        bytes: usize,
        /// Milliseconds between two parts.
        every_ms: u64,
    },
}

impl Breakage {
    /// The wait between two parts of a [`Breakage::Drip`].
    pub(crate) fn drip(self) -> Option<(usize, Duration)> {
        match self {
            Self::Drip { bytes, every_ms } => Some((bytes.max(1), Duration::from_millis(every_ms))),
            _ => None,
        }
    }
}

/// Why a model stopped, in Bedrock's words.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model had said all.
    #[default]
    EndTurn,
    /// `maxTokens` was reached: the text is cut off.
    MaxTokens,
    /// One of the request's stop sequences was met.
    StopSequence,
    /// The model asks for a tool.
    ToolUse,
    /// A guardrail stepped in.
    GuardrailIntervened,
    /// The model's own content filter stepped in.
    ContentFiltered,
    /// The context window was full.
    ModelContextWindowExceeded,
}

impl StopReason {
    /// The reason as it goes over the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EndTurn => "end_turn",
            Self::MaxTokens => "max_tokens",
            Self::StopSequence => "stop_sequence",
            Self::ToolUse => "tool_use",
            Self::GuardrailIntervened => "guardrail_intervened",
            Self::ContentFiltered => "content_filtered",
            Self::ModelContextWindowExceeded => "model_context_window_exceeded",
        }
    }
}

/// Tokens of one call.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Usage {
    /// Tokens of the request that were not read from a cache.
    pub input_tokens: u32,
    /// Tokens of the answer.
    pub output_tokens: u32,
    /// Tokens of the request that were read from the prompt cache.
    pub cache_read_input_tokens: u32,
    /// Tokens of the request that were written to the prompt cache.
    pub cache_write_input_tokens: u32,
}

impl Usage {
    /// Everything that was read, written and generated.
    #[must_use]
    pub fn total(&self) -> u32 {
        [
            self.output_tokens,
            self.cache_read_input_tokens,
            self.cache_write_input_tokens,
        ]
        .iter()
        .fold(self.input_tokens, |sum, tokens| sum.saturating_add(*tokens))
    }
}

/// What the client called.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash, Serialize)]
pub enum Operation {
    /// `POST /model/{modelId}/converse`
    Converse,
    /// `POST /model/{modelId}/converse-stream`
    ConverseStream,
    /// `POST /model/{modelId}/invoke`
    InvokeModel,
    /// `POST /model/{modelId}/invoke-with-response-stream`
    InvokeModelWithResponseStream,
    /// `POST /model/{modelId}/count-tokens`
    CountTokens,
}

impl Operation {
    /// The operation behind the last segment of a path.
    pub(crate) fn of_segment(segment: &str) -> Option<Self> {
        Some(match segment {
            "converse" => Self::Converse,
            "converse-stream" => Self::ConverseStream,
            "invoke" => Self::InvokeModel,
            "invoke-with-response-stream" => Self::InvokeModelWithResponseStream,
            "count-tokens" => Self::CountTokens,
            _ => return None,
        })
    }
}

/// A request, whichever operation it came by.
#[derive(Debug, Default)]
pub struct Request {
    /// The model id or ARN, decoded.
    pub model_id: String,
    /// The system blocks' text, a blank line between two blocks.
    pub system: String,
    /// The conversation, oldest first; at least one message, the first one the user's.
    pub messages: Vec<Message>,
    /// The inference parameters that were set.
    pub inference: Inference,
    /// The JSON Schema that the answer has to keep, as text: `outputConfig.textFormat.structure.jsonSchema`
    /// of Converse, `output_config.format` of a Messages body.
    pub json_schema: Option<String>,
    pub(crate) body: Bytes,
    pub(crate) hash: OnceLock<ContentHash>,
}

impl Request {
    /// The text of the last message of the user's.
    pub fn last_user_text(&self) -> &str {
        self.messages
            .iter()
            .rev()
            .find(|message| message.role == Role::User)
            .map_or("", |message| &message.text)
    }

    /// Bytes of text in the system blocks and in all messages.
    pub fn text_bytes(&self) -> usize {
        self.system.len()
            + self
                .messages
                .iter()
                .map(|message| message.text.len())
                .sum::<usize>()
    }

    /// SHA-256 over the model id and the body as canonical JSON (keys sorted, no white space), without
    /// `requestMetadata`, which no model sees. Two calls that ask for the same have the same hash.
    pub fn content_hash(&self) -> ContentHash {
        *self
            .hash
            .get_or_init(|| canonical::hash(&self.model_id, &self.body))
    }
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Whose it is.
    pub role: Role,
    /// The text of its text blocks, a line break between two blocks.
    pub text: String,
    /// The names of its blocks that are no text, like `image`.
    pub other_blocks: Vec<&'static str>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The user.
    User,
    /// The model.
    Assistant,
}

/// Inference parameters; `None` where the request leaves the model's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inference {
    /// The longest answer, in tokens.
    pub max_tokens: Option<u32>,
    /// 0 to 1; 0 always takes the likeliest token.
    pub temperature: Option<f32>,
    /// 0 to 1.
    pub top_p: Option<f32>,
    /// Texts that end the answer.
    pub stop_sequences: Vec<String>,
}

/// See [`Request::content_hash`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// A number to seed randomness with, so that equal contents draw equal numbers.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.0.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }
}

impl std::fmt::Display for ContentHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for ContentHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Pulls the next piece out of an answer.
pub(crate) fn poll_piece(answer: &mut Answer, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
    answer.as_mut().poll_next(cx)
}
