//! `cargo verify`: everything that must hold, in the order in which it fails fastest.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::shell::{Outcome, answers, cargo, command, root, step, target};

/// The tools from `PyPI` that the tests need, with their versions and hashes.
const TOOLS: &str = "tests/tools.txt";

/// The version of cargo-deny that is built where none is installed.
const CARGO_DENY: &str = "0.20.2";

/// Checks everything.
pub(crate) fn verify() -> Outcome {
    step("Format", &mut cargo(["fmt", "--all", "--check"]))?;
    let tools = python_tools()?;
    step("State machine (statelint)", &mut statelint(&tools)?)?;
    step("Licences, bans and sources (cargo deny)", &mut deny()?)?;
    step(
        "Lints",
        &mut cargo([
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "--deny",
            "warnings",
        ]),
    )?;
    // They are a workspace of their own, which nothing else would notice falling behind.
    step(
        "Fuzz targets",
        cargo([
            "check",
            "--locked",
            "--manifest-path",
            "fuzz/Cargo.toml",
            "--target-dir",
        ])
        .arg(target().join("fuzz")),
    )?;
    step(
        "Programs",
        &mut cargo(["build", "--workspace", "--bins", "--locked"]),
    )?;
    step(
        "Examples in the docs",
        &mut cargo(["test", "--workspace", "--doc", "--locked"]),
    )?;
    let mut tests = if answers("cargo", &["nextest", "--version"]) {
        cargo(["nextest", "run", "--workspace", "--locked"])
    } else {
        eprintln!(
            "cargo-nextest is not here (`cargo install --locked cargo-nextest`): cargo test does it too."
        );
        cargo(["test", "--workspace", "--locked"])
    };
    step("Tests", tests.env("BEDROCK_DIY_PROGRAMS", target().join("debug")))
}

/// The linter over the state machine as it stands on AWS: with functions' names in place of the
/// placeholders that the template substitutes.
fn statelint(tools: &Path) -> Outcome<Command> {
    let file = "statemachine/article.asl.json";
    let text = std::fs::read_to_string(root().join(file))
        .map_err(|error| format!("{file} can't be read: {error}"))?;
    let mut pieces = text.split("${");
    let mut substituted = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece
            .split_once('}')
            .ok_or_else(|| format!("{file} has a placeholder without an end"))?;
        substituted += &format!("arn:aws:lambda:us-east-1:123456789012:function:{name}{rest}");
    }
    let copy = target().join("article.asl.json");
    std::fs::write(&copy, substituted)
        .map_err(|error| format!("{} can't be written: {error}", copy.display()))?;
    Ok(command(&tools.join("statelint").to_string_lossy(), [copy]))
}

/// `cargo deny`: the one that is installed, else one that is built for this project.
fn deny() -> Outcome<Command> {
    let arguments = [
        "deny",
        "--all-features",
        "--locked",
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ];
    if answers("cargo", &["deny", "--version"]) {
        return Ok(cargo(arguments));
    }
    let place = target().join("tools-rust");
    let program = place.join("bin/cargo-deny");
    if !program.is_file() {
        let mut install = cargo([
            "install",
            "--quiet",
            "--locked",
            "--debug",
            "--version",
            CARGO_DENY,
            "cargo-deny",
            "--root",
        ]);
        step("Building cargo-deny (once; some minutes)", install.arg(&place))?;
    }
    Ok(command(&program.to_string_lossy(), &arguments[1..]))
}

/// A virtual environment with the tools, made anew when their list changes.
fn python_tools() -> Outcome<PathBuf> {
    let place = target().join("tools");
    let bin = place.join("bin");
    let list = std::fs::read_to_string(root().join(TOOLS))
        .map_err(|error| format!("{TOOLS} can't be read: {error}"))?;
    let stamp = place.join("tools.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == list) {
        return Ok(bin);
    }
    if !answers("python3", &["--version"]) {
        return Err(
            "python3 is needed for the tools that the tests use: install Python 3.11 or later.".into(),
        );
    }
    step(
        "Making a place for Python tools",
        &mut command("python3", ["-m", "venv", "--clear", &place.to_string_lossy()]),
    )?;
    step(
        "Installing Python tools",
        command(
            &bin.join("pip").to_string_lossy(),
            ["install", "--quiet", "--require-hashes", "--requirement"],
        )
        .arg(TOOLS),
    )?;
    std::fs::write(&stamp, list).map_err(|error| format!("{} can't be written: {error}", stamp.display()))?;
    Ok(bin)
}
