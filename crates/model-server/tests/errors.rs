//! Each of Bedrock's exceptions, as the SDK's typed error.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails should say where"
)]

mod common;

use aws_sdk_bedrockruntime::config::http::HttpResponse;
use aws_sdk_bedrockruntime::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_bedrockruntime::operation::RequestId as _;
use aws_sdk_bedrockruntime::operation::converse::ConverseError;
use aws_sdk_bedrockruntime::primitives::Blob;
use aws_sdk_bedrockruntime::types::{
    ConversationRole, InferenceConfiguration, JsonSchemaDefinition, OutputConfig, OutputFormat,
    OutputFormatStructure, OutputFormatType,
};
use bedrock_diy_model_server::ErrorKind;
use bedrock_diy_model_server::scripted::{JsonSchemas, Rule, Script};
use common::{MODEL, client, message, serve, server, user};
use serde_json::{Value, json};

type Failed = SdkError<ConverseError, HttpResponse>;
type IsTyped = fn(&ConverseError) -> bool;

async fn refused(url: &str) -> Failed {
    client(url)
        .converse()
        .model_id(MODEL)
        .messages(user("Hello"))
        .send()
        .await
        .unwrap_err()
}

fn status(error: &Failed) -> u16 {
    error.raw_response().unwrap().status().as_u16()
}

#[tokio::test]
async fn each_exception_is_the_sdks_typed_error_with_bedrocks_status() {
    let typed: [(ErrorKind, u16, IsTyped); 8] = [
        (ErrorKind::Validation, 400, ConverseError::is_validation_exception),
        (
            ErrorKind::AccessDenied,
            403,
            ConverseError::is_access_denied_exception,
        ),
        (
            ErrorKind::ResourceNotFound,
            404,
            ConverseError::is_resource_not_found_exception,
        ),
        (ErrorKind::Throttling, 429, ConverseError::is_throttling_exception),
        (
            ErrorKind::ModelTimeout,
            408,
            ConverseError::is_model_timeout_exception,
        ),
        (
            ErrorKind::InternalServer,
            500,
            ConverseError::is_internal_server_exception,
        ),
        (
            ErrorKind::ServiceUnavailable,
            503,
            ConverseError::is_service_unavailable_exception,
        ),
        (
            ErrorKind::ModelNotReady,
            429,
            ConverseError::is_model_not_ready_exception,
        ),
    ];
    for (kind, expected, is_typed) in typed {
        let server = server([Rule::error(kind)]).await;
        let error = refused(&server.url()).await;
        assert_eq!(status(&error), expected, "{kind:?}");
        let service_error = error.as_service_error().unwrap();
        assert!(is_typed(service_error), "{kind:?}: {service_error:?}");
        assert_eq!(service_error.message(), Some(kind.usual_message()));
        assert!(error.request_id().is_some());
    }
}

#[tokio::test]
async fn a_model_error_tells_the_models_own_status() {
    let server = server([Rule::error(ErrorKind::ModelError)]).await;
    let error = refused(&server.url()).await;
    assert_eq!(status(&error), 424);
    let ConverseError::ModelErrorException(inner) = error.into_service_error() else {
        panic!("another error")
    };
    assert_eq!(inner.original_status_code(), Some(500));
}

#[tokio::test]
async fn a_model_that_is_not_served_is_an_invalid_identifier() {
    let server = serve(Script::default().models(["amazon.*"])).await;
    let error = refused(&server.url()).await;
    let error = error.as_service_error().unwrap();
    assert!(error.is_validation_exception());
    assert_eq!(error.message(), Some("The provided model identifier is invalid."));
}

#[tokio::test]
async fn conversations_that_no_model_takes_are_refused_as_bedrock_refuses_them() {
    let server = server([]).await;
    let client = client(&server.url());
    let assistant = || message(ConversationRole::Assistant, "Hello");
    let cases = [
        (vec![], "'messages'"),
        (vec![assistant()], "must start with a user message"),
        (
            vec![user("a"), user("b")],
            "must alternate between user and assistant",
        ),
        (vec![user("  ")], "messages.0.content.0 is blank"),
        (
            vec![user("a"), assistant(), user("\n")],
            "messages.2.content.0 is blank",
        ),
    ];
    for (messages, expected) in cases {
        let error = client
            .converse()
            .model_id(MODEL)
            .set_messages(Some(messages))
            .send()
            .await
            .unwrap_err();
        let error = error.into_service_error();
        assert!(error.is_validation_exception());
        assert!(error.message().unwrap().contains(expected), "{error:?}");
    }
}

#[tokio::test]
async fn inference_parameters_out_of_range_are_refused_and_named() {
    let server = server([]).await;
    let client = client(&server.url());
    let config = InferenceConfiguration::builder()
        .max_tokens(0)
        .temperature(1.5)
        .build();
    let call = client
        .converse()
        .model_id(MODEL)
        .messages(user("Hello"))
        .inference_config(config);
    let error = call.send().await.unwrap_err().into_service_error();
    let message = error.message().unwrap();
    assert!(message.starts_with("2 validation errors detected"), "{message}");
    assert!(
        message.contains("maxTokens") && message.contains("temperature"),
        "{message}"
    );
}

#[tokio::test]
async fn throttling_so_many_times_is_over_after_that() {
    let server = server([Rule::error(ErrorKind::Throttling).times(2), Rule::text("Done.")]).await;
    for _ in 0..2 {
        assert!(
            refused(&server.url())
                .await
                .as_service_error()
                .unwrap()
                .is_throttling_exception()
        );
    }
    let output = client(&server.url())
        .converse()
        .model_id(MODEL)
        .messages(user("Hello"))
        .send()
        .await
        .unwrap();
    assert!(output.output().is_some());
}

#[tokio::test]
async fn messages_bodies_that_are_wrong_are_refused_and_the_place_is_named() {
    let server = server([]).await;
    let client = client(&server.url());
    let turn = |role: &str, text: &str| json!({ "role": role, "content": text });
    let body = |version: &str, max_tokens: u32, top_p: f32, messages: Value| json!({ "anthropic_version": version, "max_tokens": max_tokens, "top_p": top_p, "messages": messages });
    let version = "bedrock-2023-05-31";
    let cases = [
        (json!("no object"), "Malformed input request"),
        (json!({ "messages": [] }), "anthropic_version"),
        (
            body("2024", 9, 1.0, json!([turn("user", "a")])),
            "#/anthropic_version",
        ),
        (
            body(version, 0, 1.0, json!([turn("user", "a")])),
            "#/max_tokens: 0",
        ),
        (body(version, 9, 2.0, json!([turn("user", "a")])), "#/top_p: 2"),
        (body(version, 9, 1.0, json!([])), "'messages'"),
        (
            body(version, 9, 1.0, json!([turn("assistant", "a")])),
            "must start with a user message",
        ),
        (
            body(version, 9, 1.0, json!([turn("user", " ")])),
            "messages.0: all messages",
        ),
    ];
    for (body, expected) in cases {
        let call = client
            .invoke_model()
            .model_id(MODEL)
            .body(Blob::new(body.to_string()));
        let error = call.send().await.unwrap_err().into_service_error();
        assert!(error.is_validation_exception(), "{body}: {error:?}");
        assert!(error.message().unwrap().contains(expected), "{body}: {error:?}");
    }
    let mut limited = body(version, 9, 1.0, json!([turn("user", "a")]));
    limited["output_config"] =
        json!({ "format": { "type": "json_schema", "schema": { "type": "string", "maxLength": 3 } } });
    let call = client
        .invoke_model()
        .model_id(MODEL)
        .body(Blob::new(limited.to_string()));
    let error = call.send().await.unwrap_err().into_service_error();
    assert!(error.message().unwrap().contains("'maxLength'"), "{error:?}");
    let twice = body(version, 9, 1.0, json!([turn("user", "a"), turn("user", "b")]));
    let call = client
        .invoke_model()
        .model_id(MODEL)
        .body(Blob::new(twice.to_string()));
    call.send().await.unwrap();
}

#[tokio::test]
async fn a_schema_that_bedrock_would_refuse_is_refused_unless_the_script_takes_it() {
    let schema = |text: &str| {
        let definition = JsonSchemaDefinition::builder()
            .name("answer")
            .schema(text)
            .build();
        let format = OutputFormat::builder()
            .r#type(OutputFormatType::JsonSchema)
            .structure(OutputFormatStructure::JsonSchema(definition.unwrap()));
        OutputConfig::builder()
            .text_format(format.build().unwrap())
            .build()
    };
    let long = r#"{"type":"string","maxLength":3}"#;
    let cases = [
        (JsonSchemas::Bedrock, r#"{"type":"string"}"#, None),
        (
            JsonSchemas::Bedrock,
            long,
            Some("For 'string' type, property 'maxLength' is not supported"),
        ),
        (JsonSchemas::All, long, None),
        (
            JsonSchemas::None,
            r#"{"type":"string"}"#,
            Some("output_config.format: Extra inputs"),
        ),
    ];
    for (taken, text, refusal) in cases {
        let server = serve(Script::default().json_schemas(taken)).await;
        let call = client(&server.url()).converse().model_id(MODEL);
        let answer = call
            .messages(user("Hello"))
            .output_config(schema(text))
            .send()
            .await;
        match (answer, refusal) {
            (Ok(_), None) => {}
            (Err(error), Some(expected)) => {
                let error = error.into_service_error();
                assert!(error.is_validation_exception(), "{text}: {error:?}");
                assert!(error.message().unwrap().contains(expected), "{text}: {error:?}");
            }
            (answer, _) => panic!("{taken:?} {text}: {answer:?}"),
        }
    }
}
