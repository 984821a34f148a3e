//! `serve`: what lands in the inbox is worked, across restarts, and jobs can be steered.

use std::fs;

use bedrock_diy_core::job::{Job, JobStatus};
use bedrock_diy_model_server::{
    StopReason,
    scripted::{Reply, Rule, Script},
};
use bedrock_diy_tests::{Left, Program, Project, ScriptedServer, Served, wait};
use serde_json::json;

fn drop_into(project: &Project, batch: &str, name: &str, text: &str) {
    let folder = project.data().join("inbox/news").join(batch);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lands_in_the_inbox_is_worked_once_across_restarts() {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(2);
    let program = Program::new(&project.data(), &model.url());
    for name in ["a b+c.txt", "기사 📰.txt", "plain.md"] {
        drop_into(&project, "monday", name, "The bridge opens.");
    }
    drop_into(
        &project,
        "tuesday",
        "many.jsonl",
        "{\"text\": \"One.\"}\n{\"text\": \"Two.\", \"id\": \"t2\"}\nnonsense\n",
    );
    assert_eq!(program.run(project.serve()).code, Some(0));
    assert_eq!(program.run(project.serve()).code, Some(0));

    let left = Left::open(&project.data());
    assert_eq!(
        left.statuses().into_iter().collect::<Vec<_>>(),
        [(JobStatus::Succeeded, 5), (JobStatus::Failed, 1)],
        "the line that is no JSON fails alone"
    );
    let mut names: Vec<_> = left
        .jobs()
        .into_iter()
        .map(|job| job.article.name.clone())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "a b+c.txt",
            "many.jsonl#1",
            "many.jsonl#3",
            "many.jsonl#t2",
            "plain.md",
            "기사 📰.txt"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_for_a_project_that_is_not_there_says_so_and_loses_nothing() {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(1);
    let program = Program::new(&project.data(), &model.url());
    let folder = project.data().join("inbox/unknown/monday");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("a.txt"), "text").unwrap();
    let bad = project.data().join("inbox/Not A Project/monday");
    fs::create_dir_all(&bad).unwrap();
    fs::write(bad.join("b.txt"), "text").unwrap();
    assert_eq!(program.run(project.serve()).code, Some(0));

    let left = Left::open(&project.data());
    let jobs = left.jobs();
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].error.as_ref().unwrap().code.as_str(), "ProjectNotFound");
    let dead = program.run(["jobs", "dead-letters", "--json"]).stdout;
    let dead: Vec<serde_json::Value> = dead
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        dead.len(),
        1,
        "a message that can be no job lies in the dead-letter queue"
    );
    let reason = dead[0]["reason"].as_str().unwrap();
    assert!(reason.contains("Not A Project"), "{reason}");
    assert!(program.run(["jobs", "dead-letters"]).stdout.contains(reason));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_is_retried_and_a_finished_one_is_not() {
    let truncated = Rule::reply(Reply::text("half").stop_reason(StopReason::MaxTokens));
    let model = ScriptedServer::start(Script::default().rule(truncated.system_contains("step 2"))).await;
    let project = Project::with_cards(2);
    let program = Program::new(&project.data(), &model.url());
    drop_into(&project, "monday", "a.txt", "The bridge opens.");
    assert_eq!(program.run(project.serve()).code, Some(0));
    let failed = Left::open(&project.data()).jobs()[0].clone();
    assert_eq!(failed.status, JobStatus::Failed);

    model.set_script(Script::default());
    let retry = program.run(["jobs", "retry", failed.job_id.as_str()]);
    assert_eq!(retry.code, Some(0), "{}", retry.stderr);
    assert_eq!(program.run(project.serve()).code, Some(0));
    let left = Left::open(&project.data());
    let again = left
        .jobs()
        .into_iter()
        .find(|job| job.retry_of.as_ref() == Some(&failed.job_id))
        .unwrap();
    assert_eq!((again.status, again.memo_hits), (JobStatus::Succeeded, 1));
    assert_eq!(left.jobs().len(), 2, "the failed job stays as it ended");
    let refused = program.run(["jobs", "retry", again.job_id.as_str()]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("only failed and cancelled jobs"),
        "{}",
        refused.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_cancelled_while_it_runs() {
    // Longer than a command takes on a machine that is busy.
    let slow = Rule::reply(Reply::text("slow").latency(5_000, 0.0));
    let model = ScriptedServer::start(Script::default().rule(slow)).await;
    let project = Project::with_cards(5);
    let program = Program::new(&project.data(), &model.url());
    drop_into(&project, "monday", "a.txt", "The bridge opens.");
    let mut child = program.start(project.serve());
    wait::until(|| model.calls() > 0);
    let left = Left::open(&project.data());
    let job = left.jobs()[0].clone();
    let cancelled = program.run(["jobs", "cancel", job.job_id.as_str()]);
    assert_eq!(cancelled.stdout.trim(), format!("{} CANCELLED", job.job_id));
    child.wait().unwrap();
    let job = left.jobs()[0].clone();
    assert_eq!(job.status, JobStatus::Cancelled);
    assert!(model.calls() <= 2, "nothing more was asked");
    left.assert_events_have_no_holes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_do_not_work_one_data_folder() {
    let model = ScriptedServer::start(Script::default().rule(Rule::hang())).await;
    let project = Project::with_cards(1);
    project.small_articles(1);
    let program = Program::new(&project.data(), &model.url());
    let mut first = program.start(project.run(1));
    wait::until(|| model.calls() > 0);
    let second = program.run(project.run(1));
    assert_eq!(second.code, Some(3));
    assert!(
        second.stderr.contains("another bedrock-diy works in"),
        "{}",
        second.stderr
    );
    assert_eq!(model.calls(), 1);
    assert_eq!(first.try_wait().unwrap(), None, "it works on");
    first.kill().unwrap();
    first.wait().unwrap();
    // With its end the folder is free, and what was begun there is gone on with.
    model.set_script(Script::default());
    let third = program.run(project.run(1));
    assert_eq!(third.code, Some(0), "{}", third.stderr);
    assert_eq!(model.calls(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_although_a_job_that_waits_is_cancelled_from_outside() {
    // The first one is slow: the others wait meanwhile, and two of the jobs are not begun.
    let slow = Rule::reply(Reply::text("slow").latency(5_000, 0.0)).times(1);
    let model = ScriptedServer::start(Script::default().rule(slow)).await;
    let project = Project::with_cards(1);
    project.small_articles(6);
    let program = Program::new(&project.data(), &model.url());
    let mut child = program.start(project.run(1));
    wait::until(|| model.calls() > 0);
    let left = Left::open(&project.data());
    let waiting = wait::found(|| {
        let jobs = left.jobs();
        let is_waiting = |job: &&Job| job.status == JobStatus::Accepted;
        let waiting: Vec<_> = jobs.iter().filter(is_waiting).collect();
        (jobs.len() == 6 && waiting.len() == 2).then(|| waiting[0].job_id.clone())
    });
    let cancelled = program.run(["jobs", "cancel", waiting.as_str()]);
    assert_eq!(cancelled.stdout.trim(), format!("{waiting} CANCELLED"));
    assert_eq!(child.wait().unwrap().code(), Some(1), "one article has no result");
    assert_eq!(
        left.statuses().into_iter().collect::<Vec<_>>(),
        [(JobStatus::Succeeded, 5), (JobStatus::Cancelled, 1)]
    );
    assert_eq!(model.calls(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_folders_are_two_projects_or_are_refused() {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(1);
    let program = Program::new(&project.data(), &model.url());
    let folder = |name: &str| project.dir().with_file_name(name).to_str().unwrap().to_owned();
    for name in ["뉴스", "스포츠"] {
        assert_eq!(program.run(["init".to_owned(), folder(name)]).code, Some(0));
    }
    let serve = |folders: [String; 2]| {
        let [one, other] = folders;
        program.run([
            "serve".to_owned(),
            "--until-idle".to_owned(),
            "--project".to_owned(),
            one,
            "--project".to_owned(),
            other,
        ])
    };
    let served = serve([folder("뉴스"), folder("스포츠")]);
    assert_eq!(served.code, Some(0), "{}", served.stderr);
    let copy = project.dir().to_str().unwrap().to_owned();
    let refused = serve([copy.clone(), copy]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("are both the project news"),
        "{}",
        refused.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_many_articles_keeps_nobody_waiting_who_submits_one() {
    const RECORDS: usize = 20_000;
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(1);
    let program = Program::new(&project.data(), &model.url());
    let served = Served::start(&project, &program);
    let owner = served.owner();
    let many: Vec<_> = (0..RECORDS)
        .map(|number| json!({ "text": format!("Article {number}.") }).to_string())
        .collect();
    drop_into(&project, "monday", "many.jsonl", &many.join("\n"));
    let taken = || {
        let jobs = owner.get("/api/projects/news/batches/monday").json();
        jobs["jobs"].as_u64().unwrap_or_default()
    };
    wait::until(|| taken() > 0);
    let article = json!({"text": "The bridge opens.", "batch": "one"});
    let job = owner.post("/api/projects/news/articles", &article).expect(202);
    let _ = owner.ended(&job.header("location").unwrap());
    let taken = taken();
    assert!(taken < RECORDS as u64, "it waited for all {taken} of them");
}
