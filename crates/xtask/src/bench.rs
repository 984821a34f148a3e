//! `cargo bench-local`, `cargo bench-api`, `cargo bench-follow`, `cargo bench-lambda`.

use crate::{
    shell::{Outcome, cargo, command, step, target},
    stack::FUNCTIONS,
};

/// Builds everything in release, and measures.
pub(crate) fn bench_local(short: bool) -> Outcome {
    build_programs()?;
    step(
        "Building the bench",
        &mut cargo([
            "build",
            "--release",
            "--package",
            "bedrock-diy-bench",
            "--no-default-features",
        ]),
    )?;
    let programs = target().join("release");
    let mut bench = command(
        &programs.join("bench-local").to_string_lossy(),
        ["all", "--programs"],
    );
    bench.arg(&programs);
    if short {
        bench.arg("--short");
    }
    step("Measuring (some minutes; leave the machine alone)", &mut bench)
}

/// Builds everything in release, and measures the API.
pub(crate) fn bench_api(short: bool) -> Outcome {
    of_one_machine("api", short)
}

/// Builds everything in release, and measures how soon whoever follows is told.
pub(crate) fn bench_follow(short: bool) -> Outcome {
    of_one_machine("follow", short)
}

/// The bench of this name, which has a feature of its own.
fn of_one_machine(name: &str, short: bool) -> Outcome {
    build_programs()?;
    step(
        "Building the bench",
        &mut cargo([
            "build",
            "--release",
            "--package",
            "bedrock-diy-bench",
            "--no-default-features",
            "--features",
            name,
        ]),
    )?;
    let programs = target().join("release");
    let mut bench = command(
        &programs.join(format!("bench-{name}")).to_string_lossy(),
        [] as [&str; 0],
    );
    if name == "api" {
        bench.arg("all");
    }
    bench.arg("--programs").arg(&programs);
    if short {
        bench.arg("--short");
    }
    step("Measuring (some minutes; leave the machine alone)", &mut bench)
}

/// Builds what is measured on one machine.
fn build_programs() -> Outcome {
    step(
        "Building the program",
        &mut cargo([
            "build",
            "--release",
            "--package",
            "bedrock-diy",
            "--no-default-features",
        ]),
    )?;
    step(
        "Building the model server",
        &mut cargo([
            "build",
            "--release",
            "--package",
            "bedrock-diy-model-server",
            "--features",
            "program",
        ]),
    )
}

/// Builds the functions as they are deployed, and measures them.
pub(crate) fn bench_lambda(short: bool) -> Outcome {
    step(
        "Building the functions",
        cargo([
            "build",
            "--release",
            "--bins",
            "--example",
            "bare",
            "--package",
            "bedrock-diy-lambda",
        ])
        .args(FUNCTIONS),
    )?;
    // It waits more than it works: without the last tenth of speed it is built in a third of the time.
    step(
        "Building the bench",
        &mut cargo([
            "build",
            "--profile",
            "quick",
            "--package",
            "bedrock-diy-bench",
            "--bin",
            "bench-lambda",
        ]),
    )?;
    let program = target().join("quick").join("bench-lambda");
    let mut bench = command(&program.to_string_lossy(), ["--programs"]);
    bench.arg(target().join("release"));
    if short {
        bench.arg("--short");
    }
    step("Measuring (a minute; leave the machine alone)", &mut bench)
}
