//! A large article goes the same way as a small one: as a claim, never as a payload.

use bedrock_diy_core::{
    article::Bucket,
    intake::{Drop, IntakeMessage, Lane},
    job::JobStatus,
    ports::{Objects, Queue},
};
use bedrock_diy_model_server::scripted::{Reply, Rule, Script};
use bedrock_diy_tests::{Left, Program, Project, ScriptedServer};

#[tokio::test(flavor = "multi_thread")]
async fn ten_megabytes_pass_and_no_payload_reaches_a_kilobyte() {
    let held = Reply::text("short").latency(100, 0.0);
    let model = ScriptedServer::start(Script::default().rule(Rule::reply(held))).await;
    let project = Project::with_cards(2);
    let program = Program::new(&project.data(), &model.url());
    assert_eq!(program.run(project.serve()).code, Some(0));
    let left = Left::open(&project.data());
    let text = "The bridge opens on Monday. ".repeat(360_000);
    let object = left
        .machine
        .objects
        .put(Bucket::Articles, "inbox/news/monday/big.txt", text.into_bytes())
        .await
        .unwrap();
    assert!(object.size > 10_000_000);
    left.machine
        .queue
        .send(Lane::Bulk, vec![IntakeMessage::Drop(Drop { object })])
        .await
        .unwrap();

    let payloads = rusqlite::Connection::open(left.machine.data.database()).unwrap();
    let longest = |sql: &str| {
        payloads
            .query_row(sql, [], |row| row.get::<_, Option<usize>>(0))
            .unwrap()
            .unwrap_or(0)
    };
    assert!((1..1_000).contains(&longest("SELECT max(length(body)) FROM messages")));

    let mut child = program.start(project.serve());
    let mut seen = 0;
    while child.try_wait().unwrap().is_none() {
        seen = seen.max(longest("SELECT max(length(position)) FROM executions"));
        tokio::task::yield_now().await;
    }
    assert!((1..1_000).contains(&seen), "a state's input has {seen} bytes");
    assert_eq!(
        left.statuses().into_iter().collect::<Vec<_>>(),
        [(JobStatus::Succeeded, 1)]
    );
    let events = left.events(&left.jobs()[0]).await;
    assert!(
        events
            .iter()
            .all(|event| serde_json::to_string(event).unwrap().len() < 1_000)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_about_a_record_reaches_its_prompts_and_travels_as_a_claim() {
    let model = ScriptedServer::start(
        Script::default().rule(Rule::reply(Reply::text("known")).system_contains("Ada Lovelace")),
    )
    .await;
    let project = Project::with_cards(2);
    project.card(
        2,
        "",
        "Name {{ meta.author }} and the page {{ meta.page }} of “{{ meta.title }}”.",
    );
    let record = |title: &str| {
        serde_json::json!({
            "id": "https://example.org/bridge.html", "title": title, "text": "The bridge opens.",
            "author": "Ada Lovelace", "page": 7, "abstract": "x".repeat(3_000),
        })
    };
    project.article("many.jsonl", record("Bridge").to_string().as_bytes());
    let program = Program::new(&project.data(), &model.url());
    let ended = program.run(project.run(2));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let row = &project.results()["many.jsonl#https://example.org/bridge.html"];
    assert_eq!(row["outputs"]["step-2"], "known", "{row}");
    assert_eq!(model.calls(), 2);
    let left = Left::open(&project.data());
    let job = serde_json::to_string(&left.jobs()[0]).unwrap();
    assert!(job.len() < 3_000, "the job holds what is known: {job}");

    project.article("many.jsonl", record("A new bridge").to_string().as_bytes());
    assert_eq!(program.run(project.run(2)).code, Some(0));
    assert_eq!(
        model.calls(),
        3,
        "another title is another article, and only the card that uses it is asked"
    );
}
