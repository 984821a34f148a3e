//! Whoever runs some articles pays for these, and for no others that were left unfinished.

use std::fs;

use bedrock_diy_core::job::JobStatus;
use bedrock_diy_model_server::scripted::{Reply, Rule, Script};
use bedrock_diy_tests::{Left, Program, Project, ScriptedServer, wait};

const ARTICLES: usize = 40;

fn answers(milliseconds: u64) -> Script {
    Script::default().rule(Rule::reply(Reply::template("${hash}").latency(milliseconds, 0.0)))
}

/// A run of all articles that was killed while three of them were asked for; the calls that it made.
async fn killed() -> (ScriptedServer, Project, Program, u64) {
    let model = ScriptedServer::start(answers(5_000)).await;
    let project = Project::with_cards(2);
    project.small_articles(ARTICLES);
    let program = Program::new(&project.data(), &model.url());
    let mut run = program.start(project.run(3));
    wait::until(|| model.in_flight() == 3);
    run.kill().unwrap();
    run.wait().unwrap();
    model.comes_to_rest();
    model.set_script(answers(0));
    let calls = model.calls();
    (model, project, program, calls)
}

/// The arguments of a run of one article that has nothing to do with the others.
fn run_of_another(project: &Project) -> Vec<String> {
    let folder = project.dir().with_file_name("other");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("another.txt"), "The market opens.").unwrap();
    let mut run = project.run(3);
    folder.to_str().unwrap().clone_into(&mut run[1]);
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn another_run_pays_for_its_own_articles_and_the_same_command_goes_on() {
    let (model, project, program, before) = killed().await;
    let other = program.run(run_of_another(&project));
    assert_eq!(other.code, Some(0), "{}", other.stderr);
    assert_eq!(model.calls(), before + 2, "two cards of one article");
    assert!(
        other.stderr.contains(&format!("Left alone: {ARTICLES}")),
        "{}",
        other.stderr
    );

    let ended = program.run(project.run(3));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("Left alone"), "{}", ended.stderr);
    assert_eq!(model.calls(), before + 2 + 2 * ARTICLES as u64);
    let left = Left::open(&project.data());
    assert_eq!(
        left.statuses().into_iter().collect::<Vec<_>>(),
        [(JobStatus::Succeeded, ARTICLES + 1)]
    );
    left.assert_events_have_no_holes().await;
    let again = program.run(run_of_another(&project));
    assert!(!again.stderr.contains("Left alone"), "{}", again.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_goes_on_with_what_a_run_left_under_the_cards_of_then() {
    let (model, project, program, before) = killed().await;
    project.card(2, "", "Do step 2, but shorter.");
    assert_eq!(program.run(project.serve()).code, Some(0));
    let served = model.calls();
    let finished = Left::open(&project.data()).jobs().len();
    assert_eq!(
        served,
        before + 2 * finished as u64,
        "what had been sent is worked off"
    );

    let left = Left::open(&project.data());
    for job in left.jobs() {
        let stages = left.stages(&job).await;
        assert_eq!(
            stages[1].revision, 1,
            "the card as it was when the article was submitted"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_run_can_ask_for_again_is_cancelled_and_said() {
    let (model, project, program, before) = killed().await;
    project.card(1, "", "Do step 1, but shorter.");
    let ended = program.run(project.run(3));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains(&format!("Cancelled: {ARTICLES}")),
        "{}",
        ended.stderr
    );
    assert_eq!(model.calls(), before + 2 * ARTICLES as u64);
    let served = program.run(project.serve());
    assert_eq!(served.code, Some(0), "{}", served.stderr);
    assert_eq!(model.calls(), before + 2 * ARTICLES as u64, "nothing comes back");
    Left::open(&project.data()).assert_events_have_no_holes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_question_at_the_same_moment_is_paid_once() {
    let model = ScriptedServer::start(answers(500)).await;
    let project = Project::with_cards(2);
    for number in 0..8 {
        project.article(&format!("copy-{number}.txt"), b"The bridge opens.");
    }
    let program = Program::new(&project.data(), &model.url());
    let ended = program.run(project.run(8));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(model.calls(), 2, "one article, eight times");
    assert!(
        ended.stdout.contains("2 asked, 14 from the memo"),
        "{}",
        ended.stdout
    );
}
