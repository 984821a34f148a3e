//! Reading request bodies. They are bytes from outside: nothing here may panic on any of them.

use std::fmt::Write as _;

use base64::Engine as _;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::model::{Inference, Message, Operation, Request, Role};
use crate::wire::anthropic;
use crate::wire::errors::{ErrorKind, ServiceError};

/// Reads the body of an operation; a body that Bedrock would refuse is a `ValidationException`.
pub fn parse(operation: Operation, model_id: &str, body: Bytes) -> Result<Request, ServiceError> {
    let mut request = match operation {
        Operation::Converse | Operation::ConverseStream => {
            from_json::<ConverseBody>(&body)?.into_request()?
        }
        Operation::InvokeModel | Operation::InvokeModelWithResponseStream => anthropic::parse(&body)?,
        Operation::CountTokens => count_tokens(&body)?,
    };
    model_id.clone_into(&mut request.model_id);
    request.body = body;
    Ok(request)
}

pub(crate) fn from_json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ServiceError> {
    serde_json::from_slice(body).map_err(|error| {
        let usual = ErrorKind::Validation.usual_message();
        ServiceError::validation(format!("{usual} ({error})"))
    })
}

/// Refuses conversations that no model takes: empty, or not begun by the user.
pub(crate) fn check_begin(messages: &[Message]) -> Result<(), ServiceError> {
    match messages.first() {
        None => Err(ServiceError::validation(
            "1 validation error detected: Value at 'messages' failed to satisfy constraint: Member must have length \
             greater than or equal to 1",
        )),
        Some(first) if first.role != Role::User => Err(ServiceError::validation(
            "A conversation must start with a user message. Try again with a conversation that starts with a user \
             message.",
        )),
        Some(_) => Ok(()),
    }
}

/// The same, and those without turns.
fn check_conversation(messages: &[Message]) -> Result<(), ServiceError> {
    check_begin(messages)?;
    if messages.windows(2).any(|pair| pair[0].role == pair[1].role) {
        return Err(ServiceError::validation(
            "A conversation must alternate between user and assistant roles. Make sure the conversation alternates \
             between user and assistant roles and try again.",
        ));
    }
    Ok(())
}

/// Refuses inference parameters that are out of their range.
fn check_inference(inference: &Inference) -> Result<(), ServiceError> {
    let mut faults = Vec::new();
    if inference.max_tokens == Some(0) {
        faults.push(("maxTokens", "greater than or equal to 1"));
    }
    for (name, value) in [("temperature", inference.temperature), ("topP", inference.top_p)] {
        match value {
            Some(value) if value < 0.0 => faults.push((name, "greater than or equal to 0")),
            Some(value) if value > 1.0 => faults.push((name, "less than or equal to 1")),
            _ => {}
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    let plural = if faults.len() == 1 { "error" } else { "errors" };
    let mut message = format!("{} validation {plural} detected: ", faults.len());
    for (n, (name, bound)) in faults.iter().enumerate() {
        let separator = if n == 0 { "" } else { "; " };
        let _ = write!(
            message,
            "{separator}Value at 'inferenceConfig.{name}' failed to satisfy constraint: Member must have value {bound}",
        );
    }
    Err(ServiceError::validation(message))
}

fn count_tokens(body: &[u8]) -> Result<Request, ServiceError> {
    match from_json::<CountTokensBody>(body)?.input {
        CountTokensInput::Converse(converse) => converse.into_request(),
        CountTokensInput::InvokeModel { body } => {
            let body = base64::engine::general_purpose::STANDARD
                .decode(body)
                .map_err(|error| {
                    ServiceError::validation(format!("'input.invokeModel.body' is no base64: {error}"))
                })?;
            anthropic::parse(&body)
        }
    }
}

#[derive(Deserialize)]
struct CountTokensBody {
    input: CountTokensInput,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum CountTokensInput {
    Converse(ConverseBody),
    InvokeModel { body: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConverseBody {
    #[serde(default)]
    messages: Vec<ConverseMessage>,
    #[serde(default)]
    system: Vec<Block>,
    #[serde(default)]
    inference_config: InferenceConfig,
    output_config: Option<OutputConfig>,
}

impl ConverseBody {
    fn into_request(self) -> Result<Request, ServiceError> {
        let mut system = String::new();
        for (n, block) in self.system.into_iter().enumerate() {
            if let Content::Text(text) = block.content(|| format!("system.{n}"))? {
                append(&mut system, "\n\n", text);
            }
        }
        let mut messages = Vec::with_capacity(self.messages.len());
        for (n, message) in self.messages.into_iter().enumerate() {
            messages.push(message.into_message(n)?);
        }
        check_conversation(&messages)?;
        let inference = Inference {
            max_tokens: self.inference_config.max_tokens,
            temperature: self.inference_config.temperature,
            top_p: self.inference_config.top_p,
            stop_sequences: self.inference_config.stop_sequences,
        };
        check_inference(&inference)?;
        let json_schema = self
            .output_config
            .map(OutputConfig::into_schema)
            .transpose()?
            .flatten();
        Ok(Request {
            system,
            messages,
            inference,
            json_schema,
            ..Request::default()
        })
    }
}

/// Appends without a copy where there is nothing yet: an article may have megabytes.
fn append(all: &mut String, separator: &str, text: String) {
    if all.is_empty() {
        *all = text;
    } else {
        all.push_str(separator);
        all.push_str(&text);
    }
}

#[derive(Deserialize)]
struct ConverseMessage {
    role: Role,
    content: Vec<Block>,
}

impl ConverseMessage {
    fn into_message(self, n: usize) -> Result<Message, ServiceError> {
        if self.content.is_empty() {
            return Err(ServiceError::validation(format!(
                "The content field in the Message object at messages.{n} is empty. Add a ContentBlock object to the \
                 content field and try again."
            )));
        }
        let mut text = String::new();
        let mut other_blocks = Vec::new();
        for (m, block) in self.content.into_iter().enumerate() {
            match block.content(|| format!("messages.{n}.content.{m}"))? {
                Content::Text(block) => append(&mut text, "\n", block),
                Content::Other(name) => other_blocks.push(name),
                Content::Nothing => {}
            }
        }
        Ok(Message {
            role: self.role,
            text,
            other_blocks,
        })
    }
}

/// A content block is a union: one of its members is set. Members that are no text are only told apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block {
    text: Option<String>,
    guard_content: Option<GuardContent>,
    cache_point: Option<IgnoredAny>,
    image: Option<IgnoredAny>,
    document: Option<IgnoredAny>,
    video: Option<IgnoredAny>,
    audio: Option<IgnoredAny>,
    tool_use: Option<IgnoredAny>,
    tool_result: Option<IgnoredAny>,
    reasoning_content: Option<IgnoredAny>,
    citations_content: Option<IgnoredAny>,
    search_result: Option<IgnoredAny>,
}

enum Content {
    Text(String),
    Other(&'static str),
    Nothing,
}

impl Block {
    fn content(self, place: impl Fn() -> String) -> Result<Content, ServiceError> {
        let guarded = self
            .guard_content
            .and_then(|guard| guard.text)
            .map(|text| text.text);
        if let Some(text) = self.text.or(guarded) {
            if text.trim().is_empty() {
                return Err(ServiceError::validation(format!(
                    "The text field in the ContentBlock object at {} is blank. Add text to the text field, and try \
                     again.",
                    place()
                )));
            }
            return Ok(Content::Text(text));
        }
        if self.cache_point.is_some() {
            return Ok(Content::Nothing);
        }
        [
            ("image", self.image),
            ("document", self.document),
            ("video", self.video),
            ("audio", self.audio),
            ("toolUse", self.tool_use),
            ("toolResult", self.tool_result),
            ("reasoningContent", self.reasoning_content),
            ("citationsContent", self.citations_content),
            ("searchResult", self.search_result),
        ]
        .into_iter()
        .find_map(|(name, member)| member.map(|_| Content::Other(name)))
        .ok_or_else(|| {
            ServiceError::validation(format!(
                "The ContentBlock object at {} must set one of its members.",
                place()
            ))
        })
    }
}

#[derive(Deserialize)]
struct GuardContent {
    text: Option<GuardText>,
}

#[derive(Deserialize)]
struct GuardText {
    text: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct InferenceConfig {
    max_tokens: Option<u32>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    stop_sequences: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OutputConfig {
    text_format: Option<TextFormat>,
}

#[derive(Deserialize)]
struct TextFormat {
    #[serde(rename = "type")]
    kind: String,
    structure: Option<Structure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Structure {
    json_schema: Option<JsonSchema>,
}

#[derive(Deserialize)]
struct JsonSchema {
    schema: String,
}

impl OutputConfig {
    fn into_schema(self) -> Result<Option<String>, ServiceError> {
        let Some(format) = self.text_format else {
            return Ok(None);
        };
        let schema = format
            .structure
            .and_then(|structure| structure.json_schema)
            .map(|definition| definition.schema);
        match (format.kind.as_str(), schema) {
            ("json_schema", Some(schema)) => match serde_json::from_str::<IgnoredAny>(&schema) {
                Ok(_) => Ok(Some(schema)),
                Err(error) => Err(ServiceError::validation(format!(
                    "The value at outputConfig.textFormat.structure.jsonSchema.schema is no JSON: {error}"
                ))),
            },
            ("json_schema", None) => Err(ServiceError::validation(
                "The value at outputConfig.textFormat.structure is missing a JSON Schema. Add jsonSchema.schema, and \
                 try again.",
            )),
            (other, _) => Err(ServiceError::validation(format!(
                "1 validation error detected: Value '{other}' at 'outputConfig.textFormat.type' failed to satisfy \
                 constraint: Member must satisfy enum value set: [json_schema]"
            ))),
        }
    }
}
