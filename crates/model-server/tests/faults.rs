//! Each fault, as the SDK sees it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails should say where"
)]

mod common;

use bedrock_diy_model_server::scripted::{Reply, Rule};
use bedrock_diy_model_server::{Breakage, ErrorKind};
use common::{ProvideCode as _, ask, client, deltas, kinds, read, server};
use tokio::time::{Duration, timeout};

/// Eight deltas, `0` to `7`.
fn reply() -> Reply {
    Reply::text("01234567").chunks(8)
}

#[tokio::test]
async fn a_cut_stream_is_an_error_after_the_deltas_that_came() {
    let server = server([Rule::reply(reply().breaks(3, Breakage::Cut))]).await;
    let (events, error) = read(ask(&client(&server.url()), "Hello").send().await.unwrap()).await;
    assert_eq!(deltas(&events), ["0", "1", "2"]);
    assert!(error.is_some());
}

#[tokio::test]
async fn a_stream_that_ends_early_has_no_message_stop() {
    let server = server([Rule::reply(reply().breaks(3, Breakage::End))]).await;
    let (events, error) = read(ask(&client(&server.url()), "Hello").send().await.unwrap()).await;
    assert!(error.is_none());
    assert_eq!(deltas(&events), ["0", "1", "2"]);
    assert!(!kinds(&events).contains(&"messageStop"));
    assert_eq!(server.counters().by_outcome["ended_early"], 1);
}

#[tokio::test]
async fn an_exception_in_the_stream_is_typed() {
    let kinds = [
        (ErrorKind::Throttling, "throttling"),
        (ErrorKind::InternalServer, "internal server"),
        (ErrorKind::ModelStreamError, "model stream error"),
        (ErrorKind::ServiceUnavailable, "service unavailable"),
        (ErrorKind::Validation, "validation"),
    ];
    for (kind, expected) in kinds {
        let server = server([Rule::reply(reply().fails(2, kind))]).await;
        let (events, error) = read(ask(&client(&server.url()), "Hello").send().await.unwrap()).await;
        assert_eq!(deltas(&events), ["0", "1"]);
        assert_eq!(error.unwrap().exception().as_deref(), Some(expected));
        assert_eq!(server.counters().by_outcome[kind.stream_code()], 1);
    }
}

#[tokio::test]
async fn an_unknown_event_is_passed_over() {
    let server = server([Rule::reply(reply().breaks(4, Breakage::UnknownEvent))]).await;
    let (events, error) = read(ask(&client(&server.url()), "Hello").send().await.unwrap()).await;
    assert!(error.is_none());
    assert_eq!(deltas(&events).concat(), "01234567");
    assert_eq!(kinds(&events)[5], "unknown");
}

#[tokio::test]
async fn broken_bytes_in_the_stream_are_an_error() {
    for breakage in [Breakage::Garbage, Breakage::BadChecksum, Breakage::MalformedEvent] {
        let server = server([Rule::reply(reply().breaks(2, breakage))]).await;
        let (events, error) = read(ask(&client(&server.url()), "Hello").send().await.unwrap()).await;
        assert_eq!(deltas(&events), ["0", "1"], "{breakage:?}");
        assert!(
            error.is_some_and(|error| error.exception().is_none()),
            "{breakage:?}"
        );
    }
}

#[tokio::test]
async fn a_dripping_stream_still_arrives_whole() {
    let drip = Breakage::Drip {
        bytes: 7,
        every_ms: 0,
    };
    let server = server([Rule::reply(reply().breaks(0, drip))]).await;
    let (events, error) = read(ask(&client(&server.url()), "Hello").send().await.unwrap()).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(deltas(&events).concat(), "01234567");
}

#[tokio::test]
async fn a_hanging_server_holds_the_call_until_the_client_goes() {
    let server = server([Rule::hang()]).await;
    let client = client(&server.url());
    let call = tokio::spawn(ask(&client, "Hello").send());
    until(|| server.counters().in_flight == 1).await;
    call.abort();
    until(|| server.counters().in_flight == 0).await;
    assert_eq!(server.counters().by_outcome["abandoned"], 1);
}

#[tokio::test]
async fn a_stream_that_hangs_gives_its_first_deltas() {
    let server = server([Rule::reply(reply().breaks(2, Breakage::Hang))]).await;
    let mut output = ask(&client(&server.url()), "Hello").send().await.unwrap();
    let mut events = Vec::new();
    while deltas(&events).len() < 2 {
        events.push(output.stream.recv().await.unwrap().unwrap());
    }
    assert_eq!(deltas(&events), ["0", "1"]);
    assert_eq!(server.counters().in_flight, 1);
    drop(output);
    until(|| server.counters().in_flight == 0).await;
}

#[tokio::test]
async fn a_closed_connection_is_a_dispatch_failure() {
    let server = server([Rule::disconnect()]).await;
    let error = ask(&client(&server.url()), "Hello").send().await.unwrap_err();
    assert!(error.as_service_error().is_none(), "{error:?}");
    assert_eq!(server.counters().by_outcome["disconnected"], 1);
}

#[tokio::test]
async fn latency_delays_the_answer_and_loses_nothing() {
    let server = server([Rule::reply(reply().latency(5, 0.5))]).await;
    let (events, error) = read(ask(&client(&server.url()), "Hello").send().await.unwrap()).await;
    assert!(error.is_none());
    assert_eq!(deltas(&events).concat(), "01234567");
}

#[tokio::test]
async fn the_server_works_after_each_fault() {
    let breaks = [
        Breakage::Cut,
        Breakage::End,
        Breakage::Garbage,
        Breakage::BadChecksum,
    ];
    let rules = breaks.map(|breakage| Rule::reply(reply().breaks(1, breakage)).times(1));
    let server = server(rules.into_iter().chain([Rule::text("Well again.")])).await;
    let client = client(&server.url());
    for _ in breaks {
        let (events, _) = read(ask(&client, "Hello").send().await.unwrap()).await;
        assert_eq!(deltas(&events), ["0"]);
    }
    let (events, error) = read(ask(&client, "Hello").send().await.unwrap()).await;
    assert!(error.is_none());
    assert_eq!(deltas(&events).concat(), "Well again.");
}

/// Waits for what other tasks will bring about; only a server that never does runs into the limit.
async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), wait).await.unwrap();
}
