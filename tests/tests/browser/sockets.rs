//! An article is submitted and followed over WebSockets, by clients that nobody here wrote.

use bedrock_diy_model_server::scripted::{Reply, Rule, Script};
use bedrock_diy_tests::{
    Client, Heard, Program, Project, ScriptedServer, Served,
    clients::{Pages, python},
    heard::polled,
};
use serde_json::Value;

const ANSWER: &str = "Die Brücke öffnet am Montag, 다리가 열린다, 桥开了 \u{1f309}, as the council said.";

async fn served(first_token_ms: u64, per_token_ms: f64) -> (ScriptedServer, Project, Served) {
    let slow = Reply::text(ANSWER)
        .chunks(30)
        .latency(first_token_ms, per_token_ms);
    let model = ScriptedServer::start(Script::default().rule(Rule::reply(slow))).await;
    let project = Project::with_cards(2);
    let served = Served::start(&project, &Program::new(&project.data(), &model.url()));
    (model, project, served)
}

/// Fails unless these events are what whoever asks is told.
fn is_what_everybody_hears(events: &[Value], client: &Client) {
    let mut heard = Heard::default();
    for event in events {
        heard.hear(event.clone());
    }
    assert!(heard.has_ended(), "{:?}", heard.types());
    let job = format!("/api/jobs/{}", events[0]["jobId"].as_str().unwrap());
    let late = Heard::of(polled(client, &job, 0));
    assert_eq!((&heard.events, &heard.answers), (&late.events, &late.answers));
    assert_eq!(heard.texts(), [ANSWER; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_submits_and_follows_over_websockets() {
    let pages = Pages::serve().await;
    // So slow that a page which comes again slowly, too, does not find all of it at once.
    let (_model, _project, served) = served(1_000, 200.0).await;
    tokio::task::block_in_place(|| {
        let socket = format!("{}?access_token={}", served.socket_url(), served.token);
        let told = pages.open("websocket", &[("socket", &socket), ("project", "news")]);
        is_what_everybody_hears(told["events"].as_array().unwrap(), &served.owner());
        let opened = told["opened"].as_u64().unwrap();
        assert!(opened > 3, "it hung up and came again: {opened}");
        assert_eq!(told["replies"][0], "submitted");
        assert_eq!(told["shown"], ANSWER.repeat(2));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_submits_and_follows_with_websockets() {
    let (_model, _project, served) = served(200, 40.0).await;
    tokio::task::block_in_place(|| {
        let events = python(
            "connect.py",
            &[&served.socket_url(), &served.token, "news"],
            || {},
        );
        is_what_everybody_hears(&events, &served.owner());
    });
}
