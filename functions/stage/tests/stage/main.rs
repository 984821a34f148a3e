//! The stage handler over the ports of one machine and a model that says what it is told to.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic is how a test fails"
)]

mod newsroom;

use std::{sync::Arc, time::Duration};

use bedrock_diy_core::{
    Code,
    card::CardSettings,
    cursor::{Cursor, Next},
    job::JobStatus,
    limits,
    model::{StopReason, Usage},
    ports::{Clock, Jobs, ModelQuota, Objects},
    project::{ArticleLimits, Settings},
    quota::Place,
};
use bedrock_diy_embedded::MemoryQuota;

use crate::newsroom::{FAST, Newsroom, Reply, SLOW, USAGE, catalogue, cursor};

fn with_schema() -> CardSettings {
    let schema = r#"{"type": "object", "required": ["title"]}"#;
    CardSettings {
        output_schema: Some(schema.parse().unwrap()),
        ..CardSettings::default()
    }
}

fn twice(usage: Usage) -> Usage {
    let mut twice = usage;
    twice += usage;
    twice
}

#[tokio::test]
async fn a_first_answer_is_on_the_books_when_its_repair_is_throttled() {
    let room = Newsroom::open(FAST, &[with_schema()]).await;
    room.tell([Reply::Says("no JSON"), Reply::Fails(Code::ModelThrottled)]);
    let job = room.job().await;
    let stage = room.stage();
    let waiting = stage.handle(cursor(&job)).await.unwrap();
    assert_eq!(waiting.next, Next::Wait);
    let paid = room.now(&job).await;
    assert_eq!(paid.usage, USAGE);
    assert!(paid.cost.unwrap() > 0.0);

    room.clock.advance(10);
    room.tell([Reply::Says(r#"{"title": "Bridge"}"#)]);
    let done = stage.handle(waiting).await.unwrap();
    assert_eq!(done.next, Next::Finish);
    let job = room.now(&job).await;
    assert_eq!(job.usage, twice(USAGE));
    assert_eq!(room.jobs.stages(&job.job_id).await.unwrap()[0].usage, USAGE);
}

#[tokio::test]
async fn a_first_answer_is_on_the_books_when_its_repair_fails() {
    let room = Newsroom::open(FAST, &[with_schema()]).await;
    room.tell([Reply::Says("no JSON"), Reply::Fails(Code::ModelUnavailable)]);
    let job = room.job().await;
    room.bus.heard();
    let failure = room.stage().handle(cursor(&job)).await.unwrap_err();
    assert_eq!(failure.code, Code::ModelUnavailable);
    assert_eq!(room.now(&job).await.usage, USAGE);
    assert_eq!(room.bus.heard(), ["stage.failed", "stage.retrying"]);
}

#[tokio::test]
async fn what_an_article_may_cost_is_kept_before_anything_is_asked_for() {
    let limited = async |model: &str, dollars| {
        let settings = Settings {
            model: Some(model.to_owned()),
            limits: ArticleLimits {
                cost_per_article: Some(dollars),
                ..ArticleLimits::default()
            },
            ..Settings::default()
        };
        let room = Newsroom::open_with(settings, &[CardSettings::default()]).await;
        room.tell([Reply::Says("Bridge")]);
        let job = room.job().await;
        let handled = room.stage().handle(cursor(&job)).await;
        (handled, room.model.calls())
    };
    for (model, dollars, said) in [
        (FAST, 0.000_001, "the article has cost about 0.0000 dollars, "),
        // Nobody has told what this one costs, so that any sum might be too much.
        (
            SLOW,
            1_000.0,
            "no price is known for acme.slow-v1:0, so `limits.costPerArticle` can't be kept: ",
        ),
    ] {
        let (handled, calls) = limited(model, dollars).await;
        let failure = handled.unwrap_err();
        assert_eq!((failure.code, calls), (Code::BudgetExceeded, 0));
        assert!(failure.detail.starts_with(said), "{failure}");
    }
    let (handled, calls) = limited(FAST, 1.0).await;
    assert_eq!((handled.unwrap().next, calls), (Next::Finish, 1));
}

#[tokio::test]
async fn whoever_follows_is_told_that_a_stage_begins_anew() {
    let room = Newsroom::open(FAST, &[with_schema()]).await;
    room.tell([
        Reply::Fails(Code::ModelTimeout),
        Reply::Fails(Code::ModelAccessDenied),
    ]);
    let job = room.job().await;
    let stage = room.stage();
    room.bus.heard();
    let passing = stage.handle(cursor(&job)).await.unwrap_err();
    assert_eq!(passing.code, Code::ModelTimeout);
    assert_eq!(room.bus.heard(), ["stage.retrying"]);
    let final_one = stage.handle(cursor(&job)).await.unwrap_err();
    assert_eq!(final_one.code, Code::ModelAccessDenied);
    assert_eq!(
        room.bus.heard(),
        [""; 0],
        "what time can't heal is not tried again"
    );
}

#[tokio::test]
async fn a_repair_whose_turn_is_far_waits_in_the_state_machine() {
    let room = Newsroom::open(SLOW, &[with_schema()]).await;
    room.tell([Reply::Says("no JSON")]);
    let job = room.job().await;
    let stage = room.stage();
    room.bus.heard();
    let waiting = stage.handle(cursor(&job)).await.unwrap();
    // A place is half a minute, and who waits for long is asked back half-way.
    assert_eq!((waiting.next, waiting.wait_seconds), (Next::Wait, 15));
    assert_eq!(room.model.calls(), 1);
    assert_eq!(room.now(&job).await.usage, USAGE);
    assert_eq!(room.bus.heard(), ["stage.failed", "job.waiting"]);

    room.clock.advance(30);
    room.tell([Reply::Says(r#"{"title": "Bridge"}"#)]);
    assert_eq!(stage.handle(waiting).await.unwrap().next, Next::Finish);
}

#[tokio::test]
async fn a_repair_gets_what_is_left_of_the_stages_time() {
    let settings = CardSettings {
        timeout_seconds: Some(limits::LONGEST_TIMEOUT_SECONDS),
        ..with_schema()
    };
    let room = Newsroom::open(FAST, &[settings]).await;
    room.tell([
        Reply::SaysAfter(700, "no JSON"),
        Reply::Says(r#"{"title": "Bridge"}"#),
    ]);
    let job = room.job().await;
    assert_eq!(
        room.stage().handle(cursor(&job)).await.unwrap().next,
        Next::Finish
    );
    let asked = room.model.asked.lock().unwrap();
    let deadlines: Vec<_> = asked.iter().map(|(_, deadline)| *deadline).collect();
    assert_eq!(deadlines, [780, 140].map(Duration::from_secs));
}

#[tokio::test]
async fn an_answer_that_is_none_is_asked_for_once_and_paid_once() {
    let room = Newsroom::open(FAST, &[CardSettings::default()]).await;
    room.tell([Reply::Stops(StopReason::Other("tool_use".into()))]);
    let job = room.job().await;
    let failure = room.stage().handle(cursor(&job)).await.unwrap_err();
    assert_eq!(failure.code, Code::OutputUnusable);
    assert_eq!(room.now(&job).await.usage, USAGE);
}

#[tokio::test]
async fn an_empty_answer_gets_one_repair_turn() {
    let room = Newsroom::open(FAST, &[CardSettings::default()]).await;
    let job = room.job().await;
    room.tell([Reply::Says(" \n"), Reply::Says("")]);
    let failure = room.stage().handle(cursor(&job)).await.unwrap_err();
    assert_eq!(failure.code, Code::OutputUnusable);
    assert_eq!(room.now(&job).await.usage, twice(USAGE));

    let job = room.job().await;
    room.tell([Reply::Says(""), Reply::Says("The bridge.")]);
    assert_eq!(
        room.stage().handle(cursor(&job)).await.unwrap().next,
        Next::Finish
    );
    let stages = room.jobs.stages(&job.job_id).await.unwrap();
    assert_eq!((stages[0].calls, stages[0].usage), (2, twice(USAGE)));
}

#[tokio::test]
async fn an_answer_that_comes_after_a_cancel_is_kept_for_the_retry() {
    let room = Newsroom::open(FAST, &[CardSettings::default()]).await;
    let job = room.job().await;
    room.tell([Reply::SaysTo(Box::new(job.clone()), "The bridge.")]);
    let stage = room.stage();
    assert_eq!(stage.handle(cursor(&job)).await.unwrap().next, Next::Finish);
    assert_eq!(room.now(&job).await.status, JobStatus::Cancelled);
    assert!(room.jobs.stages(&job.job_id).await.unwrap().is_empty());

    let retry = room.job().await;
    stage.handle(cursor(&retry)).await.unwrap();
    let retry = room.now(&retry).await;
    assert_eq!(
        (retry.stages_done, retry.memo_hits, room.model.calls()),
        (1, 1, 1)
    );
    let output = room.objects.get(retry.last_output.as_ref().unwrap()).await;
    assert_eq!(output.unwrap(), b"The bridge.");
}

#[tokio::test]
async fn what_happened_since_a_stage_is_said_again_when_it_is_delivered_again() {
    let room = Newsroom::open(SLOW, &[CardSettings::default(), CardSettings::default()]).await;
    room.tell([Reply::Says("The bridge.")]);
    let job = room.job().await;
    let stage = room.stage();
    let next = stage.handle(cursor(&job)).await.unwrap();
    let since = ["stage.completed", "stage.started", "job.waiting"];
    assert_eq!(room.bus.heard(), since[..2]);
    for waited in 1..=20 {
        assert_eq!(stage.handle(next.clone()).await.unwrap().next, Next::Wait);
        assert_eq!(room.bus.heard(), ["job.waiting"]);
        assert_eq!(
            stage.handle(cursor(&job)).await.unwrap(),
            Cursor::stage(job.job_id.clone(), 2)
        );
        let heard = room.bus.heard();
        assert_eq!(heard[..3], since);
        assert_eq!(heard.len(), 2 + waited);
    }
}

#[tokio::test]
async fn a_stage_that_ends_without_asking_gives_its_place_back() {
    let room = Newsroom::open(SLOW, &[CardSettings::default()]).await;
    let stage = room.stage();
    assert_eq!(room.turn(SLOW, "first").await, 0);
    let (cancelled, answered) = (room.job().await, room.job().await);
    let cursor_of_cancelled = stage.handle(cursor(&cancelled)).await.unwrap();
    let cursor_of_answered = stage.handle(cursor(&answered)).await.unwrap();
    assert_eq!(
        [cursor_of_cancelled.next, cursor_of_answered.next],
        [Next::Wait; 2]
    );
    // Three places of half a minute, and asked back half-way.
    assert_eq!(room.turn(SLOW, "last").await, 45);

    let change = room.now(&cancelled).await.cancel("a test", room.clock.now());
    room.jobs.apply(change).await.unwrap();
    stage.handle(cursor_of_cancelled).await.unwrap();
    assert_eq!(room.turn(SLOW, "last").await, 30);

    // Somebody else pays for the same answer meanwhile.
    let elsewhere = room.stage_with(Arc::new(MemoryQuota::new(catalogue())));
    room.tell([Reply::Says("The bridge.")]);
    elsewhere.handle(cursor(&room.job().await)).await.unwrap();
    let done = stage.handle(cursor_of_answered).await.unwrap();
    assert_eq!(done.next, Next::Finish);
    assert_eq!(room.turn(SLOW, "last").await, 15);
}

#[tokio::test]
async fn patience_ends_and_gives_the_place_back() {
    let room = Newsroom::open(SLOW, &[CardSettings::default()]).await;
    assert_eq!(room.turn(SLOW, "first").await, 0);
    let job = room.job().await;
    let stage = room.stage();
    let waiting = stage.handle(cursor(&job)).await.unwrap();
    // A day later the line is as long as it was.
    room.clock
        .advance(i64::try_from(limits::PATIENCE_SECONDS).unwrap());
    let quota: Arc<dyn ModelQuota> = Arc::new(MemoryQuota::new(catalogue()));
    for holder in ["a", "b"] {
        let now = room.clock.now();
        quota.reserve(SLOW, 1, holder, Place::Last, now).await.unwrap();
    }
    let failure = room
        .stage_with(Arc::clone(&quota))
        .handle(waiting)
        .await
        .unwrap_err();
    assert_eq!(failure.code, Code::ModelThrottled);
    let now = room.clock.now();
    let turn = quota.reserve(SLOW, 1, "c", Place::Last, now).await.unwrap();
    assert_eq!(turn.millis_since(now), 30_000, "half of a minute");
}
