//! The AWS SDK's client against a server of ours.

#![allow(dead_code, reason = "each test file uses a part of this")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails should say where"
)]

use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::config::retry::RetryConfig;
use aws_sdk_bedrockruntime::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_bedrockruntime::operation::converse_stream::ConverseStreamOutput;
use aws_sdk_bedrockruntime::operation::converse_stream::builders::ConverseStreamFluentBuilder;
use aws_sdk_bedrockruntime::types::{
    ContentBlock, ConversationRole, ConverseStreamOutput as Event, InferenceConfiguration, Message,
    SystemContentBlock,
};
use aws_smithy_http_client::Builder as HttpClientBuilder;
use bedrock_diy_model_server::ModelServer;
use bedrock_diy_model_server::scripted::{Rule, Script, ScriptedModel};

pub(crate) const MODEL: &str = "anthropic.claude-test-v1:0";

/// A server that answers by these rules.
pub(crate) async fn server(rules: impl IntoIterator<Item = Rule>) -> ModelServer<ScriptedModel> {
    serve(Script {
        rules: rules.into_iter().collect(),
        ..Script::default()
    })
    .await
}

pub(crate) async fn serve(script: Script) -> ModelServer<ScriptedModel> {
    ModelServer::start(ScriptedModel::new(script).unwrap())
        .await
        .unwrap()
}

/// A client that tries once, so that each test sees what the server did.
pub(crate) fn client(url: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(url)
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(HttpClientBuilder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

pub(crate) fn user(text: &str) -> Message {
    message(ConversationRole::User, text)
}

pub(crate) fn message(role: ConversationRole, text: &str) -> Message {
    Message::builder()
        .role(role)
        .content(ContentBlock::Text(text.to_owned()))
        .build()
        .unwrap()
}

/// A streamed call with a system text and a user text.
pub(crate) fn ask(client: &Client, text: &str) -> ConverseStreamFluentBuilder {
    client
        .converse_stream()
        .model_id(MODEL)
        .system(SystemContentBlock::Text("Be brief.".to_owned()))
        .messages(user(text))
        .inference_config(
            InferenceConfiguration::builder()
                .max_tokens(200)
                .temperature(0.0)
                .build(),
        )
}

/// Reads a stream to its end, or to the error in it.
pub(crate) async fn read(
    mut output: ConverseStreamOutput,
) -> (Vec<Event>, Option<impl std::error::Error + ProvideCode>) {
    let mut events = Vec::new();
    loop {
        match output.stream.recv().await {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return (events, None),
            Err(error) => return (events, Some(error)),
        }
    }
}

/// The code of an exception within a stream.
pub(crate) trait ProvideCode {
    fn exception(&self) -> Option<String>;
}

impl<R> ProvideCode
    for aws_sdk_bedrockruntime::error::SdkError<
        aws_sdk_bedrockruntime::types::error::ConverseStreamOutputError,
        R,
    >
{
    fn exception(&self) -> Option<String> {
        use aws_sdk_bedrockruntime::types::error::ConverseStreamOutputError as Error;
        Some(
            match self.as_service_error()? {
                Error::InternalServerException(_) => "internal server",
                Error::ModelStreamErrorException(_) => "model stream error",
                Error::ValidationException(_) => "validation",
                Error::ThrottlingException(_) => "throttling",
                Error::ServiceUnavailableException(_) => "service unavailable",
                _ => "unhandled",
            }
            .to_owned(),
        )
    }
}

/// The text of the deltas, one string each.
pub(crate) fn deltas(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .filter_map(|event| event.as_content_block_delta().ok())
        .filter_map(|event| event.delta()?.as_text().ok().cloned())
        .collect()
}

pub(crate) fn kinds(events: &[Event]) -> Vec<&'static str> {
    events
        .iter()
        .map(|event| match event {
            Event::MessageStart(_) => "messageStart",
            Event::ContentBlockStart(_) => "contentBlockStart",
            Event::ContentBlockDelta(_) => "contentBlockDelta",
            Event::ContentBlockStop(_) => "contentBlockStop",
            Event::MessageStop(_) => "messageStop",
            Event::Metadata(_) => "metadata",
            _ => "unknown",
        })
        .collect()
}
