//! Articles come in, are followed, tried again, and told of.

use std::collections::BTreeSet;

use bedrock_diy_core::job::JobStatus;
use bedrock_diy_model_server::{
    StopReason,
    scripted::{Reply, Rule, Script},
};
use bedrock_diy_tests::{Left, Program, Project, ScriptedServer, Served};
use serde_json::{Value, json};

async fn served(cards: usize, script: Script) -> (ScriptedServer, Project, Served) {
    let model = ScriptedServer::start(script).await;
    let project = Project::with_cards(cards);
    let program = Program::new(&project.data(), &model.url());
    let served = Served::start(&project, &program);
    (model, project, served)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_article_is_submitted_followed_and_read() {
    let (model, _project, served) = served(2, Script::default()).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let article = json!({
            "text": "The bridge opens.", "title": "Bridge", "language": "en", "metadata": {"desk": "city"},
            "sessionId": "talk", "batch": "morning", "lane": "live", "name": "bridge",
        });
        let taken = ada.post("/api/projects/news/articles", &article).expect(202);
        let at = taken.header("location").unwrap();
        assert!(taken.header("retry-after").is_some());
        let job = ada.ended(&at);
        assert_eq!(job["status"], "SUCCEEDED", "{job}");
        assert_eq!(job["article"]["title"], "Bridge");
        assert_eq!(job["finishedStages"].as_array().unwrap().len(), 2);
        let read = ada.get(&at);
        let etag = read.header("etag").unwrap();
        let known = ada.call("GET", &at).header("If-None-Match", &etag).send();
        assert_eq!((known.status, known.body.len()), (304, 0));
        assert_eq!(
            ada.get(&at).expect(200).body,
            read.body,
            "what has ended is shown from memory"
        );
        let eve = served.somebody("eve", "editor");
        assert_eq!(eve.get(&at).status, 404, "and not to everybody");
        let results = ada.get(&format!("{at}/results")).expect(200).json();
        assert_eq!(results["outputs"][1]["promptId"], "step-2");
        let one = ada.get(&format!("{at}/results/step-2")).expect(200);
        assert_eq!(one.text(), results["outputs"][1]["text"].as_str().unwrap());
        let document = ada
            .call("GET", &format!("{at}/results/2"))
            .header("Accept", "application/json")
            .send();
        assert_eq!(document.status, 406);

        let listed = ada
            .get("/api/projects/news/jobs?status=SUCCEEDED&batch=morning")
            .expect(200)
            .json();
        assert_eq!(listed["items"][0]["jobId"], job["jobId"]);
        let none = ada
            .get("/api/projects/news/jobs?to=2020-01-01T00:00:00.000Z")
            .expect(200)
            .json();
        assert_eq!(none["items"], json!([]));
        let batch = ada.get("/api/projects/news/batches/morning").expect(200).json();
        assert_eq!(
            (
                &batch["jobs"],
                &batch["counts"]["succeeded"],
                &batch["etaSeconds"]
            ),
            (&json!(1), &json!(1), &json!(0))
        );

        let sessions = ada.get("/api/projects/news/sessions").expect(200).json();
        assert_eq!(
            (
                &sessions["items"][0]["sessionId"],
                &sessions["items"][0]["messages"]
            ),
            (&json!("talk"), &json!(2))
        );
        let messages = "/api/sessions/talk/messages?projectId=news";
        let said = ada.get(messages).expect(200).json();
        assert_eq!(
            (&said["items"][1]["role"], &said["items"][1]["text"]),
            (&json!("user"), &json!("The bridge opens."))
        );
        let _ = ada.call("DELETE", messages).send().expect(204);
        assert_eq!(ada.get(messages).expect(200).json()["items"], json!([]));

        let plain = ada.call("POST", "/api/projects/news/articles?title=Plain&name=plain.txt");
        let plain = plain
            .body("text/plain; charset=utf-8", "Just text.")
            .send()
            .expect(202);
        assert_eq!(
            ada.ended(&plain.header("location").unwrap())["article"]["name"],
            "plain.txt"
        );
        let calls = model.calls();
        let rerun = ada.post(&format!("{at}:rerun"), &Value::Null).expect(202);
        assert_eq!(ada.ended(&rerun.header("location").unwrap())["memoHits"], 2);
        assert_eq!(model.calls(), calls, "nothing has changed, so nothing is paid");
        let _ = ada.post(&format!("{at}:retry"), &Value::Null).expect(409);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_goes_on_from_the_stage_that_failed() {
    let truncated = Rule::reply(Reply::text("half").stop_reason(StopReason::MaxTokens));
    let script = Script::default().rule(truncated.system_contains("step 2"));
    let (model, _project, served) = served(2, script).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let taken = ada
            .post(
                "/api/projects/news/articles",
                &json!({"text": "The bridge opens."}),
            )
            .expect(202);
        let at = taken.header("location").unwrap();
        let failed = ada.ended(&at);
        assert_eq!(
            (&failed["error"]["code"], &failed["error"]["stage"]),
            (&json!("OutputTruncated"), &json!(2))
        );
        model.set_script(Script::default());
        let calls = model.calls();
        let again = ada.post(&format!("{at}:retry"), &Value::Null).expect(202);
        let twice = ada.post(&format!("{at}:retry"), &Value::Null);
        let again = ada.ended(&again.header("location").unwrap());
        assert_eq!(
            (&again["status"], &again["memoHits"]),
            (&json!("SUCCEEDED"), &json!(1))
        );
        assert_eq!(model.calls(), calls + 1, "the first stage was paid already");
        assert!([202, 409].contains(&twice.status), "two clicks are one retry");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_articles_of_fifty_clients_with_retries_are_two_thousand_jobs() {
    const CLIENTS: usize = 50;
    const EACH: usize = 40;
    let (_model, project, served) = served(1, Script::default()).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let jobs: BTreeSet<String> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let ada = ada.as_other(Some(&served.token));
                    scope.spawn(move || {
                        let mut jobs = Vec::new();
                        for number in 0..EACH {
                            let article = json!({"text": format!("Article {number} of {client}.")});
                            let key = format!("{client}-{number}");
                            let send = || {
                                let call = ada.call("POST", "/api/projects/news/articles");
                                let answer = call
                                    .header("Idempotency-Key", &key)
                                    .json(&article)
                                    .send()
                                    .expect(202);
                                answer.json()["jobId"].as_str().unwrap().to_owned()
                            };
                            // Every third is sent again at once, every fifth by two at the same time.
                            let job = send();
                            if number % 3 == 0 {
                                assert_eq!(send(), job);
                            }
                            if number % 5 == 0 {
                                let both = std::thread::scope(|scope| {
                                    [scope.spawn(send), scope.spawn(send)]
                                        .map(|thread| thread.join().unwrap())
                                });
                                assert_eq!(both, [job.clone(), job.clone()]);
                            }
                            jobs.push(job);
                        }
                        jobs
                    })
                })
                .collect();
            clients
                .into_iter()
                .flat_map(|client| client.join().unwrap())
                .collect()
        });
        assert_eq!(jobs.len(), CLIENTS * EACH);
        for job in &jobs {
            assert_eq!(ada.ended(&format!("/api/jobs/{job}"))["status"], "SUCCEEDED");
        }
        let other = ada
            .call("POST", "/api/projects/news/articles")
            .header("Idempotency-Key", "0-0");
        assert_eq!(
            other.json(&json!({"text": "Another."})).send().expect(409).code(),
            "Conflict"
        );
    });
    drop(served);
    let left = Left::open(&project.data());
    assert_eq!(
        left.statuses().into_iter().collect::<Vec<_>>(),
        [(JobStatus::Succeeded, CLIENTS * EACH)]
    );
}
