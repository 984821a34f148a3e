//! A model service that is short, slow or broken delays articles, and fails none that it could answer.

use std::collections::BTreeMap;

use bedrock_diy_core::job::JobStatus;
use bedrock_diy_model_server::{
    Breakage, ErrorKind, StopReason,
    scripted::{Quota, Reply, Rule, Script},
};
use bedrock_diy_tests::{Left, Program, Project, ScriptedServer};

/// Runs, and fails unless every stage was answered once; `spoiled` answers were whole for the server and
/// unreadable for its client.
async fn all_succeed(
    script: Script,
    articles: usize,
    cards: usize,
    front_matter: &str,
    spoiled: usize,
) -> ScriptedServer {
    // An answer that depends on what was asked, so that no stage finds another article's answer.
    let faithful = Rule::reply(Reply::template("answer ${hash}"));
    let model = ScriptedServer::start(script.rule(faithful)).await;
    let project = Project::with_cards(cards);
    for card in 1..=cards {
        project.card(card, front_matter, &format!("Do step {card}."));
    }
    project.small_articles(articles);
    let ended = Program::new(&project.data(), &model.url()).run(project.run(30));
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    let left = Left::open(&project.data());
    assert_eq!(
        left.statuses().into_iter().collect::<Vec<_>>(),
        [(JobStatus::Succeeded, articles)]
    );
    left.assert_events_have_no_holes().await;
    assert_eq!(
        model.ended("end_turn"),
        (articles * cards + spoiled) as u64,
        "each stage was answered once"
    );
    model
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_of_a_tenth_of_the_demand_fails_nobody() {
    // 30 calls in flight that take 0.3 seconds each are 100 calls a second: a demand of 6,000 a minute.
    const DEMAND: u64 = 6_000;
    let mut quota = Quota::of("*");
    quota.requests_per_minute = Some(DEMAND / 10);
    let answer = Rule::reply(Reply::template("answer ${hash}").latency(300, 0.0));
    let model = all_succeed(Script::default().quota(quota).rule(answer), 300, 3, "", 0).await;
    let throttled = model.ended("ThrottlingException");
    println!("{} calls, {throttled} of them throttled", model.calls());
    // The minute's 600 calls are through after a tenth of it. For the rest of it everything is refused: once
    // the calls that are in flight just then, after that now and then one that looks whether it is over.
    // Stages that tried again every second, as a storm does, would be refused 30 times a second.
    assert!(throttled > 0, "the quota was never met");
    assert!(throttled < 200, "the stages did not wait for their turn");
}

#[tokio::test(flavor = "multi_thread")]
async fn server_errors_are_outlived() {
    let faults = [
        ErrorKind::InternalServer,
        ErrorKind::ServiceUnavailable,
        ErrorKind::ModelNotReady,
    ];
    let script = faults.into_iter().fold(Script::default(), |script, kind| {
        script.rule(Rule::error(kind).every(7).times(40))
    });
    all_succeed(script, 100, 3, "", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hangs_are_outlived() {
    let script = Script::default().rule(Rule::hang().every(10).times(10));
    // Far longer than an answer takes: one that comes too late was an answer for the server alone.
    all_succeed(script, 60, 3, "timeoutSeconds: 5\n", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_streams_are_outlived() {
    let cut = |breakage| {
        Rule::reply(Reply::text("a b c d e f g h").breaks(3, breakage))
            .every(6)
            .times(25)
    };
    let script = Script::default()
        .rule(cut(Breakage::Cut))
        .rule(cut(Breakage::End))
        .rule(cut(Breakage::Garbage));
    all_succeed(script, 100, 3, "", 25).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_fault_fails_its_article_alone_and_with_the_right_code() {
    let stops = |text: &str, reason| Rule::reply(Reply::text("half").stop_reason(reason)).user_contains(text);
    let script = Script::default()
        .rule(stops("CASE-TRUNCATED", StopReason::MaxTokens))
        .rule(stops("CASE-GUARDED", StopReason::GuardrailIntervened))
        .rule(stops("CASE-FILTERED", StopReason::ContentFiltered))
        .rule(Rule::error(ErrorKind::AccessDenied).user_contains("CASE-DENIED"))
        .rule(Rule::error(ErrorKind::ResourceNotFound).user_contains("CASE-NO-MODEL"))
        .rule(Rule::error(ErrorKind::Validation).user_contains("CASE-INVALID"))
        .rule(stops("CASE-TOOL", StopReason::ToolUse))
        .rule(Rule::text("").user_contains("CASE-EMPTY"))
        .rule(Rule::text("").user_contains("Your answer was empty"))
        .rule(Rule::text("no JSON at all").user_contains("CASE-SCHEMA"))
        .rule(Rule::text("still no JSON").user_contains("does not satisfy the JSON Schema"))
        .rule(Rule::reply(Reply::json(serde_json::json!({"title": "Bridge"}))));
    let model = ScriptedServer::start(script).await;
    let project = Project::with_cards(1);
    project.card(
        1,
        "outputSchema: {type: object, required: [title]}\n",
        "Give a title as JSON.",
    );
    let cases = [
        ("TRUNCATED", "OutputTruncated"),
        ("GUARDED", "ContentBlocked"),
        ("FILTERED", "ContentBlocked"),
        ("DENIED", "ModelAccessDenied"),
        ("NO-MODEL", "ModelNotFound"),
        ("INVALID", "InvalidRequest"),
        ("SCHEMA", "SchemaMismatch"),
        ("TOOL", "OutputUnusable"),
        ("EMPTY", "OutputUnusable"),
    ];
    for (case, _) in cases {
        project.article(&format!("{case}.txt"), format!("CASE-{case}").as_bytes());
    }
    project.small_articles(20);
    let ended = Program::new(&project.data(), &model.url()).run(project.run(8));

    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let results = project.results();
    let codes: BTreeMap<_, _> = results
        .iter()
        .filter(|(_, row)| row["status"] == "FAILED")
        .map(|(name, row)| (name.as_str(), row["error"]["code"].as_str().unwrap()))
        .collect();
    let expected: BTreeMap<_, _> = cases
        .iter()
        .map(|(case, code)| (format!("{case}.txt"), *code))
        .collect();
    assert_eq!(
        codes,
        expected
            .iter()
            .map(|(name, code)| (name.as_str(), *code))
            .collect()
    );
    assert_eq!(
        results
            .values()
            .filter(|row| row["status"] == "SUCCEEDED")
            .count(),
        20
    );
}
