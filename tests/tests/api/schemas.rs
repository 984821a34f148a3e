//! The API does what its document says, whatever it is asked.

use std::{path::PathBuf, process::Command};

use bedrock_diy_model_server::scripted::Script;
use bedrock_diy_tests::{Program, Project, ScriptedServer, Served};

/// How many requests each route is asked, at least.
const EXAMPLES: &str = "50";

fn schemathesis() -> PathBuf {
    let folder = std::env::var_os("BEDROCK_DIY_SCHEMATHESIS");
    PathBuf::from(
        folder.expect("`cargo verify` installs schemathesis, and says where: run this test through it"),
    )
    .join("schemathesis")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_answered_otherwise_than_the_document_says() {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(2);
    let program = Program::new(&project.data(), &model.url());
    let served = Served::start(&project, &program);
    let asked = tokio::task::block_in_place(|| {
        Command::new(schemathesis())
            .args(["--config-file", concat!(env!("CARGO_MANIFEST_DIR"), "/schemathesis.toml"), "run"])
            .arg(format!("{}/openapi.json", served.url()))
            .args(["--header", &format!("Authorization: Bearer {}", served.token)])
            .args(["--checks", "all", "--max-examples", EXAMPLES, "--workers", "2", "--continue-on-failure"])
            // The same requests each time: what is found once is found again.
            .args(["--generation-deterministic", "--no-color"])
            .current_dir(project.data())
            .output()
            .expect("schemathesis can be started")
    });
    let said = String::from_utf8_lossy(&asked.stdout);
    assert!(
        asked.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&asked.stderr)
    );
    let number = |name: &str| {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(name));
        line.unwrap_or_else(|| panic!("{said}")).trim().to_owned()
    };
    let selected = number("Selected:");
    assert_eq!(selected.split('/').next().unwrap(), number("Tested:"), "{said}");
}
