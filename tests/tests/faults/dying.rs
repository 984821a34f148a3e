//! Functions that die in the middle of their work.

use std::time::Duration;

use bedrock_diy_tests::Faulty;
use serde_json::json;

use crate::{Flight, stack};

/// How often the stage function dies: as often as the state machine tries again, so that an article that is
/// hit each time outlives it, too.
const DEATHS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_articles_outlive_dying_functions() {
    let stack = stack().await;
    // The answer is there, and is about to be stored.
    let held = json!([{
        "service": "dynamodb", "operation": "TransactWriteItems",
        "body": "contains(to_string(@), 'stage.completed')", "probability": 0.05, "latency": 2000,
    }]);
    let flight = Flight::start(&stack, "stages-die", &held).await;
    let mut killed = 0;
    for _ in 0..DEATHS {
        when_one_more_is_held(&stack, "TransactWriteItems").await;
        killed += stack.kill("stage");
    }
    flight.lands().await;
    let (calls, stages) = (flight.calls(), flight.stages());
    println!("{calls} calls for {stages} stages, {killed} functions killed");
    assert!(killed >= DEATHS);
    assert!(calls <= stages + killed as u64);

    // The answer is stored, and nobody has been told: nothing is paid again.
    let mut flight = Flight::ready(&stack, "stored", 1).await;
    let held = json!([{
        "service": "events", "operation": "PutEvents",
        "body": "Entries[?DetailType=='stage.completed']", "times": DEATHS, "latency": 5000,
    }]);
    stack.fail(&held).await;
    flight.drop("An article of the bridge.").await;
    for _ in 0..DEATHS {
        when_one_more_is_held(&stack, "PutEvents").await;
        assert!(stack.kill("stage") > 0);
    }
    flight.lands().await;
    assert_eq!(flight.calls(), 1);
}

/// Waits until a call of this operation has met the rule that holds it for some seconds.
async fn when_one_more_is_held(stack: &Faulty, operation: &str) {
    let before = stack.failed(operation).await;
    while stack.failed(operation).await == before {
        // The proxy is asked, not told, and holds calls for much longer than this.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
