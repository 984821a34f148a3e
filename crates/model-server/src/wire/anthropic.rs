//! `InvokeModel` and `InvokeModelWithResponseStream` with Anthropic Messages bodies.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::model::{Inference, Message, Request, Role, Stop, StopReason, ToolUse};
use crate::wire::dialect::{Block, Dialect, Timing, to_json};
use crate::wire::errors::ServiceError;
use crate::wire::eventstream;
use crate::wire::request::{check_begin, from_json};

/// The only value of `anthropic_version` that Bedrock takes.
/// Source: Amazon Bedrock user guide, "Anthropic Claude Messages API", request fields.
const VERSION: &str = "bedrock-2023-05-31";

const CHUNK: &str = "chunk";

/// Reads a Messages body.
pub(crate) fn parse(body: &[u8]) -> Result<Request, ServiceError> {
    let body: Body = from_json(body)?;
    if body.anthropic_version != VERSION {
        return Err(malformed(&format!(
            "#/anthropic_version: '{VERSION}' is the only version served"
        )));
    }
    let messages: Vec<Message> = body.messages.into_iter().map(TextMessage::into_message).collect();
    check_messages(&messages)?;
    let inference = Inference {
        max_tokens: Some(body.max_tokens),
        temperature: body.temperature,
        top_p: body.top_p,
        stop_sequences: body.stop_sequences,
    };
    check_ranges(&inference)?;
    let system = body
        .system
        .map(|system| system.joined("\n\n").0)
        .unwrap_or_default();
    let format = body.output_config.and_then(|config| config.format);
    let json_schema = format.map(|OutputFormat::JsonSchema { schema }| schema.to_string());
    Ok(Request {
        system,
        messages,
        inference,
        json_schema,
        ..Request::default()
    })
}

fn malformed(what: &str) -> ServiceError {
    ServiceError::validation(format!(
        "Malformed input request: {what}, please reformat your input and try again."
    ))
}

/// Two messages of one role after each other are taken, and read as one turn.
fn check_messages(messages: &[Message]) -> Result<(), ServiceError> {
    check_begin(messages)?;
    let blank = messages
        .iter()
        .position(|message| message.text.trim().is_empty() && message.other_blocks.is_empty());
    match blank {
        Some(n) => Err(ServiceError::validation(format!(
            "messages.{n}: all messages must have non-empty content except for the optional final assistant message"
        ))),
        None => Ok(()),
    }
}

fn check_ranges(inference: &Inference) -> Result<(), ServiceError> {
    if inference.max_tokens == Some(0) {
        return Err(malformed("#/max_tokens: 0 is not greater or equal to 1"));
    }
    for (name, value) in [("temperature", inference.temperature), ("top_p", inference.top_p)] {
        match value {
            Some(value) if value < 0.0 => {
                return Err(malformed(&format!(
                    "#/{name}: {value} is not greater or equal to 0"
                )));
            }
            Some(value) if value > 1.0 => {
                return Err(malformed(&format!("#/{name}: {value} is not less or equal to 1")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The dialect of Anthropic's Messages, each event of a stream in a `chunk`.
pub(crate) struct Messages {
    /// The model's name, as the client gave it.
    pub(crate) model_id: String,
    /// The answer's id, `msg_bdrk_…`.
    pub(crate) message_id: String,
    /// What the opening event says of the input; the closing one knows it for sure.
    pub(crate) input_tokens: u32,
}

impl Messages {
    fn message(&self, content: &Value, stop: Option<&Stop>) -> Value {
        let usage = match stop {
            None => json!({ "input_tokens": self.input_tokens, "output_tokens": 1 }),
            Some(stop) => json!({
                "input_tokens": stop.usage.input_tokens,
                "output_tokens": stop.usage.output_tokens,
                "cache_read_input_tokens": stop.usage.cache_read_input_tokens,
                "cache_creation_input_tokens": stop.usage.cache_write_input_tokens,
            }),
        };
        json!({
            "id": self.message_id, "type": "message", "role": "assistant", "model": self.model_id,
            "content": content,
            "stop_reason": stop.map(stop_reason), "stop_sequence": stop.and_then(|stop| stop.sequence.as_deref()),
            "usage": usage,
        })
    }
}

impl Dialect for Messages {
    fn message_start(&self, out: &mut BytesMut) {
        chunk(
            out,
            &json!({ "type": "message_start", "message": self.message(&json!([]), None) }),
        );
    }

    fn text_start(&self, out: &mut BytesMut, index: u32) {
        let block = json!({ "type": "text", "text": "" });
        chunk(
            out,
            &json!({ "type": "content_block_start", "index": index, "content_block": block }),
        );
    }

    fn text_delta(&self, out: &mut BytesMut, index: u32, text: &str) {
        let delta = json!({ "type": "text_delta", "text": text });
        chunk(
            out,
            &json!({ "type": "content_block_delta", "index": index, "delta": delta }),
        );
    }

    fn tool_use(&self, out: &mut BytesMut, index: u32, tool_use: &ToolUse) {
        let block = json!({ "type": "tool_use", "id": tool_use.id, "name": tool_use.name, "input": {} });
        chunk(
            out,
            &json!({ "type": "content_block_start", "index": index, "content_block": block }),
        );
        let delta = json!({ "type": "input_json_delta", "partial_json": tool_use.input });
        chunk(
            out,
            &json!({ "type": "content_block_delta", "index": index, "delta": delta }),
        );
    }

    fn block_stop(&self, out: &mut BytesMut, index: u32) {
        chunk(out, &json!({ "type": "content_block_stop", "index": index }));
    }

    fn message_stop(&self, out: &mut BytesMut, stop: &Stop, timing: &Timing) {
        let delta = json!({ "stop_reason": stop_reason(stop), "stop_sequence": stop.sequence });
        let usage = json!({ "output_tokens": stop.usage.output_tokens });
        chunk(
            out,
            &json!({ "type": "message_delta", "delta": delta, "usage": usage }),
        );
        let metrics = json!({
            "inputTokenCount": stop.usage.input_tokens,
            "outputTokenCount": stop.usage.output_tokens,
            "invocationLatency": timing.latency_ms(),
            "firstByteLatency": timing.first_byte_ms(),
            "cacheReadInputTokenCount": stop.usage.cache_read_input_tokens,
            "cacheWriteInputTokenCount": stop.usage.cache_write_input_tokens,
        });
        let mut last = json!({ "type": "message_stop", "amazon-bedrock-invocationMetrics": metrics });
        guardrail(&mut last, stop);
        chunk(out, &last);
    }

    fn text_event(&self) -> &'static str {
        CHUNK
    }

    fn whole(&self, blocks: &[Block], stop: &Stop, _timing: &Timing) -> Vec<u8> {
        let content: Vec<Value> = blocks
            .iter()
            .map(|block| match block {
                Block::Text(text) => json!({ "type": "text", "text": text }),
                Block::ToolUse(tool_use) => json!({
                    "type": "tool_use", "id": tool_use.id, "name": tool_use.name,
                    "input": serde_json::from_str::<Value>(&tool_use.input).unwrap_or_default(),
                }),
            })
            .collect();
        let mut message = self.message(&Value::Array(content), Some(stop));
        guardrail(&mut message, stop);
        to_json(&message)
    }
}

fn chunk(out: &mut BytesMut, event: &Value) {
    let encoded = STANDARD.encode(to_json(event));
    // Base64 has no character that JSON would have to escape.
    eventstream::event(out, CHUNK, format!(r#"{{"bytes":"{encoded}"}}"#));
}

/// Anthropic's name of a stop reason; where it has none, Bedrock's.
fn stop_reason(stop: &Stop) -> &'static str {
    match stop.reason {
        StopReason::GuardrailIntervened => StopReason::EndTurn.as_str(),
        StopReason::ContentFiltered => "refusal",
        reason => reason.as_str(),
    }
}

fn guardrail(event: &mut Value, stop: &Stop) {
    if stop.reason == StopReason::GuardrailIntervened {
        event["amazon-bedrock-guardrailAction"] = json!("INTERVENED");
    }
}

#[derive(Deserialize)]
struct Body {
    anthropic_version: String,
    max_tokens: u32,
    system: Option<Text>,
    messages: Vec<TextMessage>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    #[serde(default)]
    stop_sequences: Vec<String>,
    output_config: Option<OutputConfig>,
}

#[derive(Deserialize)]
struct OutputConfig {
    format: Option<OutputFormat>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OutputFormat {
    JsonSchema { schema: Value },
}

#[derive(Deserialize)]
struct TextMessage {
    role: Role,
    content: Text,
}

impl TextMessage {
    fn into_message(self) -> Message {
        let (text, other_blocks) = self.content.joined("\n");
        Message {
            role: self.role,
            text,
            other_blocks,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Blocks(Vec<TextBlock>),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum TextBlock {
    Text {
        text: String,
    },
    Image {},
    Document {},
    ToolUse {},
    ToolResult {},
    #[serde(other)]
    Unknown,
}

impl Text {
    fn joined(self, separator: &str) -> (String, Vec<&'static str>) {
        let blocks = match self {
            Self::Plain(text) => return (text, Vec::new()),
            Self::Blocks(blocks) => blocks,
        };
        let mut texts = Vec::with_capacity(blocks.len());
        let mut others = Vec::new();
        for block in blocks {
            match block {
                TextBlock::Text { text } => texts.push(text),
                TextBlock::Image {} => others.push("image"),
                TextBlock::Document {} => others.push("document"),
                TextBlock::ToolUse {} => others.push("tool_use"),
                TextBlock::ToolResult {} => others.push("tool_result"),
                TextBlock::Unknown => others.push("unknown"),
            }
        }
        (texts.join(separator), others)
    }
}
