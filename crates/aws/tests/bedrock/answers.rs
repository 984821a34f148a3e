//! What becomes of answers, and what is asked for.

use std::time::Duration;

use crate::support::{Canned, LONG, bedrock, event, request};
use bedrock_diy_core::{
    error::Code,
    model::{Message, ModelRequest, StopReason, Usage},
    ports::Model,
    project::{Guardrail, InferenceParameters},
};
use bedrock_diy_model_server::{
    Breakage, ErrorKind, ModelServer, Settings,
    scripted::{Failure, Reply, Rule, Script, ScriptedModel, Then},
};
use serde_json::{Value, json};

async fn server(rule: Rule) -> ModelServer<ScriptedModel> {
    let settings = Settings {
        keep_bodies: true,
        ..Settings::default()
    };
    let model = ScriptedModel::new(Script::default().rule(rule)).unwrap();
    ModelServer::start_with(model, settings).await.unwrap()
}

fn body(server: &ModelServer<ScriptedModel>) -> Value {
    let requests = server.requests();
    serde_json::from_str(requests[0].body.as_deref().unwrap()).unwrap()
}

#[tokio::test]
async fn deltas_arrive_in_order_and_make_up_the_answer() {
    let text = "Bridge closed until spring, council decides.";
    let server = server(Rule::reply(Reply::text(text).chunks(5))).await;
    let mut deltas = Vec::new();
    let answer = bedrock(server.url())
        .await
        .converse(&request(), LONG, &mut |delta| deltas.push(delta.to_owned()))
        .await
        .unwrap();
    assert_eq!(answer.text, text);
    assert_eq!(answer.stop_reason, StopReason::EndTurn);
    assert!(deltas.len() > 1, "{deltas:?}");
    assert_eq!(deltas.concat(), text);
}

#[tokio::test]
async fn characters_that_are_split_between_chunks_stay_whole() {
    let text = "노르트하펜의 오래된 다리 — 봄까지 폐쇄 🌉";
    let drip = Breakage::Drip {
        bytes: 1,
        every_ms: 0,
    };
    let server = server(Rule::reply(Reply::text(text).chunks(3).breaks(0, drip))).await;
    let answer = bedrock(server.url())
        .await
        .converse(&request(), LONG, &mut |_| {})
        .await
        .unwrap();
    assert_eq!(answer.text, text);
}

#[tokio::test]
async fn everything_that_was_said_goes_over_the_wire() {
    let server = server(Rule::text("{}")).await;
    let mut request = request();
    request.parameters = InferenceParameters {
        max_tokens: Some(100),
        temperature: Some(0.25),
        top_p: Some(0.5),
        stop_sequences: vec!["###".into()],
    };
    request.messages = vec![
        Message::user("One"),
        Message::assistant("Two"),
        Message::user("Three \"quoted\" \u{1f}"),
    ];
    request.guardrail = Some(Guardrail {
        id: "gr-1".into(),
        version: "DRAFT".into(),
    });
    request.output_schema = Some(json!({"type": "string", "maxLength": 9}));
    request.send_schema = true;
    let answer = bedrock(server.url())
        .await
        .converse(&request, LONG, &mut |_| {})
        .await;
    answer.unwrap();
    assert_eq!(
        body(&server),
        json!({
            "system": [{"text": request.system}],
            "messages": [
                {"role": "user", "content": [{"text": "One"}]},
                {"role": "assistant", "content": [{"text": "Two"}]},
                {"role": "user", "content": [{"text": "Three \"quoted\" \u{1f}"}]},
            ],
            "inferenceConfig": {"maxTokens": 100, "temperature": 0.25, "topP": 0.5, "stopSequences": ["###"]},
            "guardrailConfig": {
                "guardrailIdentifier": "gr-1", "guardrailVersion": "DRAFT",
                "trace": "disabled", "streamProcessingMode": "sync",
            },
            "outputConfig": {"textFormat": {
                "type": "json_schema",
                "structure": {"jsonSchema": {
                    "name": "answer",
                    "schema": r#"{"type":"string","description":"{\"maxLength\":9}"}"#,
                }},
            }},
        })
    );
}

#[tokio::test]
async fn what_was_not_said_is_not_sent() {
    let server = server(Rule::text("Yes.")).await;
    let mut request = request();
    request.system = String::new();
    let answer = bedrock(server.url())
        .await
        .converse(&request, LONG, &mut |_| {})
        .await;
    answer.unwrap();
    let Value::Object(body) = body(&server) else {
        panic!("the body is no object");
    };
    assert_eq!(body.keys().collect::<Vec<_>>(), ["messages"]);
}

fn with_schema(schema: &Value, send: bool) -> ModelRequest {
    ModelRequest {
        output_schema: Some(schema.clone()),
        send_schema: send,
        ..request()
    }
}

fn system_texts(body: &Value) -> Vec<&str> {
    let blocks = body["system"].as_array().unwrap();
    blocks
        .iter()
        .map(|block| block["text"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_model_that_is_not_held_to_the_schema_is_told_it_in_words() {
    let flat = json!({"type": "object", "properties": {"title": {"type": "string", "maxLength": 9}}});
    let tree = json!({"type": "array", "items": {"$ref": "#"}});
    for (schema, send) in [(flat, false), (tree, true)] {
        let server = server(Rule::text("[]")).await;
        let request = with_schema(&schema, send);
        let bedrock = bedrock(server.url()).await;
        bedrock.converse(&request, LONG, &mut |_| {}).await.unwrap();
        let body = body(&server);
        assert!(body.get("outputConfig").is_none(), "{body}");
        let [prompt, words] = system_texts(&body)[..] else {
            panic!("{body}")
        };
        assert_eq!(prompt, request.system);
        assert!(words.ends_with(&format!(":\n{schema}")), "{words}");
    }
}

#[tokio::test]
async fn schemas_with_keywords_that_bedrock_refuses_are_answered() {
    let server = server(Rule::text("{}")).await;
    let bedrock = bedrock(server.url()).await;
    for schema in [
        json!({"type": "integer", "minimum": 1, "exclusiveMaximum": 9, "multipleOf": 2}),
        json!({"type": "string", "minLength": 1, "maxLength": 9, "pattern": "(?i)a", "format": "iri"}),
        json!({"type": "array", "items": {"type": "number", "maximum": 1}, "minItems": 2, "maxItems": 3}),
        json!({"type": "object", "properties": {"a": {"oneOf": [{"type": "string"}, {"type": "null"}]}}}),
        json!({"type": "object", "properties": {"a": {"allOf": [{"$ref": "#/definitions/b"}]}},
               "definitions": {"b": {"properties": {"c": {"enum": ["d"]}}, "minProperties": 1}}}),
    ] {
        let request = with_schema(&schema, true);
        bedrock.converse(&request, LONG, &mut |_| {}).await.unwrap();
    }
    // Each was sent once, as an output format, and not refused.
    let requests = server.requests();
    assert_eq!(requests.len(), 5);
    for request in requests {
        assert!(request.body.unwrap().contains("outputConfig"));
    }
}

#[tokio::test]
async fn an_output_format_that_is_refused_is_left_out_from_then_on() {
    for message in [
        "The model returned the following errors: output_config.format: Extra inputs are not permitted",
        "The model returned the following errors: The compiled grammar is too large, which would cause \
         performance issues.",
    ] {
        let refusal = Failure {
            kind: ErrorKind::Validation,
            message: Some(message.into()),
        };
        let server = server(Rule::new(Then::Error(refusal)).times(1)).await;
        let bedrock = bedrock(server.url()).await;
        let request = with_schema(&json!({"type": "string"}), true);
        for _ in 0..2 {
            bedrock.converse(&request, LONG, &mut |_| {}).await.unwrap();
        }
        let requests = server.requests();
        let formats: Vec<_> = requests
            .iter()
            .map(|request| request.body.as_deref().unwrap().contains("outputConfig"))
            .collect();
        assert_eq!(formats, [true, false, false], "{message}");
    }
}

#[tokio::test]
async fn what_a_guardrail_keeps_from_the_model_uses_no_tokens() {
    let answer = Canned::stream(&[
        event("messageStop", &json!({"stopReason": "guardrail_intervened"})),
        event(
            "metadata",
            &json!({"usage": {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}}),
        ),
    ]);
    let answer = answer.asked(&request()).await.unwrap();
    assert_eq!(answer.stop_reason, StopReason::GuardrailIntervened);
    assert_eq!(answer.usage, Usage::default());
}

#[tokio::test]
async fn stop_reasons_are_told_in_the_domains_terms() {
    let cases = [
        ("end_turn", StopReason::EndTurn),
        ("stop_sequence", StopReason::StopSequence),
        ("max_tokens", StopReason::MaxTokens),
        ("model_context_window_exceeded", StopReason::MaxTokens),
        ("guardrail_intervened", StopReason::GuardrailIntervened),
        ("content_filtered", StopReason::ContentFiltered),
        ("refusal", StopReason::ContentFiltered),
        ("tool_use", StopReason::Other("tool_use".into())),
        ("something_new", StopReason::Other("something_new".into())),
    ];
    for (said, expected) in cases {
        let answer = Canned::stream(&[
            event("messageStop", &json!({"stopReason": said})),
            event(
                "metadata",
                &json!({"usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}}),
            ),
        ]);
        assert_eq!(
            answer.asked(&request()).await.unwrap().stop_reason,
            expected,
            "{said}"
        );
    }
}

#[tokio::test]
async fn reasoning_and_unknown_events_are_no_part_of_an_answer() {
    let delta = |delta: &Value| {
        event(
            "contentBlockDelta",
            &json!({"contentBlockIndex": 0, "delta": delta}),
        )
    };
    let answer = Canned::stream(&[
        event("messageStart", &json!({"role": "assistant"})),
        delta(&json!({"reasoningContent": {"text": "The article is about a bridge."}})),
        event("contentBlockStop", &json!({"contentBlockIndex": 0})),
        event("somethingNew", &json!({"a": 1})),
        delta(&json!({"text": "Bridge "})),
        delta(&json!({"somethingNew": {"b": 2}})),
        delta(&json!({"text": "closed"})),
        event("messageStop", &json!({"stopReason": "end_turn"})),
        event(
            "metadata",
            &json!({
                "usage": {
                    "inputTokens": 12, "outputTokens": 34, "totalTokens": 46,
                    "cacheReadInputTokens": 56, "cacheWriteInputTokens": 78,
                },
                "metrics": {"latencyMs": 5},
            }),
        ),
    ]);
    let answer = answer.asked(&request()).await.unwrap();
    assert_eq!(answer.text, "Bridge closed");
    assert_eq!(
        answer.usage,
        Usage {
            input_tokens: 12,
            output_tokens: 34,
            cache_read_tokens: 56,
            cache_write_tokens: 78,
        }
    );
}

#[tokio::test]
async fn half_an_answer_is_none() {
    let stop = || event("messageStop", &json!({"stopReason": "end_turn"}));
    let usage = || {
        event(
            "metadata",
            &json!({"usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}}),
        )
    };
    for (what, frames) in [
        ("nothing", vec![]),
        ("no stop reason", vec![usage()]),
        ("no usage", vec![stop()]),
        (
            "metadata without usage",
            vec![stop(), event("metadata", &json!({}))],
        ),
    ] {
        let failure = Canned::stream(&frames).asked(&request()).await.unwrap_err();
        assert_eq!(failure.code, Code::ModelUnavailable, "{what}: {failure}");
    }
    for breakage in [
        Breakage::Cut,
        Breakage::End,
        Breakage::MalformedEvent,
        Breakage::Garbage,
        Breakage::BadChecksum,
    ] {
        let reply = Reply::text("An answer that breaks off")
            .chunks(4)
            .breaks(2, breakage);
        let server = server(Rule::reply(reply)).await;
        let answer = bedrock(server.url())
            .await
            .converse(&request(), LONG, &mut |_| {})
            .await;
        let failure = answer.unwrap_err();
        assert_eq!(failure.code, Code::ModelUnavailable, "{breakage:?}: {failure}");
    }
}

#[tokio::test]
async fn a_silent_model_is_given_up_at_the_deadline() {
    let hangs_at_once = Rule::hang();
    let hangs_midway = Rule::reply(Reply::text("An answer").chunks(4).breaks(2, Breakage::Hang));
    for rule in [hangs_at_once, hangs_midway] {
        let server = server(rule).await;
        let answer = bedrock(server.url())
            .await
            .converse(&request(), Duration::from_millis(200), &mut |_| {})
            .await;
        let failure = answer.unwrap_err();
        assert_eq!(failure.code, Code::ModelTimeout, "{failure}");
    }
}

#[tokio::test]
async fn whoever_calls_decides_about_asking_again() {
    let server = server(Rule::error(ErrorKind::Throttling).times(1)).await;
    let bedrock = bedrock(server.url()).await;
    let failure = bedrock.converse(&request(), LONG, &mut |_| {}).await.unwrap_err();
    assert_eq!(failure.code, Code::ModelThrottled, "{failure}");
    assert_eq!(server.counters().calls, 1);
    bedrock.converse(&request(), LONG, &mut |_| {}).await.unwrap();
}
