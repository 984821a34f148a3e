//! Rules, quotas, counters, the log, and scripts that change while the server runs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails should say where"
)]

mod common;

use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::error::ProvideErrorMetadata as _;
use bedrock_diy_model_server::scripted::{Quota, Reply, Rule, Script, ScriptedModel};
use bedrock_diy_model_server::{ErrorKind, KeepRequests, ModelServer, Settings};
use common::{MODEL, ask, client, deltas, read, serve, server};

async fn answer(client: &Client, text: &str) -> String {
    deltas(&read(ask(client, text).send().await.unwrap()).await.0).concat()
}

#[tokio::test]
async fn the_first_rule_that_fits_answers() {
    let server = server([
        Rule::text("other model").model("amazon.*"),
        Rule::text("terse").system_contains("verbose"),
        Rule::text("urgent").user_contains("now").system_contains("brief"),
        Rule::text("default"),
    ])
    .await;
    let client = client(&server.url());
    assert_eq!(answer(&client, "Do it now").await, "urgent");
    assert_eq!(answer(&client, "Do it").await, "default");
}

#[tokio::test]
async fn rules_count_the_requests_that_fit_them() {
    let server = server([
        Rule::text("second b").user_contains("b").call(2),
        Rule::text("third").every(3),
        Rule::text("other"),
    ])
    .await;
    let client = client(&server.url());
    let mut answers = Vec::new();
    for text in ["a", "b", "a", "b", "a"] {
        answers.push(answer(&client, text).await);
    }
    assert_eq!(answers, ["other", "other", "third", "second b", "other"]);
}

#[tokio::test]
async fn the_first_calls_of_each_content_can_fail() {
    let server = server([
        Rule::error(ErrorKind::ServiceUnavailable).first_of_content(1),
        Rule::text("Done."),
    ])
    .await;
    let client = client(&server.url());
    for text in ["a", "b"] {
        let error = ask(&client, text).send().await.unwrap_err().into_service_error();
        assert!(error.is_service_unavailable_exception());
    }
    for text in ["b", "a", "a"] {
        assert_eq!(answer(&client, text).await, "Done.");
    }
}

#[tokio::test]
async fn a_repeated_content_can_be_answered_otherwise() {
    let server = server([Rule::text("again").repeat(2), Rule::text("first")]).await;
    let client = client(&server.url());
    assert_eq!(answer(&client, "a").await, "first");
    assert_eq!(answer(&client, "a").await, "again");
    assert_eq!(answer(&client, "b").await, "first");
}

#[tokio::test]
async fn a_quota_of_requests_throttles_with_bedrocks_message() {
    let server = serve(Script::default().quota(Quota::of("anthropic.*").requests(2))).await;
    let client = client(&server.url());
    answer(&client, "a").await;
    answer(&client, "a").await;
    let error = ask(&client, "a").send().await.unwrap_err().into_service_error();
    assert!(error.is_throttling_exception());
    assert_eq!(
        error.message(),
        Some("Too many requests, please wait before trying again.")
    );
}

#[tokio::test]
async fn a_quota_of_tokens_reserves_max_tokens_and_settles_what_was_used() {
    // A call reserves 203 tokens and uses 38, so two fit one after the other, and a third does not.
    let server = serve(Script::default().quota(Quota::of("*").tokens(260, 5))).await;
    let client = client(&server.url());
    answer(&client, "a").await;
    answer(&client, "a").await;
    let error = ask(&client, "a").send().await.unwrap_err().into_service_error();
    assert!(error.is_throttling_exception());
    assert_eq!(
        error.message(),
        Some("Too many tokens, please wait before trying again.")
    );
}

#[tokio::test]
async fn counters_tell_calls_by_model_outcome_and_content() {
    let server = server([Rule::error(ErrorKind::Throttling).times(1), Rule::text("Done.")]).await;
    let client = client(&server.url());
    ask(&client, "a").send().await.unwrap_err();
    answer(&client, "a").await;
    answer(&client, "b").await;
    let counters = server.counters();
    assert_eq!((counters.calls, counters.in_flight), (3, 0));
    assert!(counters.peak_in_flight >= 1);
    assert_eq!(counters.by_model[MODEL], 3);
    assert_eq!(counters.by_outcome["end_turn"], 2);
    assert_eq!(counters.by_outcome["ThrottlingException"], 1);
    let calls: Vec<u64> = counters.contents.iter().map(|content| content.calls).collect();
    assert_eq!(calls, [2, 1]);
}

#[tokio::test]
async fn the_log_keeps_the_last_calls_and_bodies_only_if_asked() {
    let settings = Settings {
        keep_requests: KeepRequests::Last(2),
        keep_bodies: true,
        ..Settings::default()
    };
    let model = ScriptedModel::new(Script::default()).unwrap();
    let logging = ModelServer::start_with(model, settings).await.unwrap();
    for text in ["one", "two", "three"] {
        answer(&client(&logging.url()), text).await;
    }
    let log = logging.requests();
    assert_eq!(log.iter().map(|record| record.number).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(
        (log[1].system_bytes, log[1].user_bytes, log[1].max_tokens),
        (9, 5, Some(200))
    );
    assert_eq!(log[1].outcome, Some("end_turn"));
    assert!(log[1].body.as_ref().unwrap().contains("three"));

    let usual = server([]).await;
    answer(&client(&usual.url()), "one").await;
    assert!(usual.requests()[0].body.is_none());
}

#[tokio::test]
async fn a_script_can_be_changed_while_the_server_runs_and_counts_anew() {
    let server = server([Rule::text("old")]).await;
    let client = client(&server.url());
    assert_eq!(answer(&client, "a").await, "old");
    let script = Script::default().rule(Rule::reply(Reply::template("new ${call}")));
    server.model().set_script(script).unwrap();
    assert_eq!(answer(&client, "a").await, "new 1");
    server.reset();
    assert_eq!(server.counters().calls, 0);
    assert_eq!(answer(&client, "a").await, "new 1");
}

#[tokio::test]
async fn a_script_that_makes_no_sense_is_refused_and_the_old_one_stays() {
    let server = server([Rule::text("old")]).await;
    for rule in [
        Rule::text("never").every(0),
        Rule::text("never").call(0),
        Rule::reply(Reply::template("${x}")),
    ] {
        server
            .model()
            .set_script(Script::default().rule(rule))
            .unwrap_err();
    }
    assert_eq!(answer(&client(&server.url()), "a").await, "old");
}
