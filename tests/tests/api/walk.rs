//! The README's walk, as it stands there.

use std::process::Command;

use bedrock_diy_model_server::scripted::{Rule, Script};
use bedrock_diy_tests::{Program, Project, ScriptedServer, Served};

const README: &str = include_str!("../../../README.md");

/// The lines of the code block that begins with this comment.
fn walk(begin: &str) -> &'static str {
    let block = README.split("```sh\n").find(|block| block.starts_with(begin));
    let block = block.expect("the README has the walk");
    block.split("```").next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_walk_of_the_readme_leads_from_nothing_to_a_result() {
    let model = ScriptedServer::start(Script::default().rule(Rule::text("a fine headline"))).await;
    let project = Project::with_cards(1);
    let program = Program::new(&project.data(), &model.url());
    let served = Served::start(&project, &program);
    let script = walk("# From nothing to a result").replace("http://127.0.0.1:8080", &served.url());
    let lines = script
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .count();
    assert!(lines <= 5, "{lines} lines");
    let data = project.data();
    let path = format!(
        "{}:{}",
        Program::folder().display(),
        std::env::var("PATH").unwrap()
    );
    let walked = tokio::task::block_in_place(|| {
        Command::new("bash")
            .args(["-euo", "pipefail", "-c", &script])
            .env("BEDROCK_DIY_DATA", &data)
            .env("PATH", &path)
            .output()
            .unwrap()
    });
    let (out, said) = (
        String::from_utf8_lossy(&walked.stdout),
        String::from_utf8_lossy(&walked.stderr),
    );
    assert!(walked.status.success(), "{out}\n{said}");
    assert!(out.ends_with("a fine headline"), "{out}\n{said}");
}
