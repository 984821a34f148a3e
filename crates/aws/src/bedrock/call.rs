//! A [`ModelRequest`] as a `ConverseStream` call.

use aws_sdk_bedrockruntime::{
    Client,
    error::BuildError,
    operation::converse_stream::builders::ConverseStreamFluentBuilder,
    types::{
        ContentBlock, ConversationRole, GuardrailStreamConfiguration, InferenceConfiguration,
        JsonSchemaDefinition, Message, OutputConfig, OutputFormat, OutputFormatStructure, OutputFormatType,
        SystemContentBlock,
    },
};
use bedrock_diy_core::{
    error::{Code, Failure, Result},
    model::{self, ModelRequest, Role},
    project::{Guardrail, InferenceParameters},
};
use serde_json::Value;

/// The call, ready to be sent: what the request leaves open is left out. `format` is the schema that the
/// service is to hold the model to; where there is none, the model is told the request's own in words.
pub(super) fn converse_stream(
    client: &Client,
    request: &ModelRequest,
    format: Option<&str>,
) -> Result<ConverseStreamFluentBuilder> {
    let messages = request.messages.iter().map(message).collect::<Result<Vec<_>>>()?;
    let in_words = request.output_schema.as_ref().filter(|_| format.is_none());
    Ok(client
        .converse_stream()
        .model_id(&request.model)
        .set_system(system(&request.system, in_words))
        .set_messages(Some(messages))
        .set_inference_config(inference(&request.parameters))
        .set_guardrail_config(request.guardrail.as_ref().map(guardrail))
        .set_output_config(format.map(output_format).transpose()?))
}

/// Converse refuses an empty text block, so an empty system prompt is none.
fn system(prompt: &str, schema: Option<&Value>) -> Option<Vec<SystemContentBlock>> {
    let prompt = (!prompt.is_empty()).then(|| prompt.to_owned());
    let schema = schema.map(|schema| {
        format!(
            "Answer with one JSON document that satisfies this JSON Schema, and with nothing else:\n{schema}"
        )
    });
    let blocks: Vec<_> = prompt
        .into_iter()
        .chain(schema)
        .map(SystemContentBlock::Text)
        .collect();
    (!blocks.is_empty()).then_some(blocks)
}

fn message(message: &model::Message) -> Result<Message> {
    let role = match message.role {
        Role::User => ConversationRole::User,
        Role::Assistant => ConversationRole::Assistant,
    };
    Message::builder()
        .role(role)
        .content(ContentBlock::Text(message.text.clone()))
        .build()
        .map_err(|error| incomplete(&error))
}

fn inference(said: &InferenceParameters) -> Option<InferenceConfiguration> {
    let stops = (!said.stop_sequences.is_empty()).then(|| said.stop_sequences.clone());
    (!said.is_empty()).then(|| {
        InferenceConfiguration::builder()
            .set_max_tokens(
                said.max_tokens
                    .map(|tokens| i32::try_from(tokens).unwrap_or(i32::MAX)),
            )
            .set_temperature(said.temperature.map(single))
            .set_top_p(said.top_p.map(single))
            .set_stop_sequences(stops)
            .build()
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "Converse takes single precision; the values lie between 0 and 1"
)]
fn single(value: f64) -> f32 {
    value as f32
}

fn guardrail(guardrail: &Guardrail) -> GuardrailStreamConfiguration {
    GuardrailStreamConfiguration::builder()
        .guardrail_identifier(&guardrail.id)
        .guardrail_version(&guardrail.version)
        .build()
}

fn output_format(schema: &str) -> Result<OutputConfig> {
    let definition = JsonSchemaDefinition::builder()
        .name("answer")
        .schema(schema)
        .build()
        .map_err(|error| incomplete(&error))?;
    let format = OutputFormat::builder()
        .r#type(OutputFormatType::JsonSchema)
        .structure(OutputFormatStructure::JsonSchema(definition))
        .build()
        .map_err(|error| incomplete(&error))?;
    Ok(OutputConfig::builder().text_format(format).build())
}

/// All required fields are set above; the SDK's builders can't know that.
fn incomplete(error: &BuildError) -> Failure {
    Failure::new(
        Code::InternalError,
        format!("the model call can't be built: {error}"),
    )
}
