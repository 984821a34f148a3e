//! `cargo verify`: everything that must hold, in the order in which it fails fastest.

use std::path::PathBuf;

use crate::shell::{Outcome, answers, cargo, command, root, step, target};

/// The tools from PyPI that the tests need, with their versions and hashes.
const TOOLS: &str = "tests/tools.txt";

/// Checks everything.
pub(crate) fn verify() -> Outcome {
    step("Format", &mut cargo(["fmt", "--all", "--check"]))?;
    let tools = python_tools()?;
    step("State machine (statelint)", &mut command(&tools.join("statelint").to_string_lossy(), ["statemachine/article.asl.json"]))?;
    step("Licences, bans and sources (cargo deny)", &mut deny(&tools))?;
    step(
        "Lints",
        &mut cargo(["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"]),
    )?;
    step("The program, for the tests", &mut cargo(["build", "--profile", "quick", "--package", "bedrock-diy", "--no-default-features", "--locked"]))?;
    step("The model server, for the tests", &mut cargo(["build", "--profile", "quick", "--package", "bedrock-diy-model-server", "--features", "program", "--locked"]))?;
    let mut tests = if answers("cargo", &["nextest", "--version"]) {
        cargo(["nextest", "run", "--workspace", "--locked"])
    } else {
        eprintln!("cargo-nextest is not here (`cargo install --locked cargo-nextest`): cargo test does it too.");
        cargo(["test", "--workspace", "--locked"])
    };
    step("Tests", tests.env("BEDROCK_DIY_PROGRAMS", target().join("quick")))?;
    step("Examples in the docs", &mut cargo(["test", "--workspace", "--doc", "--locked"]))
}

/// A virtual environment with the tools, made anew when their list changes.
fn python_tools() -> Outcome<PathBuf> {
    let place = target().join("tools");
    let bin = place.join("bin");
    let list = std::fs::read_to_string(root().join(TOOLS)).map_err(|error| format!("{TOOLS} can't be read: {error}"))?;
    let stamp = place.join("tools.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == list) {
        return Ok(bin);
    }
    if !answers("python3", &["--version"]) {
        return Err("python3 is needed for the tools that the tests use: install Python 3.11 or later.".into());
    }
    step("Making a place for Python tools", &mut command("python3", ["-m", "venv", "--clear", &place.to_string_lossy()]))?;
    step(
        "Installing Python tools",
        command(&bin.join("pip").to_string_lossy(), ["install", "--quiet", "--require-hashes", "--requirement"]).arg(TOOLS),
    )?;
    std::fs::write(&stamp, list).map_err(|error| format!("{} can't be written: {error}", stamp.display()))?;
    Ok(bin)
}
