//! Whatever bytes a client sends, it gets an answer or a `ValidationException`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails should say where"
)]

use bedrock_diy_model_server::wire::request::parse;
use bedrock_diy_model_server::{ErrorKind, Operation};
use proptest::prelude::*;
use serde_json::{Value, json};

const OPERATIONS: [Operation; 3] = [
    Operation::Converse,
    Operation::InvokeModel,
    Operation::CountTokens,
];

fn parses_or_is_refused(body: &[u8]) {
    for operation in OPERATIONS {
        match parse(operation, "m", body.to_vec().into()) {
            Ok(request) => {
                assert!(!request.messages.is_empty());
                request.content_hash();
            }
            Err(error) => assert_eq!(error.kind, ErrorKind::Validation),
        }
    }
}

/// Values that are like a request in places, and like nothing in others.
fn almost_a_request() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!("user")),
        Just(json!("assistant")),
        Just(json!("bedrock-2023-05-31")),
        Just(json!("json_schema")),
    ];
    let key = prop::sample::select(vec![
        "messages",
        "role",
        "content",
        "text",
        "system",
        "inferenceConfig",
        "maxTokens",
        "temperature",
        "outputConfig",
        "textFormat",
        "type",
        "structure",
        "jsonSchema",
        "schema",
        "anthropic_version",
        "max_tokens",
        "input",
        "converse",
        "invokeModel",
        "body",
        "guardContent",
        "image",
        "requestMetadata",
    ]);
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|fields| fields
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..400)) {
        parses_or_is_refused(&body);
    }

    #[test]
    fn arbitrary_json_never_panics(value in almost_a_request()) {
        parses_or_is_refused(value.to_string().as_bytes());
    }

    #[test]
    fn the_text_of_a_valid_request_arrives_unchanged(text in "\\PC{1,60}", system in "\\PC{1,60}") {
        prop_assume!(!text.trim().is_empty() && !system.trim().is_empty());
        let body = json!({
            "system": [{ "text": system }],
            "messages": [{ "role": "user", "content": [{ "text": text }] }],
        });
        let request = parse(Operation::Converse, "m", body.to_string().into()).unwrap();
        prop_assert_eq!(request.last_user_text(), text);
        prop_assert_eq!(&request.system, &system);
    }
}

#[test]
fn nesting_without_end_is_refused() {
    parses_or_is_refused("[".repeat(100_000).as_bytes());
    let deep = format!(r#"{{"messages":{}}}"#, r#"{"a":"#.repeat(100_000));
    parses_or_is_refused(deep.as_bytes());
}
