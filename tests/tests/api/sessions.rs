//! A session has one job at a time: what it answers is part of what the next one is asked.

use bedrock_diy_core::{
    BatchId, JobId, ProjectId, SessionId,
    article::{Article, ArticleMeta, Bucket, SubmittedPart, submitted_key},
    intake::{IntakeMessage, Lane, Submission},
    job::{Job, JobStatus, NewJob},
    pipeline::PipelineRevision,
    ports::{Clock as _, Jobs as _, Objects as _, Queue as _},
};
use bedrock_diy_model_server::scripted::{Rule, Script};
use bedrock_diy_tests::{Answer, Client, Left, Program, Project, ScriptedServer, Served, wait};
use serde_json::{Value, json};

const ARTICLES: &str = "/api/projects/news/articles";

/// A model that never answers.
fn silent() -> Script {
    Script::default().rule(Rule::hang())
}

async fn served(script: Script) -> (ScriptedServer, Project, Served) {
    let model = ScriptedServer::start(script).await;
    let project = Project::with_cards(1);
    let program = Program::new(&project.data(), &model.url());
    let served = Served::start(&project, &program);
    (model, project, served)
}

fn say(client: &Client, session: &str, key: &str) -> Answer {
    let article = json!({"text": format!("Said as {key}."), "sessionId": session});
    let call = client.call("POST", ARTICLES).header("Idempotency-Key", key);
    call.json(&article).send()
}

fn job_of(answer: &Answer) -> String {
    answer.json()["jobId"].as_str().unwrap().to_owned()
}

/// The answer must say that this job stands in the way.
fn is_refused_because_of(job: &str, answer: &Answer) {
    assert_eq!(answer.status, 409, "{}", answer.text());
    assert_eq!(answer.code(), "SessionBusy");
    assert_eq!(job_of(answer), job);
    let detail = answer.json()["detail"].to_string();
    assert!(detail.contains(job) && detail.contains("cancel it"), "{detail}");
}

/// What was said in a session, the oldest first.
fn said(client: &Client, session: &str) -> Vec<String> {
    let messages = client
        .get(&format!("/api/sessions/{session}/messages?projectId=news"))
        .expect(200)
        .json();
    let texts = messages["items"].as_array().unwrap().iter().rev();
    texts
        .filter(|message| message["role"] == "user")
        .map(|message| message["text"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_session_s_job_is_open_no_other_one_becomes_a_job() {
    let (model, project, served) = served(silent()).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let first = job_of(&say(&ada, "talk", "one").expect(202));
        is_refused_because_of(&first, &say(&ada, "talk", "two"));
        let replay = say(&ada, "talk", "one").expect(202);
        assert_eq!(
            (job_of(&replay), replay.header("idempotent-replayed")),
            (first.clone(), Some("true".into()))
        );
        let _ = say(&ada, "another", "three").expect(202);

        // Both wait for the silent model.
        wait::until(|| model.in_flight() == 2);
        model.set_script(Script::default());
        let _ = ada
            .post(&format!("/api/jobs/{first}:cancel"), &Value::Null)
            .expect(200);
        let retried = job_of(
            &ada.post(&format!("/api/jobs/{first}:retry"), &Value::Null)
                .expect(202),
        );
        assert_eq!(ada.ended(&format!("/api/jobs/{retried}"))["status"], "SUCCEEDED");
        let second = job_of(&say(&ada, "talk", "two").expect(202));
        assert_eq!(ada.ended(&format!("/api/jobs/{second}"))["status"], "SUCCEEDED");
        assert_eq!(said(&ada, "talk"), ["Said as one.", "Said as two."]);

        // A retry and a rerun take the turn as well, and wait for nobody.
        model.set_script(silent());
        let open = job_of(&say(&ada, "talk", "four").expect(202));
        for again in [format!("{first}:retry"), format!("{second}:rerun?fresh=true")] {
            let refused = ada.post(&format!("/api/jobs/{again}"), &Value::Null);
            assert_eq!(refused.status, 409, "{again}: {}", refused.text());
        }
        is_refused_because_of(
            &open,
            &ada.post(&format!("/api/jobs/{second}:rerun?fresh=true"), &Value::Null),
        );
        let _ = ada
            .post(&format!("/api/jobs/{open}:cancel"), &Value::Null)
            .expect(200);
        let again = ada
            .post(&format!("/api/jobs/{second}:rerun?fresh=true"), &Value::Null)
            .expect(202);
        is_refused_because_of(&job_of(&again), &say(&ada, "talk", "five"));
    });
    let names: Vec<_> = Left::open(&project.data()).jobs();
    assert_eq!(names.len(), 6, "what was refused is no job: {names:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_speak_at_once_one_is_heard() {
    let (_model, project, served) = served(silent()).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let answers = std::thread::scope(|scope| {
            let speak = |number: u32| {
                let ada = &ada;
                scope.spawn(move || say(ada, "talk", &format!("voice-{number}")))
            };
            let speaking: Vec<_> = (0..8).map(speak).collect();
            let answers = speaking.into_iter().map(|voice| voice.join().unwrap());
            answers.collect::<Vec<_>>()
        });
        let (heard, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 202);
        assert_eq!(heard.len(), 1);
        for answer in refused {
            is_refused_because_of(&job_of(heard[0]), answer);
        }
    });
    assert_eq!(Left::open(&project.data()).jobs().len(), 1);
}

/// A submission in a session, as the API takes it from the machine's owner: its text is stored.
async fn stored(left: &Left, key: &str) -> Submission {
    let project = ProjectId::new("news").unwrap();
    let job_id = JobId::of_submission("local", &project, key);
    let place = submitted_key(&project, &job_id, SubmittedPart::Text);
    let text = format!("Said as {key}.").into_bytes();
    let source = left
        .machine
        .objects
        .put(Bucket::Articles, &place, text)
        .await
        .unwrap();
    Submission {
        job_id,
        project_id: project,
        batch: BatchId::new("api").unwrap(),
        article: Article {
            text: Some(source.clone()),
            meta: ArticleMeta::default(),
            ..Article::new("article.txt", source)
        },
        session_id: Some(SessionId::new("talk").unwrap()),
        fresh: false,
        retry_of: None,
        pipeline: None,
    }
}

/// Accepts a job as somebody who dies before its message is sent.
async fn accepted_and_not_sent(left: &Left, key: &str) -> Job {
    let submission = stored(left, key).await;
    let projects = &left.machine.projects;
    let pipeline = PipelineRevision::current(projects, &submission.project_id, "test.model-v1:0")
        .await
        .unwrap();
    let new = NewJob::submitted(Lane::Live, submission);
    let change = Job::accept(new, Ok(&pipeline), left.machine.clock.now());
    left.machine.jobs.accept(change.clone()).await.unwrap();
    change.job
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_message_was_never_sent_is_worked_when_the_next_one_comes() {
    let (_model, project, served) = served(Script::default()).await;
    let left = Left::open(&project.data());
    let lost = accepted_and_not_sent(&left, "lost").await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        is_refused_because_of(lost.job_id.as_str(), &say(&ada, "talk", "next"));
        let at = format!("/api/jobs/{}", lost.job_id);
        assert_eq!(ada.ended(&at)["status"], "SUCCEEDED");
        let next = job_of(&say(&ada, "talk", "next").expect(202));
        assert_eq!(ada.ended(&format!("/api/jobs/{next}"))["status"], "SUCCEEDED");
        assert_eq!(said(&ada, "talk"), ["Said as lost.", "Said as next."]);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_message_was_never_sent_is_worked_when_it_is_submitted_again() {
    let (_model, project, served) = served(Script::default()).await;
    let lost = accepted_and_not_sent(&Left::open(&project.data()), "lost").await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let again = say(&ada, "talk", "lost").expect(202);
        assert_eq!(job_of(&again), lost.job_id.as_str());
        assert_eq!(again.header("idempotent-replayed"), Some("true".into()));
        let at = format!("/api/jobs/{}", lost.job_id);
        assert_eq!(ada.ended(&at)["status"], "SUCCEEDED");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_message_was_never_sent_is_worked_after_a_restart() {
    let (model, project, served) = served(Script::default()).await;
    drop(served);
    let left = Left::open(&project.data());
    let lost = accepted_and_not_sent(&left, "lost").await;
    let program = Program::new(&project.data(), &model.url());
    let served = Served::start(&project, &program);
    tokio::task::block_in_place(|| {
        let at = format!("/api/jobs/{}", lost.job_id);
        assert_eq!(served.owner().ended(&at)["status"], "SUCCEEDED");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_while_its_session_is_busy_says_so_on_its_job() {
    let (model, project, served) = served(silent()).await;
    let left = Left::open(&project.data());
    let submission = stored(&left, "unasked").await;
    let id = submission.job_id.clone();
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let first = job_of(&say(&ada, "talk", "first").expect(202));
        let message = IntakeMessage::Submission(Box::new(submission));
        let sent = left.machine.queue.send(Lane::Live, vec![message]);
        tokio::runtime::Handle::current().block_on(sent).unwrap();
        // It has no job before it is taken in.
        wait::until(|| ada.get(&format!("/api/jobs/{id}")).status != 404);
        let refused = ada.ended(&format!("/api/jobs/{id}"));
        assert_eq!(refused["error"]["code"], "SessionBusy", "{refused}");
        assert!(refused["error"]["message"].as_str().unwrap().contains(&first));
        wait::until(|| model.in_flight() == 1);
        model.set_script(Script::default());
        let _ = ada
            .post(&format!("/api/jobs/{first}:cancel"), &Value::Null)
            .expect(200);
        let retried = ada
            .post(&format!("/api/jobs/{id}:retry"), &Value::Null)
            .expect(202);
        let at = format!("/api/jobs/{}", job_of(&retried));
        assert_eq!(ada.ended(&at)["status"], "SUCCEEDED", "nothing of it was lost");
    });
    assert_eq!(left.statuses()[&JobStatus::Succeeded], 1);
}
