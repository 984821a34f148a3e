//! Services that throttle, fail, hang up and are slow.

use bedrock_diy_model_server::{
    Breakage, ErrorKind,
    scripted::{Reply, Rule, Script},
};
use serde_json::{Value, json};

use crate::{Flight, faithful, stack};

/// A fault: the project that meets it, how calls fail, and which operations must have failed how often, or else
/// the test has shown nothing.
struct Fault {
    project: &'static str,
    rules: Value,
    failed: &'static [(&'static str, usize)],
}

fn faults() -> [Fault; 5] {
    [
        Fault {
            project: "dynamodb-fails",
            rules: json!([
                {"service": "dynamodb", "probability": 0.2, "error": {"code": "ProvisionedThroughputExceededException"}},
                {"service": "dynamodb", "probability": 0.1, "error": {"code": "InternalServerError"}},
                {"service": "dynamodb", "probability": 0.05, "reset": true},
                // It was written, and nobody heard.
                {"service": "dynamodb", "operation": "TransactWriteItems", "probability": 0.2, "response": {"abort_bytes": 0}},
            ]),
            failed: &[("TransactWriteItems", 100), ("GetItem", 100)],
        },
        Fault {
            project: "s3-fails",
            rules: json!([
                {"service": "s3", "probability": 0.1, "reset": true},
                {"service": "s3", "probability": 0.1, "error": {"code": "SlowDown"}},
                {"service": "s3", "operation": "GetObject", "probability": 0.2, "response": {"abort_frac": 0.5}},
                // It was stored, and nobody heard.
                {"service": "s3", "operation": "PutObject", "probability": 0.1, "response": {"abort_bytes": 0}},
                {"service": "s3", "probability": 0.2, "latency": {"min": 200, "max": 1500}},
            ]),
            failed: &[("PutObject", 50), ("GetObject", 50)],
        },
        // A message whose execution can't be started goes back to the queue, or is sent anew: both are calls of
        // SQS.
        Fault {
            project: "nothing-starts",
            rules: json!([
                {"service": "stepfunctions", "probability": 0.75, "error": {"code": "ThrottlingException"}},
                // It was started, and nobody heard.
                {"service": "stepfunctions", "probability": 0.3, "response": {"abort_bytes": 0}},
                {"service": "sqs", "probability": 0.3, "error": {"code": "ServiceUnavailable"}},
            ]),
            failed: &[("StartExecution", 100), ("ChangeMessageVisibility", 5)],
        },
        Fault {
            project: "the-bus-fails",
            rules: json!([
                {"service": "events", "probability": 0.2, "error": {"code": "InternalException", "status": 500}},
                {"service": "events", "probability": 0.1, "reset": true},
                {"service": "events", "probability": 0.2, "response": {"abort_bytes": 0}},
            ]),
            failed: &[("PutEvents", 100)],
        },
        Fault {
            project: "all-is-away",
            rules: json!([
                {"service": "*", "ttl_s": 20, "error": {"code": "ServiceUnavailable", "status": 503}},
            ]),
            failed: &[("GetItem", 10)],
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_articles_outlive_each_service() {
    let stack = stack().await;
    for fault in faults() {
        let flight = Flight::start(&stack, fault.project, &fault.rules).await;
        flight.lands().await;
        assert_eq!(flight.calls(), flight.stages(), "each stage was asked once");
        for (operation, least) in fault.failed {
            let failed = stack.failed(operation).await;
            println!("{}: {operation} failed {failed} times", fault.project);
            assert!(failed >= *least, "{}: {operation}", fault.project);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_articles_outlive_bedrock() {
    let stack = stack().await;
    let cut = |breakage| {
        let reply = Reply::text("a b c d e f g h").breaks(3, breakage);
        Rule::reply(reply).every(9).times(6)
    };
    let script = Script::default()
        .rule(Rule::error(ErrorKind::Throttling).every(10).times(6))
        .rule(Rule::error(ErrorKind::ServiceUnavailable).every(7).times(10))
        .rule(Rule::disconnect().every(11).times(5))
        .rule(cut(Breakage::Cut))
        .rule(cut(Breakage::Garbage));
    stack.model.set_script(faithful(script));
    let flight = Flight::start(&stack, "bedrock-fails", &json!([])).await;
    flight.lands().await;
    assert_eq!(stack.model.ended("ThrottlingException"), 6);
    assert_eq!(stack.model.ended("ServiceUnavailableException"), 10);
}
