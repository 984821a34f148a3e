//! Somebody talks with a project's cards: through a pipe, and at a terminal.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::Stdio,
};

use bedrock_diy_model_server::{
    Breakage,
    scripted::{Reply, Rule, Script},
};
use bedrock_diy_tests::{
    Ended,
    wait::{self, PATIENCE},
};
use rexpect::session::{PtySession, spawn_command};
use serde_json::{Value, json};

use super::{Somebody, done, served};

/// What somebody says through a pipe, and is told.
fn piped(ada: &Somebody, more: &[&str], said: &str) -> Ended {
    let arguments = [
        &["chat", "--project", "news"],
        more,
        &["--endpoint", &ada.endpoint],
    ]
    .concat();
    let mut chat = ada
        .command(&arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    chat.stdin.take().unwrap().write_all(said.as_bytes()).unwrap();
    Ended::from(chat.wait_with_output().unwrap())
}

/// The same at a terminal, to be gone on with.
fn at_a_terminal(ada: &Somebody, more: &[&str]) -> PtySession {
    let arguments = [
        &["chat", "--project", "news"],
        more,
        &["--endpoint", &ada.endpoint],
    ]
    .concat();
    let mut command = ada.command(&arguments);
    command.env("TERM", "xterm").stdin(Stdio::inherit());
    let patience = u64::try_from(PATIENCE.as_millis()).unwrap();
    spawn_command(command, Some(patience)).unwrap()
}

/// The session that was said to be come back with.
fn session(said: &str) -> &str {
    let (_, session) = said.split_once("--session ").unwrap();
    session.split(['.', ' ']).next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_before_is_part_of_what_is_asked_next() {
    let script = Script::default()
        .rule(Rule::text("It is the harbour bridge.").user_contains("Which one?"))
        .rule(Rule::text("A bridge opens."));
    let (_model, _project, served, ada) = served(2, script).await;
    tokio::task::block_in_place(|| {
        let first = piped(&ada, &[], "What happens?\n\n   \nWhich one?\n");
        let said = first.stderr.clone();
        let harbour = "It is the harbour bridge.\n";
        assert!(
            first.stdout.starts_with("A bridge opens.\nA bridge opens.\n"),
            "{}{said}",
            first.stdout
        );
        assert!(done(first).contains(harbour), "{said}");
        let session = session(&said);
        let messages = || {
            let at = format!("/api/sessions/{session}/messages?projectId=news");
            served.owner().get(&at).expect(200).json()["items"].clone()
        };
        assert_eq!(messages().as_array().unwrap().len(), 4);
        assert_eq!(messages()[1]["text"], "Which one?");

        let again = piped(&ada, &["--session", session], "And when?");
        assert!(again.stderr.contains("user: Which one?"), "{}", again.stderr);
        done(again);
        assert_eq!(messages().as_array().unwrap().len(), 6);
        let nowhere = ada.ask(&["chat", "--project", "nowhere"]);
        assert_eq!(nowhere.code, Some(2), "{}", nowhere.stderr);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_waits_until_the_one_before_it_is_answered() {
    let (model, _project, served, ada) = served(1, Script::default().rule(Rule::hang())).await;
    tokio::task::block_in_place(|| {
        let owner = served.owner();
        let article = json!({"text": "Earlier.", "sessionId": "talk"});
        let earlier = owner
            .post("/api/projects/news/articles", &article)
            .expect(202)
            .json();
        let earlier = format!("/api/jobs/{}", earlier["jobId"].as_str().unwrap());
        let arguments = [
            "chat",
            "--project",
            "news",
            "--session",
            "talk",
            "--endpoint",
            &ada.endpoint,
        ];
        let mut chat = ada
            .command(&arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        chat.stdin.take().unwrap().write_all(b"Later.\n").unwrap();
        let mut said = BufReader::new(chat.stderr.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().contains("still being answered")));
        wait::until(|| model.in_flight() == 1);
        model.set_script(Script::default());
        let _ = owner.post(&format!("{earlier}:cancel"), &Value::Null).expect(200);
        let rest: Vec<_> = said.map(Result::unwrap).collect();
        assert!(rest.iter().any(|line| line == "cancelled"), "{rest:?}");
        assert_eq!(chat.wait().unwrap().code(), Some(0), "{rest:?}");
        let messages = owner
            .get("/api/sessions/talk/messages?projectId=news")
            .expect(200)
            .json();
        assert_eq!(messages["items"][1]["text"], "Later.");
        assert_eq!(messages["items"].as_array().unwrap().len(), 2);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_terminal_answers_are_seen_while_they_are_written_and_ctrl_c_cancels_them() {
    let slow = Reply::text("The bridge opens, slowly, slowly, and never ends.");
    let endless = Rule::reply(slow.chunks(10).latency(50, 3_000.0)).user_contains("slow");
    let script = Script::default()
        .rule(endless)
        .rule(Rule::text("A bridge opens."));
    let (_model, _project, served, ada) = served(1, script).await;
    tokio::task::block_in_place(|| {
        let mut chat = at_a_terminal(&ada, &[]);
        let told = chat.exp_string("Ctrl-D ends.").unwrap();
        let session = session(&told).to_owned();
        chat.exp_string("> ").unwrap();
        chat.send_line("Say it slowly.").unwrap();
        chat.exp_string("step-1 (1/1)").unwrap();
        // The model takes minutes to come to its end.
        chat.exp_string("The bri").unwrap();
        chat.send_control('c').unwrap();
        chat.exp_string("cancelled").unwrap();
        chat.exp_string("> ").unwrap();
        chat.send_line("What happens?").unwrap();
        chat.exp_string("A bridge opens.").unwrap();
        chat.exp_string("> ").unwrap();
        // A line is taken back, and another one is said instead; the arrow key brings the last one back.
        chat.send("Never mind").unwrap();
        chat.send_control('c').unwrap();
        chat.exp_string("> ").unwrap();
        chat.send_line("\u{1b}[A").unwrap();
        chat.exp_string("A bridge opens.").unwrap();
        chat.exp_string("> ").unwrap();
        chat.send_control('d').unwrap();
        chat.exp_eof().unwrap();
        let at = format!("/api/sessions/{session}/messages?projectId=news");
        let messages = served.owner().get(&at).expect(200).json();
        let items = messages["items"].as_array().unwrap();
        let asked: Vec<_> = items.iter().filter(|said| said["role"] == "user").collect();
        assert_eq!(asked.len(), 2, "what was cancelled was not said: {items:?}");
        assert!(asked.iter().all(|said| said["text"] == "What happens?"));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_terminal_void_answers_are_said_to_be_and_long_ones_are_shown_whole() {
    let half = Reply::text("Half of an answer that never ends.").chunks(8);
    let half = Rule::reply(half.latency(50, 1_000.0).breaks(6, Breakage::Cut)).times(1);
    // More than is told while it is written.
    let everything = "The bridge opens. ".repeat(8_000) + "The very end.";
    let script = Script::default()
        .rule(half)
        .rule(Rule::text(everything).user_contains("everything"))
        .rule(Rule::text("A fine answer."));
    let (_model, _project, _served, ada) = served(1, script).await;
    tokio::task::block_in_place(|| {
        let mut chat = at_a_terminal(&ada, &[]);
        chat.exp_string("> ").unwrap();
        chat.send_line("Tell of the bridge.").unwrap();
        chat.exp_string("Half of").unwrap();
        chat.exp_string("tried again").unwrap();
        chat.exp_string("A fine answer.").unwrap();
        chat.exp_string("> ").unwrap();
        chat.send_line("Tell everything.").unwrap();
        let told = chat.exp_string("The very end.").unwrap();
        assert_eq!(told.matches("The bridge opens. ").count(), 8_000);
        chat.exp_string(" tokens, ").unwrap();
        chat.exp_string("> ").unwrap();
        chat.send_control('d').unwrap();
        chat.exp_eof().unwrap();
    });
}
