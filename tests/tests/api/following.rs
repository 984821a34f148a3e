//! A job is followed while it runs: by asking again, and as a stream.

use std::{
    io::{BufRead, Read as _},
    process::Command,
};

use bedrock_diy_core::{limits, time::Timestamp};
use bedrock_diy_model_server::{
    Breakage,
    scripted::{Reply, Rule, Script},
};
use bedrock_diy_tests::{Client, Heard, Program, Project, ScriptedServer, Served, heard::polled, wait};
use rand::{RngExt, SeedableRng, rngs::StdRng};
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

/// Submits an article, for which the model is asked in any case, and follows it, so that no stage begins unfollowed:
/// where its job is, and what is told of it.
fn submitted_and_followed(client: &Client) -> (String, impl BufRead + Send) {
    let submit = client
        .call("POST", "/api/projects/news/articles")
        .header("Accept", STREAM);
    let article = json!({"text": "The bridge opens.", "fresh": true});
    let (head, stream) = submit.json(&article).listen();
    let job = head.expect(200).header("location").unwrap();
    (job, stream)
}

/// Submits an article and follows it to its end: where its job is, and what was told of it.
fn heard_whole(client: &Client) -> (String, Heard) {
    let (job, mut stream) = submitted_and_followed(client);
    let mut told = String::new();
    stream.read_to_string(&mut told).unwrap();
    assert!(told.starts_with("retry: "), "{told}");
    (job, Heard::of_stream(&told))
}

/// The same, but it hangs up and comes again after as many events as `random` says; and how often it did.
fn heard_in_parts(client: &Client, random: &mut StdRng) -> (String, Heard, usize) {
    let (job, first) = submitted_and_followed(client);
    let (mut heard, mut cuts) = (Heard::default(), 0);
    heard.hear_some(first, random.random_range(1..=4));
    while !heard.has_ended() {
        let again = client
            .call("GET", &format!("{job}/events"))
            .header("Accept", STREAM);
        let (head, stream) = again.header("Last-Event-ID", &heard.last).listen();
        assert_eq!(head.status, 200);
        heard.hear_some(stream, random.random_range(1..=4));
        cuts += 1;
    }
    (job, heard, cuts)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_and_whoever_listens_hear_the_same() {
    let script = Script::default().rule(Rule::reply(Reply::text("A fine answer.").latency(300, 10.0)));
    let (_model, _project, served) = served(script, &[]).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let (job, mut stream) = submitted_and_followed(&ada);
        let at = format!("{job}/events");
        let (streamed, asked) = std::thread::scope(|scope| {
            let asked = scope.spawn(|| polled(&ada, &job, 20));
            let mut streamed = String::new();
            stream.read_to_string(&mut streamed).unwrap();
            (Heard::of_stream(&streamed), asked.join().unwrap())
        });
        assert_eq!(streamed, Heard::of(asked));
        let late = polled(&ada, &job, 0);
        let numbers: Vec<_> = late
            .iter()
            .map(|event| event["number"].as_u64().unwrap())
            .collect();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
        let schemas = bedrock_diy_api::event_schemas();
        for event in &late {
            let kind = event["type"].as_str().unwrap();
            let schema = jsonschema::validator_for(&schemas[kind]).unwrap();
            schema
                .validate(event)
                .unwrap_or_else(|error| panic!("{kind}: {error}"));
        }
        let late = Heard::of(late);
        assert_eq!(streamed, late, "whoever comes late hears it, too");
        assert_eq!(
            late.types(),
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
        assert_eq!(late.texts(), ["A fine answer."; 2]);

        // Resumed after any event, it is the rest.
        for after in 0..numbers.len() {
            let resumed = ada
                .call("GET", &at)
                .header("Accept", STREAM)
                .header("Last-Event-ID", after.to_string())
                .send()
                .expect(200);
            let mut events = Vec::new();
            for frame in resumed.text().split("\n\n") {
                let data = frame.lines().find_map(|line| line.strip_prefix("data: "));
                events
                    .extend(data.map(|data| serde_json::from_str::<Value>(data).unwrap()["number"].clone()));
            }
            assert_eq!(events, numbers[after..]);
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
async fn an_answer_is_heard_while_it_is_written_wherever_its_stream_is_cut() {
    let sentence = "Die Brücke öffnet, 다리가 열린다, 桥开了, said the council \u{1f309}. ";
    let answer = sentence.repeat(40);
    let reply = Reply::text(answer.trim_end()).chunks(300).latency(50, 2.0);
    let (model, _project, served) = served(Script::default().rule(Rule::reply(reply)), &[]).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let random = &mut StdRng::seed_from_u64(5);
        let (mut jobs, mut cuts) = (0, 0);
        // Who comes again slowly finds much at once: then one job is not enough.
        while cuts <= 100 {
            jobs += 1;
            let (job, heard, more) = heard_in_parts(&ada, random);
            cuts += more;
            assert_eq!(heard.texts(), [answer.trim_end(); 2]);
            let late = Heard::of(polled(&ada, &job, 0));
            assert_eq!((&heard.events, &heard.answers), (&late.events, &late.answers));
        }
        assert_eq!(model.calls(), 2 * jobs);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_are_stored_four_times_a_second_at_most() {
    let answer = "The bridge opens. ".repeat(60);
    let reply = Reply::text(answer.trim_end()).chunks(300).latency(10, 5.0);
    let (_model, _project, served) = served(Script::default().rule(Rule::reply(reply)), &[]).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let (_, heard) = heard_whole(&ada);
        assert_eq!(heard.texts(), [answer.trim_end(); 2]);
        for (answer, _) in &heard.answers {
            let stored = heard.events.iter().filter(|event| event["answer"] == **answer);
            let at: Vec<Timestamp> = stored
                .map(|event| event["at"].as_str().unwrap().parse().unwrap())
                .collect();
            // The rest is stored with the answer's end, whenever that is.
            let pauses = at.windows(2).take(at.len().saturating_sub(2));
            for pause in pauses {
                assert!(pause[1].millis() - pause[0].millis() >= 249, "{at:?}");
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_long_answer_the_beginning_is_told_in_small_pieces() {
    let answer = "Die Brücke öffnet. 다리가 열린다. ".repeat(8_000);
    let reply = Reply::text(answer.trim_end()).latency(300, 0.0);
    let (_model, _project, served) = served(Script::default().rule(Rule::reply(reply)), &[]).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let (job, heard) = heard_whole(&ada);
        let told = &answer[..answer.floor_char_boundary(limits::TOLD_BYTES)];
        assert!(
            heard.texts() == [told; 2],
            "{:?}",
            heard.texts().iter().map(|text| text.len()).collect::<Vec<_>>()
        );
        let events = polled(&ada, &job, 0);
        for event in events.iter().filter(|event| event["type"] == "stage.delta") {
            assert!(event["text"].as_str().unwrap().len() <= limits::DELTA_BYTES);
        }
        let completed = events
            .iter()
            .find(|event| event["type"] == "stage.completed")
            .unwrap();
        assert_eq!(
            completed["output"]["size"],
            answer.trim_end().len(),
            "all of it lies where it says"
        );
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_hears_what_everybody_hears() {
    let reply = Reply::text("The bridge opens on Monday.").latency(300, 20.0);
    let (_model, _project, served) = served(Script::default().rule(Rule::reply(reply)), &[]).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let authorization = format!("Authorization: Bearer {}", served.token);
        let curl = Command::new("curl")
            .args(["--silent", "--show-error", "--no-buffer", "--fail"])
            .args([
                "--header",
                &authorization,
                "--header",
                "Accept: text/event-stream",
            ])
            .args(["--header", "Content-Type: application/json"])
            .args(["--data", r#"{"text": "The bridge opens."}"#])
            .arg(format!("{}/api/projects/news/articles", served.url()))
            .output()
            .unwrap();
        assert!(curl.status.success(), "{}", String::from_utf8_lossy(&curl.stderr));
        let heard = Heard::of_stream(&String::from_utf8(curl.stdout).unwrap());
        let job = format!("/api/jobs/{}", heard.events[0]["jobId"].as_str().unwrap());
        let late = Heard::of(polled(&ada, &job, 0));
        assert_eq!((&heard.events, &heard.answers), (&late.events, &late.answers));
        assert_eq!(heard.texts(), ["The bridge opens on Monday."; 2]);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_follows_is_not_told() {
    let reply = Reply::text("A fine answer.").latency(20, 5.0);
    let (_model, _project, served) = served(Script::default().rule(Rule::reply(reply)), &[]).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let job = submitted(&ada, "The bridge opens.");
        let _ = ada.ended(&job);
        let heard = Heard::of(polled(&ada, &job, 0));
        assert_eq!(heard.texts(), Vec::<&str>::new());
        assert!(heard.has_ended());
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn another_try_s_answer_is_another_one() {
    let half = Reply::text("Half of an answer that never ends.").breaks(2, Breakage::Cut);
    let script = Script::default()
        .rule(Rule::reply(half.latency(300, 0.0)).times(1))
        .rule(Rule::reply(Reply::text("A fine answer.").latency(300, 0.0)));
    let (_model, _project, served) = served(script, &[]).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let (_, heard) = heard_whole(&ada);
        assert!(heard.types().contains(&"stage.retrying"), "{heard:?}");
        let texts = heard.texts();
        assert_eq!(texts[1..], ["A fine answer."; 2], "{texts:?}");
        assert!("Half of an answer that never ends.".starts_with(texts[0]));
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
        let heard = Heard::of_stream(&first.text());
        assert_eq!(heard.types().last(), Some(&"job.succeeded"));
        assert_eq!(
            Heard::of_stream(&submit().text()),
            heard,
            "the same submission is the same job"
        );
        let job = first.header("location").unwrap();
        assert_eq!(ada.get(&job).expect(200).json()["status"], "SUCCEEDED");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_after_its_time_and_goes_on_where_it_ended() {
    let script = Script::default().rule(Rule::hang());
    let (model, _project, served) = served(script, &["--longest-stream", "1"]).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let job = submitted(&ada, "The bridge opens.");
        // From here on nothing happens any more by itself.
        wait::until(|| model.in_flight() == 1);
        let listen = |after: u64| {
            let call = ada.call("GET", &format!("{job}/events"));
            let call = call.header("Accept", STREAM);
            let call = call.header("Last-Event-ID", after.to_string());
            Heard::of_stream(&call.send().expect(200).text()).events
        };
        let mut last = 0;
        // A stream without an event ended because its time was over.
        while let Some(event) = listen(last).last() {
            last = event["number"].as_u64().unwrap();
        }
        assert_ne!(last, 0);
        let _ = ada.post(&format!("{job}:cancel"), &Value::Null).expect(200);
        let after = listen(last);
        assert_eq!(
            (&after[0]["number"], &after[0]["type"]),
            (&json!(last + 1), &json!("job.cancelled"))
        );
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
        let beyond = ada.get(&format!("{job}/events?after={}&wait=0", u64::MAX));
        assert_eq!(
            beyond.expect(200).json()["items"],
            json!([]),
            "there is none so far"
        );
        let call = ada
            .call("GET", &format!("{job}/events"))
            .header("Accept", STREAM)
            .header("Last-Event-ID", "x");
        assert_eq!(call.send().expect(400).code(), "InvalidRequest");
    });
}
