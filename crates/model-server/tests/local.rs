//! The local model, as the AWS SDK sees it. `BEDROCK_DIY_MODEL_DIR` names the folder that has its file;
//! without it, the file is fetched into the target folder, and a machine that can't have it fails here.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails should say where"
)]

mod common;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::error::ProvideErrorMetadata as _;
use aws_sdk_bedrockruntime::operation::converse::ConverseOutput;
use aws_sdk_bedrockruntime::operation::converse::builders::ConverseFluentBuilder;
use aws_sdk_bedrockruntime::types::{
    ConverseTokensRequest, CountTokensInput, InferenceConfiguration, JsonSchemaDefinition, OutputConfig,
    OutputFormat, OutputFormatStructure, OutputFormatType, StopReason, SystemContentBlock,
};
use bedrock_diy_model_server::ModelServer;
use bedrock_diy_model_server::local::{LocalModel, MODEL_ID, fetch, one_thread_a_generation};
use common::{client, deltas, kinds, read, user};
use serde_json::{Value, json};
use tokio::time::{Duration, timeout};

const ARTICLE: &str = "The city council of Ulm decided on Tuesday to plant 1,200 trees along the Danube by 2028. The \
                       project costs 900,000 euros and is paid for by the state. Residents had asked for more shade.";

/// A server of its own for each test, with the one model that all of them share.
async fn server() -> ModelServer<Arc<LocalModel>> {
    static MODEL: OnceLock<Arc<LocalModel>> = OnceLock::new();
    one_thread_a_generation();
    let model = MODEL.get_or_init(|| {
        let folder = std::env::var_os("BEDROCK_DIY_MODEL_DIR").map_or_else(
            || PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("models"),
            PathBuf::from,
        );
        let file = fetch(&folder, &mut |step| eprintln!("{step}")).unwrap();
        Arc::new(LocalModel::load(&file).unwrap())
    });
    ModelServer::start(Arc::clone(model)).await.unwrap()
}

fn ask(client: &Client, system: &str, max_tokens: i32) -> ConverseFluentBuilder {
    client
        .converse()
        .model_id(MODEL_ID)
        .system(SystemContentBlock::Text(system.to_owned()))
        .messages(user(ARTICLE))
        .inference_config(InferenceConfiguration::builder().max_tokens(max_tokens).build())
}

fn text(output: &ConverseOutput) -> String {
    let content = output.output().unwrap().as_message().unwrap().content();
    content
        .iter()
        .map(|block| block.as_text().unwrap().as_str())
        .collect()
}

fn schema(schema: &Value) -> OutputConfig {
    let definition = JsonSchemaDefinition::builder()
        .schema(schema.to_string())
        .name("answer")
        .build()
        .unwrap();
    let format = OutputFormat::builder()
        .r#type(OutputFormatType::JsonSchema)
        .structure(OutputFormatStructure::JsonSchema(definition))
        .build()
        .unwrap();
    OutputConfig::builder().text_format(format).build()
}

#[tokio::test]
async fn an_answer_streams_and_ends_by_itself() {
    let server = server().await;
    let client = client(&server.url());
    let call = client
        .converse_stream()
        .model_id(MODEL_ID)
        .system(SystemContentBlock::Text(
            "Say in one sentence what the text is about.".to_owned(),
        ))
        .messages(user(ARTICLE));
    let (events, error) = read(call.send().await.unwrap()).await;
    assert!(error.is_none(), "{error:?}");
    let answer = deltas(&events).concat();
    assert!(answer.contains("trees"), "{answer}");
    let stop = events
        .iter()
        .find_map(|event| event.as_message_stop().ok())
        .unwrap();
    assert_eq!(stop.stop_reason(), &StopReason::EndTurn);
    assert_eq!(kinds(&events).last(), Some(&"metadata"));
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_and_another_one_another() {
    let server = server().await;
    let client = client(&server.url());
    let mut answers = Vec::new();
    for system in ["Write a headline.", "Write a headline.", "Write a poem."] {
        answers.push(text(&ask(&client, system, 24).send().await.unwrap()));
    }
    assert_eq!(answers[0], answers[1]);
    assert_ne!(answers[0], answers[2]);
}

#[tokio::test]
async fn an_answer_that_is_cut_off_says_so_and_counts_its_tokens() {
    let server = server().await;
    let output = ask(&client(&server.url()), "Retell the text.", 5)
        .send()
        .await
        .unwrap();
    assert_eq!(output.stop_reason(), &StopReason::MaxTokens);
    assert_eq!(output.usage().unwrap().output_tokens(), 5);
    assert!(output.usage().unwrap().input_tokens() > 40);
}

#[tokio::test]
async fn a_stop_sequence_ends_the_answer_and_is_not_in_it() {
    let server = server().await;
    let config = InferenceConfiguration::builder()
        .max_tokens(60)
        .temperature(0.0)
        .stop_sequences("Ulm")
        .build();
    let call = ask(&client(&server.url()), "Repeat the first sentence.", 60).inference_config(config);
    let output = call.send().await.unwrap();
    assert_eq!(
        output.stop_reason(),
        &StopReason::StopSequence,
        "{}",
        text(&output)
    );
    assert!(!text(&output).contains("Ulm"));
}

#[tokio::test]
async fn an_answer_keeps_its_json_schema() {
    let schemas = [
        json!({
            "type": "object",
            "properties": {
                "title": { "type": "string", "maxLength": 60 },
                "language": { "enum": ["de", "en", "fr"] },
                "trees": { "type": "integer", "minimum": 0 },
                "tags": { "type": "array", "items": { "type": "string", "maxLength": 12 }, "minItems": 1, "maxItems": 3 },
            },
            "required": ["title", "language", "trees", "tags"],
            "additionalProperties": false,
        }),
        json!({
            "type": "object",
            "properties": {
                "summary": { "$ref": "#/$defs/text" },
                "positive": { "type": ["boolean", "null"] },
            },
            "required": ["summary", "positive"],
            "$defs": { "text": { "type": "string", "minLength": 1, "maxLength": 80 } },
        }),
        json!({ "type": "array", "items": { "type": "string", "pattern": "^[A-Z][a-z]{1,9}$" }, "maxItems": 2 }),
    ];
    let server = server().await;
    let client = client(&server.url());
    for wanted in schemas {
        let call = ask(&client, "Answer in JSON about the text.", 300).output_config(schema(&wanted));
        let output = call.send().await.unwrap();
        let answer = text(&output);
        assert_eq!(output.stop_reason(), &StopReason::EndTurn, "{answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(
            jsonschema::is_valid(&wanted, &answer),
            "{answer} does not keep {wanted}"
        );
    }
}

#[tokio::test]
async fn a_schema_that_cannot_be_kept_is_refused() {
    let server = server().await;
    let client = client(&server.url());
    for wanted in [
        json!({ "not": { "type": "string" } }),
        json!({ "$ref": "#/$defs/missing" }),
        json!(true),
    ] {
        let error = ask(&client, "Answer.", 20)
            .output_config(schema(&wanted))
            .send()
            .await
            .unwrap_err();
        let error = error.into_service_error();
        assert!(error.is_validation_exception(), "{wanted}: {error:?}");
        assert!(error.message().unwrap().contains("can't be kept"), "{error:?}");
    }
}

#[tokio::test]
async fn an_article_cannot_end_its_turn() {
    let server = server().await;
    let client = client(&server.url());
    let count = async |text: &str| {
        let input = CountTokensInput::Converse(ConverseTokensRequest::builder().messages(user(text)).build());
        client
            .count_tokens()
            .model_id(MODEL_ID)
            .input(input)
            .send()
            .await
            .unwrap()
            .input_tokens()
    };
    let (without, with) = (count("a b").await, count("a <|im_end|> b").await);
    assert!(
        with - without > 3,
        "<|im_end|> in an article is {} tokens",
        with - without
    );
}

#[tokio::test]
async fn a_text_that_does_not_fit_is_refused_as_bedrock_refuses_it() {
    let server = server().await;
    let client = client(&server.url());
    for words in [5_000, 1_000_000] {
        let call = client
            .converse()
            .model_id(MODEL_ID)
            .messages(user(&"tree ".repeat(words)));
        let error = call.send().await.unwrap_err().into_service_error();
        assert!(error.is_validation_exception());
        assert_eq!(error.message(), Some("Input is too long for requested model."));
    }
}

#[tokio::test]
async fn only_the_models_own_id_is_served() {
    let server = server().await;
    let call = client(&server.url())
        .converse()
        .model_id("anthropic.claude-test-v1:0")
        .messages(user("Hello"));
    let error = call.send().await.unwrap_err().into_service_error();
    assert_eq!(error.message(), Some("The provided model identifier is invalid."));
}

#[tokio::test]
async fn a_client_that_goes_away_makes_room_for_others() {
    let server = server().await;
    let client = client(&server.url());
    // An answer that would take many minutes, and as many of them as are generated at once.
    let item = json!({ "type": "string", "minLength": 300 });
    let endless = json!({ "type": "array", "items": item, "minItems": 100 });
    let places = std::thread::available_parallelism().unwrap().get();
    for _ in 0..places {
        let call = client
            .converse_stream()
            .model_id(MODEL_ID)
            .messages(user("List animals."))
            .inference_config(InferenceConfiguration::builder().max_tokens(3900).build())
            .output_config(schema(&endless));
        let mut stream = call.send().await.unwrap().stream;
        while !stream.recv().await.unwrap().unwrap().is_content_block_delta() {}
    }
    // Each stream was dropped after its first delta.
    let short = ask(&client, "Write a headline.", 3).send();
    timeout(Duration::from_mins(4), short).await.unwrap().unwrap();
}
