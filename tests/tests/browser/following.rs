//! A job is followed by clients that nobody here wrote. They are cut off each second, come again by themselves, and hear
//! what everybody hears.

use bedrock_diy_model_server::{
    ErrorKind,
    scripted::{Reply, Rule, Script},
};
use bedrock_diy_tests::{
    Client, Heard, Program, Project, ScriptedServer, Served,
    clients::{Pages, python},
    heard::polled,
    wait,
};
use serde_json::{Value, json};

/// What the model writes for some seconds, in each of two stages.
const ANSWER: &str = "Die Brücke öffnet am Montag, 다리가 열린다, 桥开了 \u{1f309}, and the ferry makes its last crossing on \
                      Sunday, as the council said, with music, speeches and a long walk over the river for all who come";

/// A model that writes nothing yet.
fn busy() -> Script {
    Script::default().rule(Rule::error(ErrorKind::Throttling))
}

fn slow() -> Script {
    let slow = Reply::text(ANSWER).chunks(60).latency(1_500, 60.0);
    Script::default().rule(Rule::reply(slow))
}

async fn served(script: Script, more: &[&str]) -> (ScriptedServer, Project, Served) {
    let model = ScriptedServer::start(script).await;
    let project = Project::with_cards(2);
    let program = Program::new(&project.data(), &model.url());
    let short = [&["--longest-stream", "1"], more].concat();
    let served = Served::start_with(&project, &program, &short);
    (model, project, served)
}

/// Submits an article: where its job is.
fn submitted(client: &Client) -> String {
    let article = json!({"text": "The bridge opens."});
    let taken = client.post("/api/projects/news/articles", &article);
    taken.expect(202).header("location").unwrap()
}

/// What a client heard, from what it says of each event.
fn heard(events: &[Value]) -> Heard {
    let mut heard = Heard::default();
    for event in events {
        let (id, kind) = (event["id"].as_str().unwrap(), event["type"].as_str().unwrap());
        heard.hear_streamed(id, kind, event["data"].clone());
    }
    heard
}

/// Fails unless this is what whoever asks is told.
fn is_what_everybody_hears(heard: &Heard, client: &Client, job: &str) {
    assert!(heard.has_ended(), "{:?}", heard.types());
    let late = Heard::of(polled(client, job, 0));
    assert_eq!((&heard.events, &heard.answers), (&late.events, &late.answers));
    assert_eq!(heard.texts(), [ANSWER; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_follows_with_eventsource() {
    let pages = Pages::serve().await;
    // Nothing is written before the page listens, however long its browser takes to start.
    let (model, _project, served) = served(busy(), &["--cors-origin", pages.origin()]).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let job = submitted(&ada);
        let stream = format!("{}{job}/events?access_token={}", served.url(), served.token);
        let told = std::thread::scope(|scope| {
            let opened = scope.spawn(|| pages.open("eventsource", &[("stream", &stream)]));
            wait::until(|| pages.connected() > 0 || opened.is_finished());
            model.set_script(slow());
            opened.join().unwrap()
        });
        let heard = heard(told["events"].as_array().unwrap());
        is_what_everybody_hears(&heard, &ada, &job);
        let opened = told["opened"].as_u64().unwrap();
        assert!(opened > 2, "it was cut off and came again: {opened}");
        assert_eq!(told["shown"], ANSWER.repeat(2));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_an_origin_that_nobody_named_is_told_nothing() {
    let pages = Pages::serve().await;
    let (_model, _project, served) = served(slow(), &["--cors-origin", "http://localhost:1"]).await;
    tokio::task::block_in_place(|| {
        let job = submitted(&served.owner());
        let stream = format!("{}{job}/events?access_token={}", served.url(), served.token);
        let told = pages.open("eventsource", &[("stream", &stream)]);
        assert_eq!(told, json!({"opened": 0, "events": [], "shown": ""}));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_follows_with_httpx_sse() {
    // Nothing is written before the program listens, however long it takes to start.
    let (model, _project, served) = served(busy(), &[]).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let job = submitted(&ada);
        let stream = format!("{}{job}/events", served.url());
        let told = python("listen.py", &[&stream, &served.token], || {
            model.set_script(slow());
        });
        let heard = heard(&told);
        is_what_everybody_hears(&heard, &ada, &job);
    });
}
