//! `bedrock-diy` as a client of the deployed API: a machine of a newsroom, with a profile.

use std::{
    fs,
    io::{Seek as _, Write as _},
};

use bedrock_diy_tests::{Ended, Program, Project, stack, users::Users};
use serde_json::Value;

#[test]
fn a_machine_pushes_cards_submits_files_talks_and_has_the_results() {
    let stack = stack();
    let users = Users::of(&stack);
    let project = Project::with_cards(2);
    project.write(
        "project.yaml",
        "id: api-client\nname: Client\nsettings:\n  model: test.model-v1:0\n",
    );
    project.article("one.txt", b"The bridge opens.");
    project.article("다리.md", "# 다리\n\n다리가 열린다.".as_bytes());
    let articles = project.articles();
    let articles = articles.to_str().unwrap();
    let (id, secret) = users.machine_secret();
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join("bedrock-diy")).unwrap();
    fs::write(
        home.path().join("bedrock-diy/config.toml"),
        format!(
            "[profile.work]\nendpoint = \"{}\"\nclient_credentials = {{ domain = \"{}\", client_id = \"{id}\", \
             scopes = [\"bedrock-diy/read\", \"bedrock-diy/write\"] }}\n",
            users.url(),
            stack.url,
        ),
    )
    .unwrap();
    let program = Program::new(&project.data(), &stack.url);
    let told = |arguments: &[&str], said: &str| {
        let mut input = tempfile::tempfile().unwrap();
        input.write_all(said.as_bytes()).unwrap();
        input.rewind().unwrap();
        let output = program
            .command(arguments.iter().copied().chain(["--profile", "work"]))
            .env("XDG_CONFIG_HOME", home.path())
            .env("XDG_STATE_HOME", home.path())
            .env("BEDROCK_DIY_CLIENT_SECRET", &secret)
            .current_dir(project.dir())
            .stdin(input)
            .output()
            .unwrap();
        let ended = Ended::from(output);
        assert_eq!(
            ended.code,
            Some(0),
            "{arguments:?}: {}\n{}",
            ended.stdout,
            ended.stderr
        );
        ended.stdout
    };
    let ask = |arguments: &[&str]| told(arguments, "");
    ask(&["projects", "create", "Client", "--id", "api-client"]);
    ask(&["cards", "push", ".", "--yes"]);
    let diff = ask(&["cards", "diff", "."]);
    assert!(!diff.contains('+'), "nothing is left to push: {diff}");
    let submitted = ask(&["submit", articles, "--project", "api-client", "--wait", "--json"]);
    let ended: Vec<Value> = submitted
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(ended.len(), 2, "{submitted}");
    let jobs = ask(&["jobs", "list", "--project", "api-client", "--json"]);
    let jobs: Vec<Value> = jobs
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(jobs.iter().all(|job| job["status"] == "SUCCEEDED"), "{jobs:?}");
    assert_eq!(jobs.len(), 2);
    let followed = ask(&["follow", "--batch", "api", "--project", "api-client"]);
    assert_eq!(followed.matches(": succeeded, ").count(), 2, "{followed}");

    // Two messages of a session, the second one with what was said before, each answered by two stages.
    let chat = ["chat", "--project", "api-client", "--session", "a talk"];
    let answers = told(&chat, "What happens?\nWhich bridge?\n");
    assert_eq!(answers.lines().count(), 4, "{answers}");
    ask(&[
        "results",
        "export",
        "--project",
        "api-client",
        "--batch",
        "api",
        "--format",
        "csv",
        "--out",
        "results.csv",
    ]);
    let table = fs::read_to_string(project.dir().join("results.csv")).unwrap();
    assert!(table.contains("다리.md") && table.contains("one.txt"), "{table}");
}
