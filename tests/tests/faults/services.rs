//! Services that throttle, fail, hang up and are slow.

use bedrock_diy_model_server::{
    Breakage, ErrorKind,
    scripted::{Reply, Rule, Script},
};
use serde_json::json;

use crate::Flight;

#[tokio::test(flavor = "multi_thread")]
async fn dynamodb_throttles_and_fails() {
    let faults = json!([
        {"service": "dynamodb", "probability": 0.2, "error": {"code": "ProvisionedThroughputExceededException"}},
        {"service": "dynamodb", "probability": 0.1, "error": {"code": "InternalServerError"}},
        {"service": "dynamodb", "probability": 0.05, "reset": true},
        // It was written, and nobody heard.
        {"service": "dynamodb", "operation": "TransactWriteItems", "probability": 0.2, "response": {"abort_bytes": 0}},
    ]);
    let flight = Flight::start(Script::default(), &faults).await;
    flight.lands().await;
    assert!(flight.stack.failed("TransactWriteItems").await > 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_hangs_up_and_is_slow() {
    let faults = json!([
        {"service": "s3", "probability": 0.1, "reset": true},
        {"service": "s3", "probability": 0.1, "error": {"code": "SlowDown"}},
        {"service": "s3", "operation": "GetObject", "probability": 0.2, "response": {"abort_frac": 0.5}},
        {"service": "s3", "operation": "PutObject", "probability": 0.1, "response": {"abort_bytes": 0}},
        {"service": "s3", "probability": 0.2, "latency": {"min": 200, "max": 1500}},
    ]);
    let flight = Flight::start(Script::default(), &faults).await;
    flight.lands().await;
    assert!(flight.stack.failed("PutObject").await > 50);
    assert!(flight.stack.failed("GetObject").await > 50);
}

/// A message whose execution can't be started goes back to the queue, or is sent anew; both are calls of SQS.
#[tokio::test(flavor = "multi_thread")]
async fn executions_are_throttled_and_sqs_fails() {
    let faults = json!([
        {"service": "stepfunctions", "probability": 0.75, "error": {"code": "ThrottlingException"}},
        // It was started, and nobody heard.
        {"service": "stepfunctions", "probability": 0.3, "response": {"abort_bytes": 0}},
        {"service": "sqs", "probability": 0.5, "error": {"code": "ServiceUnavailable"}},
    ]);
    let flight = Flight::start(Script::default(), &faults).await;
    flight.lands().await;
    assert!(flight.stack.failed("StartExecution").await > 100);
    assert!(flight.stack.failed("ChangeMessageVisibility").await > 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bus_fails() {
    let faults = json!([
        {"service": "events", "probability": 0.3, "error": {"code": "InternalException"}},
        {"service": "events", "probability": 0.1, "reset": true},
        {"service": "events", "probability": 0.2, "response": {"abort_bytes": 0}},
    ]);
    let flight = Flight::start(Script::default(), &faults).await;
    flight.lands().await;
    assert!(flight.stack.failed("PutEvents").await > 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_away_for_a_while() {
    let faults =
        json!([{"service": "*", "ttl_s": 25, "error": {"code": "ServiceUnavailable", "status": 503}}]);
    let flight = Flight::start(Script::default(), &faults).await;
    flight.lands().await;
    assert!(flight.stack.failed("GetItem").await > 0);
    assert_eq!(
        flight.stack.model.calls(),
        flight.stages(),
        "each stage was asked once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bedrock_throttles_fails_and_cuts_its_streams() {
    let cut = |breakage| {
        let reply = Reply::text("a b c d e f g h").breaks(3, breakage);
        Rule::reply(reply).every(9).times(6)
    };
    let script = Script::default()
        .rule(Rule::error(ErrorKind::Throttling).times(30))
        .rule(Rule::error(ErrorKind::ServiceUnavailable).every(7).times(10))
        .rule(Rule::disconnect().every(11).times(5))
        .rule(cut(Breakage::Cut))
        .rule(cut(Breakage::Garbage));
    let flight = Flight::start(script, &json!([])).await;
    flight.lands().await;
    assert_eq!(flight.stack.model.ended("ThrottlingException"), 30);
    assert_eq!(flight.stack.model.ended("ServiceUnavailableException"), 10);
}
