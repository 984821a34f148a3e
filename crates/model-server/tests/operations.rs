//! Each operation, as the AWS SDK sees it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails should say where"
)]

mod common;

use aws_sdk_bedrockruntime::primitives::Blob;
use aws_sdk_bedrockruntime::types::{
    ContentBlock, ConversationRole, ConverseTokensRequest, CountTokensInput, InvokeModelTokensRequest,
    ResponseStream, StopReason as SdkStopReason, SystemContentBlock,
};
use aws_smithy_types::Number;
use bedrock_diy_model_server::scripted::{Reply, Rule};
use bedrock_diy_model_server::{StopReason, Usage};
use common::{MODEL, ask, client, deltas, kinds, message, read, server, user};
use serde_json::{Value, json};

#[tokio::test]
async fn converse_answers_with_text_usage_and_metrics() {
    let usage = Usage {
        input_tokens: 12,
        output_tokens: 3,
        cache_read_input_tokens: 5,
        ..Usage::default()
    };
    let server = server([Rule::reply(Reply::text("Good morning.").usage(usage))]).await;
    let output = client(&server.url())
        .converse()
        .model_id(MODEL)
        .messages(user("Hello"))
        .send()
        .await
        .unwrap();
    let answer = output.output().unwrap().as_message().unwrap();
    assert_eq!(answer.role(), &ConversationRole::Assistant);
    assert_eq!(answer.content(), [ContentBlock::Text("Good morning.".to_owned())]);
    assert_eq!(output.stop_reason(), &SdkStopReason::EndTurn);
    let usage = output.usage().unwrap();
    assert_eq!(
        (usage.input_tokens(), usage.output_tokens(), usage.total_tokens()),
        (12, 3, 20)
    );
    assert_eq!(usage.cache_read_input_tokens(), Some(5));
    assert!(output.metrics().is_some());
}

#[tokio::test]
async fn converse_stream_sends_its_events_in_bedrocks_order() {
    let server = server([Rule::reply(Reply::text("Grüße aus Ulm \u{1f600}").chunks(3))]).await;
    let (events, error) = read(ask(&client(&server.url()), "Hello").send().await.unwrap()).await;
    assert!(error.is_none(), "{error:?}");
    let expected = [
        "messageStart",
        "contentBlockDelta",
        "contentBlockDelta",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ];
    assert_eq!(kinds(&events), expected);
    assert_eq!(deltas(&events).concat(), "Grüße aus Ulm \u{1f600}");
    let metadata = events.last().unwrap().as_metadata().unwrap();
    assert!(metadata.usage().unwrap().total_tokens() > 0);
    assert!(metadata.metrics().is_some());
}

#[tokio::test]
async fn every_stop_reason_reaches_the_client() {
    let reasons = [
        (StopReason::MaxTokens, SdkStopReason::MaxTokens),
        (StopReason::StopSequence, SdkStopReason::StopSequence),
        (
            StopReason::GuardrailIntervened,
            SdkStopReason::GuardrailIntervened,
        ),
        (StopReason::ContentFiltered, SdkStopReason::ContentFiltered),
        (
            StopReason::ModelContextWindowExceeded,
            SdkStopReason::ModelContextWindowExceeded,
        ),
    ];
    for (ours, theirs) in reasons {
        let server = server([Rule::reply(Reply::text("Text").stop_reason(ours))]).await;
        let client = client(&server.url());
        let whole = client
            .converse()
            .model_id(MODEL)
            .messages(user("Hello"))
            .send()
            .await
            .unwrap();
        assert_eq!(whole.stop_reason(), &theirs);
        let (events, _) = read(ask(&client, "Hello").send().await.unwrap()).await;
        let stop = events
            .iter()
            .find_map(|event| event.as_message_stop().ok())
            .unwrap();
        assert_eq!(stop.stop_reason(), &theirs);
    }
}

#[tokio::test]
async fn a_tool_use_comes_with_its_name_and_input() {
    let server = server([Rule::reply(Reply::tool_use("lookup", json!({ "id": 7 })))]).await;
    let client = client(&server.url());
    let output = client
        .converse()
        .model_id(MODEL)
        .messages(user("Hello"))
        .send()
        .await
        .unwrap();
    assert_eq!(output.stop_reason(), &SdkStopReason::ToolUse);
    let tool_use = output.output().unwrap().as_message().unwrap().content()[0]
        .as_tool_use()
        .unwrap();
    assert_eq!(tool_use.name(), "lookup");
    assert_eq!(
        tool_use.input().as_object().unwrap()["id"].as_number().unwrap(),
        &Number::PosInt(7)
    );
    let (events, _) = read(ask(&client, "Hello").send().await.unwrap()).await;
    let expected = [
        "messageStart",
        "contentBlockStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ];
    assert_eq!(kinds(&events), expected);
}

#[tokio::test]
async fn a_template_echoes_the_request_and_the_same_request_gives_the_same_hash() {
    let server = server([Rule::reply(Reply::template("${user:5}|${system}|${hash}"))]).await;
    let client = client(&server.url());
    let mut answers = Vec::new();
    for text in ["Hello there", "Hello there", "Hello again"] {
        answers.push(deltas(&read(ask(&client, text).send().await.unwrap()).await.0).concat());
    }
    assert!(answers[0].starts_with("Hello|Be brief.|"), "{}", answers[0]);
    assert_eq!(answers[0], answers[1]);
    assert_ne!(answers[0], answers[2]);
}

#[tokio::test]
async fn model_arns_are_served_as_they_are() {
    let arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-test-v1:0";
    let server = server([Rule::reply(Reply::template("${model}"))]).await;
    let output = client(&server.url())
        .converse()
        .model_id(arn)
        .messages(user("Hello"))
        .send()
        .await
        .unwrap();
    let answer = output.output().unwrap().as_message().unwrap();
    assert_eq!(answer.content(), [ContentBlock::Text(arn.to_owned())]);
}

fn messages_body(text: &str) -> Blob {
    let body = json!({
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 100,
        "system": "Be brief.",
        "messages": [{ "role": "user", "content": [{ "type": "text", "text": text }] }],
    });
    Blob::new(body.to_string())
}

#[tokio::test]
async fn invoke_model_answers_an_anthropic_messages_body() {
    let server = server([Rule::reply(Reply::template("${system} ${user}"))]).await;
    let call = client(&server.url())
        .invoke_model()
        .model_id(MODEL)
        .body(messages_body("Hello"));
    let output = call.content_type("application/json").send().await.unwrap();
    assert_eq!(output.content_type(), "application/json");
    let answer: Value = serde_json::from_slice(output.body().as_ref()).unwrap();
    assert_eq!(answer["type"], "message");
    assert_eq!(answer["role"], "assistant");
    assert_eq!(
        answer["content"],
        json!([{ "type": "text", "text": "Be brief. Hello" }])
    );
    assert_eq!(answer["stop_reason"], "end_turn");
    assert!(answer["usage"]["output_tokens"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn invoke_model_streams_anthropic_events_in_chunks() {
    let server = server([Rule::reply(Reply::text("Good morning.").chunks(2))]).await;
    let call = client(&server.url())
        .invoke_model_with_response_stream()
        .model_id(MODEL)
        .body(messages_body("Hello"));
    let mut body = call.send().await.unwrap().body;
    let mut events = Vec::new();
    while let Some(ResponseStream::Chunk(chunk)) = body.recv().await.unwrap() {
        events.push(serde_json::from_slice::<Value>(chunk.bytes().unwrap().as_ref()).unwrap());
    }
    let types: Vec<&str> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    let expected = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(types, expected);
    assert_eq!(events[5]["delta"]["stop_reason"], "end_turn");
    assert!(
        events[6]["amazon-bedrock-invocationMetrics"]["outputTokenCount"]
            .as_u64()
            .unwrap()
            > 0
    );
}

#[tokio::test]
async fn tokens_are_counted_for_converse_and_for_messages_bodies() {
    let server = server([]).await;
    let client = client(&server.url());
    let converse = ConverseTokensRequest::builder()
        .system(SystemContentBlock::Text("abcd".to_owned()))
        .messages(user("efgh"))
        .messages(message(ConversationRole::Assistant, "ijkl"))
        .messages(user("mnop"))
        .build();
    let invoke = InvokeModelTokensRequest::builder()
        .body(messages_body("Hello, world!!!"))
        .build()
        .unwrap();
    for (input, expected) in [
        (CountTokensInput::Converse(converse), 4),
        (CountTokensInput::InvokeModel(invoke), 6),
    ] {
        let output = client
            .count_tokens()
            .model_id(MODEL)
            .input(input)
            .send()
            .await
            .unwrap();
        assert_eq!(output.input_tokens(), expected);
    }
}
