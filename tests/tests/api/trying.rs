//! A prompt card is tried: seen, not stored.

use bedrock_diy_model_server::scripted::{Reply, Rule, Script};
use bedrock_diy_tests::{Left, Program, Project, ScriptedServer, Served};
use serde_json::{Value, json};

/// The events of a stream, by name.
fn events(text: &str) -> Vec<(String, Value)> {
    text.split("\n\n")
        .filter_map(|event| {
            let name = event.lines().find_map(|line| line.strip_prefix("event: "))?;
            let data = event.lines().find_map(|line| line.strip_prefix("data: "))?;
            Some((name.to_owned(), serde_json::from_str(data).unwrap()))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_tried_on_a_text_and_on_what_a_job_s_stage_worked_on() {
    let script = Script::default().rule(Rule::reply(Reply::text("A fine answer of several words.")));
    let model = ScriptedServer::start(script).await;
    let project = Project::with_cards(2);
    let program = Program::new(&project.data(), &model.url());
    let served = Served::start(&project, &program);
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let card = "/api/projects/news/prompts/step-2:try";
        let tried = ada.post(card, &json!({"text": "The bridge opens."})).expect(200);
        assert_eq!(tried.header("content-type").as_deref(), Some("text/event-stream"));
        let told = events(&tried.text());
        assert_eq!(
            (told[0].0.as_str(), &told[0].1["system"]),
            ("rendered", &json!("Do step 2."))
        );
        assert!(told[0].1["messages"].to_string().contains("The bridge opens."));
        let deltas: String = told
            .iter()
            .filter(|(name, _)| name == "delta")
            .map(|(_, data)| data["text"].as_str().unwrap())
            .collect();
        let (last, ended) = told.last().unwrap();
        assert_eq!(
            (last.as_str(), &ended["text"]),
            ("completed", &json!("A fine answer of several words."))
        );
        assert_eq!(deltas, "A fine answer of several words.");
        assert!(ended["usage"]["outputTokens"].as_u64().unwrap() > 0);
        assert!(Left::open(&project.data()).jobs().is_empty(), "a trial is no job");

        let draft = json!({"text": "The bridge opens.", "draft": {
            "content": "Extract names.", "settings": {"outputSchema": {"type": "object"}},
        }});
        let told = events(&ada.post(card, &draft).expect(200).text());
        assert_eq!(told[0].1["system"], "Extract names.");
        assert_eq!(
            (told.last().unwrap().0.as_str(), &told.last().unwrap().1["code"]),
            ("failed", &json!("SchemaMismatch"))
        );

        let job = ada
            .post(
                "/api/projects/news/articles",
                &json!({"text": "The bridge opens."}),
            )
            .expect(202);
        let job = ada.ended(&job.header("location").unwrap());
        let told = events(&ada.post(card, &json!({"jobId": job["jobId"]})).expect(200).text());
        let asked = told[0].1["messages"].to_string();
        assert!(
            asked.contains("A fine answer of several words."),
            "the first stage's output: {asked}"
        );
        assert_eq!(ada.post(card, &json!({})).expect(422).code(), "InvalidRequest");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_articles_would_take_is_told_before_they_run() {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(2);
    let program = Program::new(&project.data(), &model.url());
    let served = Served::start(&project, &program);
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let at = "/api/projects/news/estimate";
        let few = json!({"articles": [{"characters": 4_000, "count": 10}, {"text": "The bridge opens."}]});
        let before = ada.post(at, &few).expect(200).json();
        assert_eq!(
            (&before["articles"], &before["stages"][0]["basis"]),
            (&json!(11), &json!("limit"))
        );
        let job = ada
            .post(
                "/api/projects/news/articles",
                &json!({"text": "The bridge opens."}),
            )
            .expect(202);
        let _ = ada.ended(&job.header("location").unwrap());
        let after = ada.post(at, &few).expect(200).json();
        assert_eq!(after["stages"][0]["basis"], "history");
        let output = |estimate: &Value| estimate["usage"]["outputTokens"].as_u64().unwrap();
        assert!(
            output(&after) < output(&before),
            "answers are shorter than they may be"
        );
        assert!(after["secondsPerArticle"].is_number());
        let neither = ada.post(at, &json!({"articles": [{}]})).expect(422).json();
        assert_eq!(neither["faults"][0]["field"], "/articles/0");
    });
}
