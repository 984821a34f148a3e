//! Times, sizes, names and histories that AWS limits.

use bedrock_diy_core::{
    JobId,
    cursor::{CaughtError, Cursor},
    limits,
};
use serde_json::Value;

use crate::{
    machine,
    template::{ENVIRONMENTS, Template, text},
};

/// The longest time that a Lambda function may run, in seconds (AWS Lambda quotas).
const FUNCTION_SECONDS: u64 = 900;

/// How long SQS keeps a message at most, in seconds: 14 days (Amazon SQS quotas).
const MESSAGE_SECONDS: u64 = 1_209_600;

/// How many events the history of an execution may have (AWS Step Functions quotas).
const HISTORY_EVENTS: u64 = 25_000;

/// What a state may hand on at most, in bytes (AWS Step Functions quotas).
const PAYLOAD_BYTES: usize = 262_144;

/// The longest `Cause` of an error, in characters (AWS Step Functions API reference).
const CAUSE_CHARS: usize = 32_768;

/// How often a stage should be able to wait for quota in a job of the most stages, each of them tried as
/// often as it may be.
const WAITS_OF_EACH_STAGE: u64 = 20;

#[test]
fn no_function_runs_longer_than_lambda_lets_it() {
    let template = Template::prod();
    for (name, function) in template.all("AWS::Serverless::Function") {
        assert!(seconds(function, "Timeout") <= FUNCTION_SECONDS, "{name}");
    }
}

#[test]
fn every_answer_of_the_api_is_streamed_for_as_long_as_its_function_may_run() {
    // API Gateway Developer Guide, "Stream the integration response for your proxy integrations": a function
    // answers in one form alone, and a stream may take 15 minutes, as a function may.
    let template = Template::prod();
    let mut routes = 0;
    for (name, function) in template.all("AWS::Serverless::Function") {
        let events = function["Events"].as_object().into_iter().flatten();
        for (event, source) in events.filter(|(_, source)| source["Type"] == "Api") {
            let properties = &source["Properties"];
            assert_eq!(
                properties["ResponseTransferMode"], "RESPONSE_STREAM",
                "{name}'s {event}"
            );
            assert_eq!(
                seconds(properties, "TimeoutInMillis"),
                1_000 * seconds(function, "Timeout"),
                "{name}'s {event}"
            );
            routes += 1;
        }
    }
    assert_ne!(routes, 0);
}

#[test]
fn a_stage_gives_up_before_its_function_is_stopped() {
    let template = Template::prod();
    let timeout = seconds(template.properties("StageFunction"), "Timeout");
    assert!(u64::from(limits::STAGE_SECONDS) < timeout);
}

#[test]
fn a_state_waits_at_least_as_long_as_its_function_may_run() {
    let template = Template::prod();
    for (state, function) in machine::functions_of_states(&template) {
        let waits = seconds(&machine::definition()["States"][&state], "TimeoutSeconds");
        let runs = seconds(template.properties(&function), "Timeout");
        assert!(
            waits >= runs,
            "{state} waits {waits} s for {function}, which may run {runs} s"
        );
    }
}

#[test]
fn a_message_stays_hidden_six_times_as_long_as_its_function_may_run() {
    // AWS Lambda Developer Guide, "Configuring a queue to use with Lambda".
    let template = Template::prod();
    let mut sources = 0;
    for (name, function) in template.all("AWS::Serverless::Function") {
        let events = function["Events"].as_object().into_iter().flatten();
        for (event, source) in events.filter(|(_, source)| source["Type"] == "SQS") {
            let queue = text(&source["Properties"]["Queue"]);
            let queue = queue.trim_start_matches("${").trim_end_matches(".Arn}");
            let hidden = seconds(template.properties(queue), "VisibilityTimeout");
            let window = source["Properties"]["MaximumBatchingWindowInSeconds"]
                .as_u64()
                .unwrap_or(0);
            let needed = 6 * seconds(function, "Timeout") + window;
            assert!(
                hidden >= needed,
                "{name}'s {event} needs {needed} s, {queue} hides for {hidden} s"
            );
            sources += 1;
        }
    }
    assert_eq!(sources, 4);
}

#[test]
fn a_dead_letter_is_kept_longer_than_a_message_waits() {
    // A message's age goes with it into the dead-letter queue.
    let template = Template::prod();
    for (name, queue) in template.all("AWS::SQS::Queue") {
        let kept = seconds(queue, "MessageRetentionPeriod");
        let dead_letters = name.ends_with("DeadLetterQueue");
        assert!(
            if dead_letters {
                kept == MESSAGE_SECONDS
            } else {
                kept < MESSAGE_SECONDS
            },
            "{name}"
        );
    }
}

#[test]
fn the_queues_and_intake_agree_on_how_often_a_message_is_received() {
    let template = Template::prod();
    let told = text(&template.properties("IntakeFunction")["Environment"]["Variables"]["MAX_RECEIVES"]);
    for queue in ["BulkQueue", "LiveQueue"] {
        let redrive = &template.properties(queue)["RedrivePolicy"];
        assert_eq!(text(&redrive["maxReceiveCount"]), told, "{queue}");
    }
}

#[test]
fn a_delivery_is_received_as_often_as_it_is_tried_and_more() {
    // What ends it is deliver, which knows how often and for how long; not the queue, which counts what fails.
    let template = Template::prod();
    let redrive = &template.properties("DeliveriesQueue")["RedrivePolicy"];
    let receives: usize = text(&redrive["maxReceiveCount"]).parse().unwrap();
    assert!(receives > 2 * limits::DELIVERY_ATTEMPTS, "{receives}");
    let kept = seconds(template.properties("DeliveriesQueue"), "MessageRetentionPeriod");
    assert!(kept > 2 * limits::WEBHOOK_PATIENCE_SECONDS);
}

#[test]
fn a_batch_of_receivers_that_hang_ends_before_its_function_is_stopped() {
    // All of a batch are tried at once.
    let template = Template::prod();
    let timeout = seconds(template.properties("DeliverFunction"), "Timeout");
    assert!(2 * limits::WEBHOOK_SECONDS < timeout);
}

#[test]
fn a_job_of_the_most_stages_fits_the_history_however_often_each_is_tried() {
    let stages = limits::CARDS as u64;
    let [plan, next, stage, hold, finish, done] =
        ["Plan", "NextStep", "RunStage", "Hold", "Finish", "Done"].map(most_events);
    let started_and_ended = 2;
    let without_waits = started_and_ended + plan + next + stages * (stage + next) + finish + done;
    // Who waits ran without an error, asked what is next, and held on.
    let wait = events_of_a_run() + next + hold;
    let with_waits = without_waits + stages * WAITS_OF_EACH_STAGE * wait;
    assert!(
        with_waits <= HISTORY_EVENTS,
        "{without_waits} events without a wait, {with_waits} with {WAITS_OF_EACH_STAGE} waits a stage"
    );
}

#[test]
fn the_largest_cursor_fits_between_two_states() {
    let mut cursor = Cursor::start(JobId::of_drop(&"p".parse().unwrap(), "k", "v", None));
    cursor.stage = u32::MAX;
    cursor.wait_seconds = u32::MAX;
    cursor.error = Some(CaughtError {
        error: "ModelUnavailable".into(),
        // Each of them as long as JSON can make a character.
        cause: "\u{1}".repeat(CAUSE_CHARS),
    });
    assert!(serde_json::to_vec(&cursor).unwrap().len() < PAYLOAD_BYTES);
}

#[test]
fn every_name_is_short_enough_wherever_it_is_deployed() {
    let named = [
        ("AWS::S3::Bucket", "BucketName", 63),
        ("AWS::DynamoDB::Table", "TableName", 255),
        ("AWS::SQS::Queue", "QueueName", 80),
        ("AWS::Serverless::Function", "FunctionName", 64),
        ("AWS::Serverless::StateMachine", "Name", 80),
        ("AWS::Events::EventBus", "Name", 256),
        ("AWS::Events::Archive", "ArchiveName", 48),
        ("AWS::Events::Rule", "Name", 64),
        ("AWS::Logs::LogGroup", "LogGroupName", 512),
        ("AWS::CloudWatch::Alarm", "AlarmName", 255),
        ("AWS::CloudWatch::Dashboard", "DashboardName", 255),
    ];
    for environment in ENVIRONMENTS {
        let template = Template::with(&[("Environment", environment)]);
        for (kind, property, longest) in named {
            for (name, properties) in template.all(kind) {
                let called = properties[property].as_str().unwrap();
                assert!(!called.contains("${"), "{name} is {called}, which only AWS knows");
                assert!(
                    called.len() <= longest,
                    "{name} is {called}: {longest} characters are allowed"
                );
            }
        }
    }
}

fn seconds(properties: &Value, what: &str) -> u64 {
    properties[what]
        .as_u64()
        .unwrap_or_else(|| panic!("{what} is not set"))
}

/// Entered, scheduled, started, succeeded, exited.
fn events_of_a_run() -> u64 {
    5
}

/// How many history events one visit to a state makes at most: each try that fails was scheduled, started
/// and failed.
fn most_events(state: &str) -> u64 {
    let state = &machine::definition()["States"][state];
    match state["Type"].as_str().unwrap() {
        "Task" => {
            let retriers = state["Retry"].as_array().unwrap().iter();
            let tries: u64 = retriers.map(|retry| retry["MaxAttempts"].as_u64().unwrap()).sum();
            events_of_a_run() + 3 * tries
        }
        // Entered and exited.
        _ => 2,
    }
}
