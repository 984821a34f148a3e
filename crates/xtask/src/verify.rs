//! `cargo verify`: everything that must hold, in the order in which it fails fastest.

use std::{path::Path, process::Command};

use crate::{
    browser,
    shell::{Outcome, answers, cargo, command, root, step, target},
    stack,
    tools::{CHECKOV, CLIENTS, SCHEMATHESIS, TOOLS},
};

/// The AWS template.
const TEMPLATE: &str = "template.yaml";

/// The version of cargo-deny that is built where none is installed.
const CARGO_DENY: &str = "0.20.2";

/// Checks everything.
pub(crate) fn verify() -> Outcome {
    step("Format", &mut cargo(["fmt", "--all", "--check"]))?;
    let tools = TOOLS.install()?;
    step("State machine (statelint)", &mut statelint(&tools)?)?;
    step("Template (sam validate)", &mut sam_validate(&tools))?;
    step(
        "Template (cfn-lint)",
        &mut command(&tools.join("cfn-lint").to_string_lossy(), [TEMPLATE]),
    )?;
    step("Template (checkov)", &mut checkov(&CHECKOV.install()?))?;
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
        "Programs and functions",
        &mut cargo(["build", "--workspace", "--bins", "--locked"]),
    )?;
    step(
        "Examples in the docs",
        &mut cargo(["test", "--workspace", "--doc", "--locked"]),
    )?;
    let schemathesis = SCHEMATHESIS.install()?;
    let clients = CLIENTS.install()?;
    let browser = browser::install()?;
    let stack = stack::for_tests(&tools)?;
    let mut tests = if answers("cargo", &["nextest", "--version"]) {
        cargo(["nextest", "run"])
    } else {
        eprintln!(
            "cargo-nextest is not here (`cargo install --locked cargo-nextest`): cargo test does it too."
        );
        cargo(["test"])
    };
    tests.args(["--workspace", "--locked"]);
    tests.env("BEDROCK_DIY_PROGRAMS", target().join("debug"));
    tests.env("BEDROCK_DIY_TOOLS", &tools);
    tests.env("BEDROCK_DIY_SCHEMATHESIS", &schemathesis);
    tests.env("BEDROCK_DIY_CLIENTS", &clients);
    tests.env("BEDROCK_DIY_BROWSER", &browser.folder);
    tests.env("BEDROCK_DIY_CHROMIUM", &browser.program);
    tests.env("BEDROCK_DIY_STACK", &stack.endpoints);
    step("Tests", &mut tests)
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

/// What the SAM CLI says about the template. It asks no account: the region decides only which resource
/// types there are.
fn sam_validate(tools: &Path) -> Command {
    let mut sam = command(
        &tools.join("sam").to_string_lossy(),
        ["validate", "--lint", "--template-file", TEMPLATE],
    );
    sam.envs([("AWS_DEFAULT_REGION", "us-east-1"), ("SAM_CLI_TELEMETRY", "0")]);
    sam
}

/// What checkov says about the template. A check that is skipped is skipped where the resource is, with the
/// reason.
fn checkov(tools: &Path) -> Command {
    let mut checkov = command(
        &tools.join("checkov").to_string_lossy(),
        [
            "--framework",
            "cloudformation",
            "--file",
            TEMPLATE,
            "--skip-download",
            "--compact",
            "--quiet",
        ],
    );
    checkov.env("LOG_LEVEL", "ERROR");
    checkov
}
