//! At the terminal: readers that go away, interrupts, exit codes, lists, and what logs may hold.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use bedrock_diy_core::job::JobStatus;
use bedrock_diy_model_server::{
    StopReason,
    scripted::{Reply, Rule, Script},
};
use bedrock_diy_tests::{Ended, Left, Program, Project, ScriptedServer, wait};

/// Runs a command whose readers are gone before it says anything; answers its exit code.
fn unread(mut command: Command) -> Option<i32> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    child.wait().unwrap().code()
}

fn interrupt(child: &Child) {
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_no_work() {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(2);
    project.small_articles(20);
    let program = Program::new(&project.data(), &model.url());
    let arguments = project.run(4).join("\n").replace("none", "lines");
    let mut run = program.command(arguments.split('\n').chain(["--stream"]));
    run.env("RUST_LOG", "info");
    assert_eq!(unread(run), Some(0));
    assert_eq!(project.results().len(), 20);

    for listing in [
        "jobs list",
        "jobs list --json",
        "results export --project news",
        "results export --project news --format jsonl",
        "results export --project news --format parquet",
        "models",
        "models --json",
        "completions bash",
        "--help",
    ] {
        let command = program.command(listing.split(' '));
        assert_eq!(unread(command), Some(0), "{listing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_lets_answers_come_to_their_end_and_the_same_command_goes_on() {
    // Answers that are alike would come from the memo. The interrupt has to come before they do.
    let slow = Rule::reply(Reply::template("${hash}").latency(5_000, 0.0));
    let model = ScriptedServer::start(Script::default().rule(slow)).await;
    let project = Project::with_cards(2);
    project.small_articles(6);
    let program = Program::new(&project.data(), &model.url());
    let mut run = program
        .command(project.run(3))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait::until(|| model.in_flight() == 3);
    interrupt(&run);
    let (mut said, mut table) = (String::new(), String::new());
    run.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    run.stdout.take().unwrap().read_to_string(&mut table).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert!(said.contains("are finished first"), "{said}");
    assert!(table.contains("the same command goes on"), "{table}");
    assert!(
        table.contains("3 asked"),
        "what was paid for last is counted: {table}"
    );
    assert_eq!(project.results().len(), 6, "every article is told of");
    assert_eq!(model.calls(), 3, "nothing new was begun");

    model.set_script(Script::default().rule(Rule::reply(Reply::template("${hash}"))));
    let ended = program.run(project.run(3));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(model.calls(), 12, "what was answered was kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_run_that_was_interrupted_goes_on_and_the_next_one_begins_anew() {
    let answer = || Reply::template("${hash}");
    let model = ScriptedServer::start(Script::default().rule(Rule::reply(answer()))).await;
    let project = Project::with_cards(1);
    project.small_articles(5);
    let program = Program::new(&project.data(), &model.url());
    let fresh = || project.run(2).into_iter().chain(["--fresh".to_owned()]);
    assert_eq!(program.run(project.run(2)).code, Some(0));
    assert_eq!(model.calls(), 5);

    model.set_script(Script::default().rule(Rule::reply(answer().latency(5_000, 0.0))));
    let mut interrupted = program.start(fresh());
    wait::until(|| model.in_flight() == 2);
    interrupt(&interrupted);
    assert_eq!(interrupted.wait().unwrap().code(), Some(130));
    assert_eq!(model.calls(), 5 + 2);

    model.set_script(Script::default().rule(Rule::reply(answer())));
    assert_eq!(program.run(fresh()).code, Some(0));
    assert_eq!(model.calls(), 5 + 5, "those two were asked already");
    assert_eq!(program.run(fresh()).code, Some(0));
    assert_eq!(model.calls(), 5 + 5 + 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_interrupt_stops_at_once() {
    let model = ScriptedServer::start(Script::default().rule(Rule::hang())).await;
    let project = Project::with_cards(1);
    project.small_articles(1);
    let program = Program::new(&project.data(), &model.url());
    let mut run = program
        .command(project.run(1))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(run.stderr.take().unwrap()).lines();
    wait::until(|| model.in_flight() == 1);
    interrupt(&run);
    assert!(said.any(|line| line.unwrap().contains("are finished first")));
    assert_eq!(run.try_wait().unwrap(), None, "it waits for the answer");
    interrupt(&run);
    let asked = Instant::now();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    // Of itself it would wait for half a minute.
    assert!(asked.elapsed() < Duration::from_secs(25));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_at_the_end_counts_every_stage_of_a_fast_run() {
    // Each answer is another one: nothing comes from the memo.
    let answer = Rule::reply(Reply::template("${hash}"));
    let model = ScriptedServer::start(Script::default().rule(answer)).await;
    let project = Project::with_cards(5);
    project.small_articles(900);
    let program = Program::new(&project.data(), &model.url());
    let ended = program.run(project.run(64));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("4,500 asked, 0 from the memo"),
        "{}",
        ended.stdout
    );
    let again = program.run(project.run(64));
    assert!(
        again.stdout.contains("900 (900 before this run)"),
        "{}",
        again.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn results_among_the_articles_are_no_articles() {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(1);
    project.small_articles(2);
    let program = Program::new(&project.data(), &model.url());
    let run = || {
        let mut run = program.command(["run", ".", "--project", "../project", "--progress", "none"]);
        Ended::from(run.current_dir(project.articles()).output().unwrap())
    };
    assert_eq!(run().code, Some(0));
    let again = run();
    assert_eq!(again.code, Some(0));
    assert!(again.stdout.contains("2 (2 before this run)"), "{}", again.stdout);
    assert_eq!(model.calls(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_found_by_the_beginning_of_their_ids_and_listed_in_pages() {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(1);
    project.small_articles(40);
    let program = Program::new(&project.data(), &model.url());
    assert_eq!(program.run(project.run(8)).code, Some(0));

    let list = |options: &str| {
        let ended = program.run(format!("jobs list --json {options}").split_whitespace());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let jobs: Vec<serde_json::Value> = ended
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        jobs.iter()
            .map(|job| job["jobId"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let all = list("--all");
    assert_eq!(all.len(), 40);
    let first = list("--limit 25");
    let rest = list(&format!("--limit 25 --before {}", first[24]));
    assert_eq!([first, rest].concat(), all);

    let table = program.run(["jobs", "list", "--limit", "3"]).stdout;
    assert!(table.contains(&format!("--before {}", all[2])), "{table}");

    // 40 random beginnings of two digits out of 1,024: twelve are beyond doubt.
    let beginning = all[7][..12].to_lowercase();
    let shown = program.run(["jobs", "show", beginning.as_str()]);
    assert!(shown.stdout.contains(&all[7]), "{}{}", shown.stdout, shown.stderr);
    let none = program.run(["jobs", "show", "ZZZZZZ"]);
    assert_eq!(none.code, Some(2));
    assert!(none.stderr.contains("jobs list"), "{}", none.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_retried_before_is_retried_from_where_that_ended() {
    let truncated = Rule::reply(Reply::text("half").stop_reason(StopReason::MaxTokens));
    let model = ScriptedServer::start(Script::default().rule(truncated)).await;
    let project = Project::with_cards(1);
    project.small_articles(1);
    let program = Program::new(&project.data(), &model.url());
    assert_eq!(program.run(project.run(1)).code, Some(1));
    let failed = Left::open(&project.data()).jobs()[0].job_id.clone();
    let retry = || {
        let retried = program.run(["jobs", "retry", failed.as_str()]);
        assert_eq!(retried.code, Some(0), "{}", retried.stderr);
        assert_eq!(program.run(project.serve()).code, Some(0));
    };
    retry();
    model.set_script(Script::default());
    retry();
    let left = Left::open(&project.data());
    assert_eq!(
        left.statuses().into_iter().collect::<Vec<_>>(),
        [(JobStatus::Succeeded, 1), (JobStatus::Failed, 2)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_line_holds_an_article_a_prompt_or_an_output() {
    let answer = Rule::text("The answer says zinnober.");
    let model = ScriptedServer::start(Script::default().rule(answer)).await;
    let project = Project::with_cards(1);
    project.card(1, "", "The prompt says kobalt.");
    project.article("a.txt", b"The article says ocker.");
    let program = Program::new(&project.data(), &model.url());
    for format in ["text", "json"] {
        let mut run = program.command(project.run(1).into_iter().chain(["--fresh".to_owned()]));
        let ended = Ended::from(
            run.env("RUST_LOG", "trace")
                .env("BEDROCK_DIY_LOG", format)
                .output()
                .unwrap(),
        );
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("job succeeded"), "{}", ended.stderr);
        assert!(!ended.stderr.contains('\u{1b}'), "a file gets no colours");
        for secret in ["zinnober", "kobalt", "ocker"] {
            let told = ended.stderr.lines().find(|line| line.contains(secret));
            assert_eq!(told, None, "{secret}");
        }
        for line in ended.stderr.lines().filter(|_| format == "json") {
            let is_log = serde_json::from_str::<serde_json::Value>(line).is_ok();
            assert!(is_log || line.starts_with("Model: "), "{line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_of_a_newer_version_is_refused_and_left_as_it_is() {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(1);
    project.small_articles(1);
    let program = Program::new(&project.data(), &model.url());
    assert_eq!(program.run(project.run(1)).code, Some(0));
    let database = rusqlite::Connection::open(project.data().join("bedrock-diy.sqlite")).unwrap();
    let own: i64 = database
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    database.pragma_update(None, "user_version", own + 1).unwrap();
    let refused = program.run(project.run(1));
    assert_eq!(refused.code, Some(3));
    assert!(refused.stderr.contains("another version"), "{}", refused.stderr);
    database.pragma_update(None, "user_version", own).unwrap();
    assert_eq!(program.run(project.run(1)).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_paid_for_whose_results_could_not_be_written() {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(1);
    project.small_articles(1);
    std::fs::write(project.out(), "a file").unwrap();
    let refused = Program::new(&project.data(), &model.url()).run(project.run(1));
    assert_eq!(refused.code, Some(3));
    assert!(
        refused.stderr.contains("can't be written to"),
        "{}",
        refused.stderr
    );
    assert_eq!(model.calls(), 0);
}
