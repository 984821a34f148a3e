//! What has changed is paid, and nothing else.

use bedrock_diy_model_server::scripted::{Reply, Rule, Script};
use bedrock_diy_tests::{Program, Project, ScriptedServer};

/// An answer that depends on everything that was asked.
fn faithful() -> Script {
    Script::default().rule(Rule::reply(Reply::template("answer ${hash}")))
}

/// The same, but for what this rule fits.
fn with_first(rule: Rule) -> Script {
    let mut script = faithful();
    script.rules.insert(0, rule);
    script
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_card_pays_only_what_comes_after_it() {
    let model = ScriptedServer::start(faithful()).await;
    let project = Project::with_cards(5);
    project.small_articles(100);
    let program = Program::new(&project.data(), &model.url());
    assert_eq!(program.run(project.run(16)).code, Some(0));
    assert_eq!(model.calls(), 500);

    let again = program.run(project.run(16));
    assert_eq!((again.code, model.calls()), (Some(0), 500), "nothing has changed");

    project.card(4, "", "Do step 4, but shorter.");
    let changed = program.run(project.run(16));
    assert_eq!(
        (changed.code, model.calls()),
        (Some(0), 700),
        "cards 4 and 5 of 100 articles"
    );

    project.card(4, "", "Do step 4.");
    let back = program.run(project.run(16));
    assert_eq!(
        (back.code, model.calls()),
        (Some(0), 700),
        "all of that was answered before"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fresh_asks_again_and_remembers_the_new_answers() {
    let model = ScriptedServer::start(faithful()).await;
    let project = Project::with_cards(2);
    project.small_articles(3);
    let program = Program::new(&project.data(), &model.url());
    assert_eq!(program.run(project.run(4)).code, Some(0));
    let mut fresh = project.run(4);
    fresh.push("--fresh".into());
    assert_eq!((program.run(fresh).code, model.calls()), (Some(0), 12));
    assert_eq!((program.run(project.run(4)).code, model.calls()), (Some(0), 12));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_article_is_tried_again_from_the_stage_that_failed() {
    let refuse =
        Rule::reply(Reply::text("half").stop_reason(bedrock_diy_model_server::StopReason::MaxTokens));
    let model = ScriptedServer::start(with_first(refuse.system_contains("step 3"))).await;
    let project = Project::with_cards(4);
    project.small_articles(5);
    let program = Program::new(&project.data(), &model.url());
    let failed = program.run(project.run(4));
    assert_eq!(failed.code, Some(1), "{}", failed.stdout);
    assert!(
        failed.stdout.contains("Failed: OutputTruncated"),
        "{}",
        failed.stdout
    );
    assert_eq!(model.calls(), 15);

    model.set_script(faithful());
    let mended = program.run(project.run(4));
    assert_eq!(
        (mended.code, model.calls()),
        (Some(0), 25),
        "stages 3 and 4 of five articles"
    );
    assert!(project.results().values().all(|row| row["status"] == "SUCCEEDED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn results_have_a_row_an_article_and_a_column_a_card() {
    let model = ScriptedServer::start(faithful()).await;
    let project = Project::with_cards(3);
    project.small_articles(4);
    let program = Program::new(&project.data(), &model.url());
    assert_eq!(program.run(project.run(4)).code, Some(0));
    let csv = std::fs::read_to_string(project.out().join("results.csv")).unwrap();
    let lines: Vec<_> = csv.lines().collect();
    assert_eq!(
        lines[0],
        "\u{feff}article,status,error,message,step-1,step-2,step-3,tokens,cost,jobId"
    );
    assert_eq!(lines.len(), 5);
    assert!(
        lines[1].starts_with("00000.txt,SUCCEEDED,,,answer "),
        "{}",
        lines[1]
    );
    assert!(project.out().join("articles/00003.txt/3-step-3.txt").is_file());
}
