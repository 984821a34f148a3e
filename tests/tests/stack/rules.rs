//! The patterns of docs/EVENTS.md, on the bus's own matching.

use bedrock_diy_core::{
    BatchId, Code, JobId, ProjectId, PromptId,
    article::{Bucket, ObjectRef},
    event::{Event, Fact, JobError},
    model::Usage,
    time::Timestamp,
};
use bedrock_diy_tests::stack;
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../../docs/EVENTS.md");

/// An event as the bus has it.
fn on_the_bus(project: &str, fact: Fact) -> Value {
    let event = Event {
        job_id: JobId::of_submission("rules", &ProjectId::new(project).unwrap(), "one"),
        project_id: ProjectId::new(project).unwrap(),
        number: 3,
        at: Timestamp::from_millis(1_795_395_600_000),
        fact,
    };
    let mut detail = serde_json::to_value(&event).unwrap();
    detail["id"] = event.id().into();
    json!({
        "version": "0", "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718", "detail-type": event.fact.name(),
        "source": "bedrock-diy", "account": "123456789012", "time": "2026-11-26T15:00:00Z", "region": "us-east-1",
        "resources": [], "detail": detail,
    })
}

fn failed() -> Fact {
    let error = JobError {
        code: Code::SchemaMismatch,
        message: "no".to_owned(),
        stage: 1,
    };
    Fact::JobFailed { error }
}

fn object() -> ObjectRef {
    ObjectRef {
        bucket: Bucket::Results,
        key: "a".to_owned(),
        version: None,
        size: 1,
    }
}

fn succeeded() -> Fact {
    Fact::JobSucceeded {
        result: object(),
        usage: Usage::default(),
        cost: None,
    }
}

fn answered(cost: f64) -> Fact {
    Fact::StageCompleted {
        stage: 1,
        prompt_id: PromptId::new("headline").unwrap(),
        output: object(),
        memo_hit: false,
        usage: Usage::default(),
        cost: Some(cost),
        model_ms: 1,
    }
}

#[tokio::test]
async fn each_pattern_of_the_page_matches_what_it_is_for_and_nothing_else() {
    let accepted = Fact::JobAccepted {
        batch: BatchId::new("monday").unwrap(),
        article: "bridge.txt".to_owned(),
    };
    // What each pattern of the page matches of these, in its order.
    let events = [
        (on_the_bus("evening-news", failed()), [true, false, true, false]),
        (on_the_bus("magazine", failed()), [false, false, true, false]),
        (on_the_bus("test-cards", failed()), [false, false, false, false]),
        (
            on_the_bus("evening-news", succeeded()),
            [false, true, true, false],
        ),
        (on_the_bus("test-cards", succeeded()), [false, true, false, false]),
        (
            on_the_bus("evening-news", answered(0.2)),
            [false, false, false, true],
        ),
        (
            on_the_bus("evening-news", answered(0.1)),
            [false, false, false, false],
        ),
        (on_the_bus("evening-news", accepted), [false, false, false, false]),
    ];
    let patterns: Vec<_> = PAGE
        .split("```json\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap())
        .collect();
    let client = stack().services().eventbridge;
    for (event, matches) in events {
        assert_eq!(patterns.len(), matches.len());
        for (pattern, expected) in patterns.iter().zip(matches) {
            let tested = client
                .test_event_pattern()
                .event_pattern(*pattern)
                .event(event.to_string());
            let tested = tested.send().await.unwrap();
            assert_eq!(tested.result, expected, "{pattern} of {event}");
        }
    }
}
