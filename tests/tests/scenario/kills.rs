//! The process is killed at random moments, and loses nothing.

use bedrock_diy_core::job::JobStatus;
use bedrock_diy_model_server::scripted::{Reply, Rule, Script};
use bedrock_diy_tests::{Left, Program, Project, ScriptedServer, wait};
use rand::RngExt as _;

const ARTICLES: usize = 200;
const CARDS: usize = 5;
const KILLS: u64 = 20;
const IN_FLIGHT: u64 = 16;
/// So many jobs are worked at once where so many calls may be in flight: see `Machine::workers`.
const JOBS_AT_ONCE: u64 = 128;
/// Up to so many calls come between two kills: most rounds see far more than can be in flight, and what
/// was not on the disk by then would be missed.
const BETWEEN_KILLS: u64 = 90;

#[tokio::test(flavor = "multi_thread")]
async fn killed_twenty_times_every_article_is_done_once_and_paid_once() {
    let slow = Reply::template("${hash} done").latency(60, 2.0);
    let model = ScriptedServer::start(Script::default().rule(Rule::reply(slow))).await;
    let project = Project::with_cards(CARDS);
    project.small_articles(ARTICLES);
    let program = Program::new(&project.data(), &model.url());
    let run = project.run(usize::try_from(IN_FLIGHT).unwrap());

    let mut kills = 0;
    let mut in_flight_at_kills = 0;
    let mut recorded_before = 0;
    while kills < KILLS {
        let called_before = model.calls();
        let mut child = program.start(run.clone());
        // A number of further model calls, drawn anew each time, decides when: from the first one to
        // somewhere in the middle of the rest.
        let until = called_before + rand::rng().random_range(1..BETWEEN_KILLS);
        wait::until(|| model.calls() >= until || child.try_wait().unwrap().is_some());
        assert!(
            child.try_wait().unwrap().is_none(),
            "it was done after {kills} kills: the articles are too few"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        model.comes_to_rest();
        kills += 1;
        let recorded = recorded_stages(&project).await;
        // In flight is what was asked and whose answer is not on the disk: what is being answered, and
        // what is being written. Both are bounded by the jobs that are worked at once.
        let in_flight = model.calls() - called_before - (recorded - recorded_before);
        assert!(
            in_flight <= JOBS_AT_ONCE,
            "{in_flight} calls were lost by one kill"
        );
        in_flight_at_kills += in_flight;
        recorded_before = recorded;
    }
    let ended = program.run(run);

    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let left = Left::open(&project.data());
    assert_eq!(
        left.statuses().into_iter().collect::<Vec<_>>(),
        [(JobStatus::Succeeded, ARTICLES)]
    );
    for job in left.jobs() {
        let stages: Vec<_> = left.stages(&job).await.iter().map(|stage| stage.stage).collect();
        assert_eq!(stages, [1, 2, 3, 4, 5], "{}", job.job_id);
    }
    left.assert_events_have_no_holes().await;
    println!(
        "{} calls, {in_flight_at_kills} of them were in flight at {KILLS} kills",
        model.calls()
    );
    assert_eq!(model.calls(), (ARTICLES * CARDS) as u64 + in_flight_at_kills);
}

async fn recorded_stages(project: &Project) -> u64 {
    let left = Left::open(&project.data());
    let mut recorded = 0;
    for job in left.jobs() {
        recorded += left.stages(&job).await.len() as u64;
    }
    recorded
}
