//! `cargo stack`: everything deployed on a local AWS; and the stack that the tests are given.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crate::{
    shell::{Outcome, cannot_start, cargo, command, root, step, target},
    tools::TOOLS,
};

/// What the scripted model answers, for people and for the tests.
const SCRIPT: &str = "tests/local_aws/script.json";
const TEST_SCRIPT: &str = "tests/scenarios/script.json";

/// What has cargo build the functions.
pub(crate) const FUNCTIONS: [&str; 18] = [
    "--package",
    "bedrock-diy-api",
    "--package",
    "bedrock-diy-authorize",
    "--package",
    "bedrock-diy-socket",
    "--package",
    "bedrock-diy-intake",
    "--package",
    "bedrock-diy-plan",
    "--package",
    "bedrock-diy-stage",
    "--package",
    "bedrock-diy-finish",
    "--package",
    "bedrock-diy-notify",
    "--package",
    "bedrock-diy-deliver",
];

/// How often is looked whether the stack is there.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Builds the functions for this machine, deploys them to a local AWS, and stays until Ctrl-C, or until the
/// articles in `drop` have ended. `arguments` are for the program itself.
pub(crate) fn stack(arguments: &[String]) -> Outcome {
    let tools = TOOLS.install()?;
    step(
        "Building the functions for this machine",
        cargo(["build", "--bins", "--package", "bedrock-diy-stack"]).args(FUNCTIONS),
    )?;
    let mut stack = program(&tools);
    if !arguments.iter().any(|argument| argument == "--script") {
        stack.args(["--script", SCRIPT]);
    }
    step("The stack", stack.args(arguments))
}

/// A stack that ends with this value.
pub(crate) struct TestStack {
    /// The file that names its endpoints.
    pub(crate) endpoints: PathBuf,
    process: Child,
}

impl Drop for TestStack {
    fn drop(&mut self) {
        // It ends when its standard input does.
        drop(self.process.stdin.take());
        // Whatever it ended with, the tests have said what is wrong.
        let _ = self.process.wait();
    }
}

/// Starts a stack of programs that are built, and waits until it is there.
pub(crate) fn for_tests(tools: &Path) -> Outcome<TestStack> {
    eprintln!("\n▶ Deploying template.yaml to a local AWS, for the tests");
    let endpoints = target().join("stack.json");
    if endpoints.exists() {
        fs::remove_file(&endpoints)
            .map_err(|error| format!("{} can't be removed: {error}", endpoints.display()))?;
    }
    let log = target().join("stack.log");
    let log_file =
        fs::File::create(&log).map_err(|error| format!("{} can't be written: {error}", log.display()))?;
    let mut stack = program(tools);
    stack
        .args([
            "--end-with-stdin",
            "--port",
            "0",
            "--script",
            TEST_SCRIPT,
            "--ready",
        ])
        .arg(&endpoints)
        .env("RUST_LOG", "warn,local_aws=debug")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(log_file);
    let process = stack.spawn().map_err(|error| cannot_start(&stack, &error))?;
    let mut stack = TestStack { endpoints, process };
    while !stack.endpoints.exists() {
        if let Ok(Some(status)) = stack.process.try_wait() {
            return Err(format!(
                "✗ the stack ended early ({status}); {} says why",
                log.display()
            ));
        }
        thread::sleep(LOOK_AGAIN);
    }
    eprintln!("✓ The stack is there; {} has what it says", log.display());
    Ok(stack)
}

/// The stack's program, told where its tools and the functions are.
fn program(tools: &Path) -> Command {
    let programs = target().join("debug");
    let mut stack = command(&programs.join("stack").to_string_lossy(), ["--root"]);
    stack
        .arg(root())
        .arg("--tools")
        .arg(tools)
        .arg("--programs")
        .arg(&programs);
    stack
}
