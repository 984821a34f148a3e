//! `cargo stack`, and what it has built.

use std::path::{Path, PathBuf};

use crate::{
    shell::{Outcome, cargo, command, root, step, target},
    tools,
};

/// The functions that run on AWS, by their packages.
const FUNCTIONS: [&str; 4] = [
    "bedrock-diy-intake",
    "bedrock-diy-plan",
    "bedrock-diy-stage",
    "bedrock-diy-finish",
];

/// What the scripted model answers.
const SCRIPT: &str = "tests/local_aws/script.json";

/// Builds the functions for this machine, deploys them to a local AWS, and stays until Ctrl-C, or until the
/// articles in `drop` have ended.
pub(crate) fn stack(drop: Option<&Path>, project: &Path) -> Outcome {
    let tools = tools::python()?;
    build_functions()?;
    step(
        "Building the stack's program",
        &mut cargo(["build", "--quiet", "--package", "bedrock-diy-stack"]),
    )?;
    let mut stack = program(&tools);
    stack.arg("--script").arg(SCRIPT).arg("--project").arg(project);
    if let Some(folder) = drop {
        stack.arg("--drop").arg(folder);
    }
    step("The stack", &mut stack)
}

/// Builds the functions for this machine.
pub(crate) fn build_functions() -> Outcome {
    let mut build = cargo(["build", "--locked", "--bins"]);
    for function in FUNCTIONS {
        build.args(["--package", function, "--features"]).arg(format!("{function}/lambda"));
    }
    step("Building the functions for this machine", &mut build)
}

/// The stack's program, told where its tools and the functions are.
pub(crate) fn program(tools: &Path) -> std::process::Command {
    let programs: PathBuf = target().join("debug");
    let mut stack = command(&programs.join("stack").to_string_lossy(), ["--root"]);
    stack.arg(root()).arg("--tools").arg(tools).arg("--programs").arg(&programs);
    stack
}
