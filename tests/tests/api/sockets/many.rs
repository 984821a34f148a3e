//! Whoever follows all jobs of a batch or a project.

use std::collections::BTreeMap;

use bedrock_diy_core::limits;
use bedrock_diy_model_server::scripted::{Reply, Rule, Script};
use bedrock_diy_tests::{Heard, Program, Project, ScriptedServer, Served, Socket, wait};
use serde_json::json;

use super::{id, served, stored, submission};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_a_batch_or_a_project_hears_of_each_of_its_jobs() {
    let (_model, _project, served) = served(Script::default()).await;
    tokio::task::block_in_place(|| {
        let (mut of_batch, mut of_project) = (served.socket(), served.socket());
        let follow = json!({"type": "follow", "projectId": "news", "batch": "monday"});
        assert_eq!(
            of_batch.ask(follow),
            json!({"requestId": "r1", "type": "following", "projectId": "news", "batch": "monday"})
        );
        assert_eq!(
            of_project.ask(json!({"type": "follow", "projectId": "news"})),
            json!({"requestId": "r1", "type": "following", "projectId": "news"})
        );
        let ada = served.owner();
        for batch in ["monday", "tuesday", "monday"] {
            let article = json!({"text": "The bridge opens.", "batch": batch});
            let taken = ada.post("/api/projects/news/articles", &article).expect(202);
            let job = taken.json()["jobId"].as_str().unwrap().to_owned();
            let mut followers = vec![&mut of_project];
            if batch == "monday" {
                followers.push(&mut of_batch);
            }
            let late = stored(&served, &job);
            for follower in followers {
                let mut heard = Heard::default();
                follower.hear_of_many(&mut heard);
                assert_eq!(heard.events, late.events);
            }
        }
        assert_eq!(
            of_project.ask(json!({"type": "unfollow", "projectId": "news"}))["type"],
            "unfollowed"
        );
        let last = ada
            .post("/api/projects/news/articles", &json!({"text": "It closes."}))
            .expect(202);
        let _ = ada.ended(&last.header("location").unwrap());
        // Nothing came before the reply to what is asked after the job has ended.
        assert_eq!(of_project.ask(json!({"type": "ping"}))["type"], "pong");
        assert_eq!(of_project.kept(), 0);
    });
}

/// What is pushed about many jobs, until it is all that happened to them: each event once, a job's in order.
fn hear_all(socket: &mut Socket, after: u64, jobs: &[Heard]) {
    let mut heard: BTreeMap<String, Heard> = BTreeMap::new();
    let wanted: usize = jobs.iter().map(|job| job.events.len()).sum();
    let mut count = 0;
    while count < wanted - jobs.len() * usize::try_from(after).unwrap() {
        for event in socket.pushed_of_many() {
            let of_job = heard.entry(event["jobId"].as_str().unwrap().to_owned());
            of_job.or_default().events.push(event);
            count += 1;
        }
    }
    for job in jobs {
        let id = job.events[0]["jobId"].as_str().unwrap();
        let rest = &job.events[usize::try_from(after).unwrap()..];
        assert_eq!(heard[id].events, rest, "{id}");
    }
    assert_eq!(heard.len(), jobs.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_late_to_a_batch_or_a_project_hears_what_has_happened_and_goes_on() {
    let held = Rule::reply(Reply::text("Slowly.").latency(5_000, 1.0)).user_contains("waits");
    let (model, _project, served) = served(Script::default().rule(held)).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let submit = |batch: &str, text: &str| {
            let article = json!({"text": text, "batch": batch});
            let taken = ada.post("/api/projects/news/articles", &article).expect(202);
            taken.json()["jobId"].as_str().unwrap().to_owned()
        };
        let mut monday = vec![
            submit("monday", "The bridge opens."),
            submit("monday", "It closes."),
        ];
        let tuesday = submit("tuesday", "It opens again.");
        for job in monday.iter().chain([&tuesday]) {
            let _ = stored(&served, job);
        }
        // One that goes on while it is begun to be followed, and one that comes later.
        monday.push(submit("monday", "It waits."));
        wait::until(|| model.in_flight() > 0);
        let mut sockets: Vec<_> = ["0", "2"].map(|_| served.socket()).into();
        for (socket, after) in sockets.iter_mut().zip(["0", "2"]) {
            let follow = json!({"type": "follow", "projectId": "news", "batch": "monday", "after": after});
            assert_eq!(socket.ask(follow)["type"], "following");
        }
        // What a job has not come to yet is told when it does, whatever the number.
        let mut ahead = served.socket();
        let follow = json!({"type": "follow", "projectId": "news", "batch": "monday", "after": "1000"});
        assert_eq!(ahead.ask(follow)["type"], "following");
        let mut of_project = served.socket();
        let follow = json!({"type": "follow", "projectId": "news", "after": "0"});
        assert_eq!(of_project.ask(follow)["type"], "following");
        monday.push(submit("monday", "It opens for good."));
        let mut all: Vec<_> = monday.iter().map(|job| stored(&served, job)).collect();
        hear_all(&mut sockets[0], 0, &all);
        // Of the one that came later everything is heard: it is after what was asked for.
        let late = all.last().unwrap().events.len();
        let before_late = &all[..3];
        let mut heard = 0;
        let wanted: usize = before_late.iter().map(|job| job.events.len() - 2).sum();
        while heard < wanted + late {
            for event in sockets[1].pushed_of_many() {
                let is_late = event["jobId"] == all[3].events[0]["jobId"];
                assert!(is_late || event["number"].as_u64().unwrap() > 2, "{event}");
                heard += 1;
            }
        }
        let waits = json!(monday[2]);
        let mut last = String::new();
        while last != "job.succeeded" {
            let message = ahead.pushed();
            if message["jobId"] == waits {
                let event = message["items"].as_array().unwrap().last().unwrap();
                event["type"].as_str().unwrap().clone_into(&mut last);
            }
        }
        all.push(stored(&served, &tuesday));
        hear_all(&mut of_project, 0, &all);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_program_does_is_heard_of() {
    let model = ScriptedServer::start(Script::default().rule(Rule::hang())).await;
    let project = Project::with_cards(2);
    let program = Program::new(&project.data(), &model.url());
    let served = Served::start(&project, &program);
    tokio::task::block_in_place(|| {
        let job = id(&served.socket().ask(submission(false)));
        let mut of_project = served.socket();
        let follow = json!({"type": "follow", "projectId": "news", "after": "0"});
        assert_eq!(of_project.ask(follow)["type"], "following");
        let cancelled = program.run(["jobs", "cancel", &job]);
        assert_eq!(cancelled.code, Some(0), "{}", cancelled.stderr);
        let mut heard = Heard::default();
        of_project.hear_of_many(&mut heard);
        assert_eq!(heard.types().last(), Some(&"job.cancelled"));
        assert_eq!(heard.events, stored(&served, &job).events);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn of_too_many_jobs_only_what_comes_is_told() {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(1);
    let lines: Vec<_> = (0..=limits::JOBS_SO_FAR)
        .map(|number| {
            json!({"id": number.to_string(), "text": format!("Bridge {number} opens.")}).to_string()
        })
        .collect();
    project.article("many.jsonl", lines.join("\n").as_bytes());
    let program = Program::new(&project.data(), &model.url());
    let ran = program.run(project.run(16));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let served = Served::start(&project, &program);
    tokio::task::block_in_place(|| {
        let mut socket = served.socket();
        let follow = socket.ask(json!({"type": "follow", "projectId": "news", "after": "0"}));
        assert_eq!(
            (&follow["problem"]["status"], &follow["problem"]["code"]),
            (&json!(409), &json!("Conflict")),
            "{follow}"
        );
        let follow = socket.ask(json!({"type": "follow", "projectId": "news"}));
        assert_eq!(follow["type"], "following");
        let job = id(&socket.ask(submission(false)));
        let mut heard = Heard::default();
        socket.hear_of_many(&mut heard);
        assert_eq!(heard.events, stored(&served, &job).events);
    });
}
