//! Functions that die in the middle of their work.

use std::time::Duration;

use bedrock_diy_model_server::scripted::{Reply, Rule, Script};
use serde_json::json;

use crate::Flight;

/// How often the stage function dies: as often as the state machine tries again, so that an article that is
/// hit each time outlives it, too.
const DEATHS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn stages_that_die_after_the_model_answered_pay_for_what_was_in_flight_and_no_more() {
    // The answer is there, and is about to be stored.
    let held = json!([{
        "service": "dynamodb", "operation": "TransactWriteItems",
        "body": "contains(to_string(@), 'stage.completed')", "probability": 0.05, "latency": 2000,
    }]);
    let flight = Flight::start(Script::default(), &held).await;
    let mut killed = 0;
    for _ in 0..DEATHS {
        when_one_more_is_held(&flight, "TransactWriteItems").await;
        killed += flight.stack.kill("stage");
    }
    flight.lands().await;
    let calls = flight.stack.model.calls();
    println!(
        "{calls} calls for {} stages, {killed} functions killed",
        flight.stages()
    );
    assert!(killed >= DEATHS);
    assert!(calls <= flight.stages() + killed as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_dies_after_its_answer_is_stored_pays_nothing_again() {
    let answer = Rule::reply(Reply::template("answer ${hash}"));
    let mut flight = Flight::ready(Script::default().rule(answer), 1).await;
    // The answer is stored, and nobody has been told.
    flight
        .stack
        .fail(&json!([{
            "service": "events", "operation": "PutEvents",
            "body": "Entries[?DetailType=='stage.completed']", "times": DEATHS, "latency": 5000,
        }]))
        .await;
    flight.drop("An article of the bridge.").await;
    for _ in 0..DEATHS {
        when_one_more_is_held(&flight, "PutEvents").await;
        assert_eq!(flight.stack.kill("stage"), 1);
    }
    flight.lands().await;
    assert_eq!(flight.stack.model.calls(), 1);
}

/// Waits until a call of this operation has met the rule that holds it for some seconds.
async fn when_one_more_is_held(flight: &Flight, operation: &str) {
    let before = flight.stack.failed(operation).await;
    while flight.stack.failed(operation).await == before {
        // The proxy is asked, not told, and holds calls for much longer than this.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
