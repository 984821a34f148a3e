//! A job is followed while it runs: by asking again, and as a stream.

use bedrock_diy_model_server::scripted::{Reply, Rule, Script};
use bedrock_diy_tests::{Client, Program, Project, ScriptedServer, Served};
use serde_json::{Value, json};

const STREAM: &str = "text/event-stream";

async fn served(script: Script, more: &[&str]) -> (ScriptedServer, Project, Served) {
    let model = ScriptedServer::start(script).await;
    let project = Project::with_cards(2);
    let program = Program::new(&project.data(), &model.url());
    let served = Served::start_with(&project, &program, more);
    (model, project, served)
}

/// Submits an article: where its job is.
fn submitted(client: &Client, text: &str) -> String {
    let article = json!({ "text": text });
    let taken = client.post("/api/projects/news/articles", &article).expect(202);
    taken.header("location").unwrap()
}

/// What a stream told: numbers, types and events.
fn told(stream: &str) -> Vec<(u64, String, Value)> {
    let field = |event: &str, name: &str| {
        let line = event
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map(str::to_owned)
    };
    stream
        .split("\n\n")
        .filter_map(|event| {
            let id = field(event, "id")?.parse().unwrap();
            let data = serde_json::from_str(&field(event, "data")?).unwrap();
            Some((id, field(event, "event")?, data))
        })
        .collect()
}

/// A job's events, asked for again and again.
fn polled(client: &Client, job: &str, at_once: u32) -> Vec<Value> {
    let (mut events, mut after) = (Vec::new(), 0);
    loop {
        let page = client
            .get(&format!("{job}/events?after={after}&wait={at_once}"))
            .expect(200)
            .json();
        events.extend(page["items"].as_array().unwrap().clone());
        after = page["next"].as_u64().unwrap();
        if page["ended"] == true {
            return events;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_and_whoever_listens_hear_the_same() {
    let script = Script::default().rule(Rule::reply(Reply::text("A fine answer.").latency(50, 10.0)));
    let (_model, _project, served) = served(script, &[]).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let job = submitted(&ada, "The bridge opens.");
        let at = format!("{job}/events");
        let (streamed, asked) = std::thread::scope(|scope| {
            let streamed = scope.spawn(|| ada.call("GET", &at).header("Accept", STREAM).send().expect(200));
            let asked = scope.spawn(|| polled(&ada, &job, 20));
            (streamed.join().unwrap(), asked.join().unwrap())
        });
        assert_eq!(streamed.header("content-type").as_deref(), Some(STREAM));
        assert!(streamed.text().starts_with("retry: "), "{}", streamed.text());
        let streamed = told(&streamed.text());
        let events: Vec<_> = streamed.iter().map(|(_, _, event)| event.clone()).collect();
        assert_eq!(events, asked);
        assert_eq!(events, polled(&ada, &job, 0), "whoever comes late hears it, too");
        let numbers: Vec<_> = streamed.iter().map(|(number, ..)| *number).collect();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
        let types: Vec<_> = streamed.iter().map(|(_, kind, _)| kind.as_str()).collect();
        assert_eq!(
            types,
            [
                "job.accepted",
                "job.started",
                "stage.started",
                "stage.completed",
                "stage.started",
                "stage.completed",
                "job.succeeded"
            ]
        );
        let schemas = bedrock_diy_api::event_schemas();
        for (number, kind, event) in &streamed {
            assert_eq!((&event["number"], &event["type"]), (&json!(number), &json!(kind)));
            let schema = jsonschema::validator_for(&schemas[kind]).unwrap();
            schema
                .validate(event)
                .unwrap_or_else(|error| panic!("{kind}: {error}"));
        }

        // Cut anywhere, and resumed, it is the same.
        for cut in 0..numbers.len() {
            let resumed = ada
                .call("GET", &at)
                .header("Accept", STREAM)
                .header("Last-Event-ID", cut.to_string())
                .send()
                .expect(200);
            assert_eq!(told(&resumed.text()), streamed[cut..]);
        }
        let over = ada
            .call("GET", &at)
            .header("Accept", STREAM)
            .header("Last-Event-ID", numbers.len().to_string())
            .send();
        assert_eq!(over.status, 204, "an EventSource comes again no more");
        let none = ada
            .get(&format!("{at}?after={}&wait=20", numbers.len()))
            .expect(200)
            .json();
        assert_eq!(none, json!({"items": [], "next": numbers.len(), "ended": true}));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn submitting_and_following_are_one_call() {
    let (_model, _project, served) = served(Script::default(), &[]).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let submit = || {
            ada.call("POST", "/api/projects/news/articles")
                .header("Accept", STREAM)
                .header("Idempotency-Key", "one")
                .json(&json!({"text": "The bridge opens."}))
                .send()
                .expect(200)
        };
        let first = submit();
        let events = told(&first.text());
        assert_eq!(events.last().unwrap().1, "job.succeeded");
        assert_eq!(
            told(&submit().text()),
            events,
            "the same submission is the same job"
        );
        let job = first.header("location").unwrap();
        assert_eq!(ada.get(&job).expect(200).json()["status"], "SUCCEEDED");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_after_its_time_and_goes_on_where_it_ended() {
    let script = Script::default().rule(Rule::hang());
    let (_model, _project, served) = served(script, &["--longest-stream", "1"]).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let job = submitted(&ada, "The bridge opens.");
        let listen = |after: u64| {
            let call = ada.call("GET", &format!("{job}/events"));
            let call = call.header("Accept", STREAM);
            told(
                &call
                    .header("Last-Event-ID", after.to_string())
                    .send()
                    .expect(200)
                    .text(),
            )
        };
        let mut last = 0;
        // A stream without an event ended because its time was over.
        while let Some((number, ..)) = listen(last).last() {
            last = *number;
        }
        assert_ne!(last, 0);
        let _ = ada.post(&format!("{job}:cancel"), &Value::Null).expect(200);
        let after = listen(last);
        assert_eq!((after[0].0, after[0].1.as_str()), (last + 1, "job.cancelled"));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused() {
    let (_model, _project, served) = served(Script::default(), &[]).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let job = submitted(&ada, "The bridge opens.");
        for wrong in ["wait=21", "wait=-1", "after=x", "since=1"] {
            let refused = ada.get(&format!("{job}/events?{wrong}"));
            assert_eq!(
                (refused.status, refused.code().as_str()),
                (400, "InvalidRequest"),
                "{wrong}"
            );
        }
        let call = ada
            .call("GET", &format!("{job}/events"))
            .header("Accept", STREAM)
            .header("Last-Event-ID", "x");
        assert_eq!(call.send().expect(400).code(), "InvalidRequest");
    });
}
