//! `cargo bench-local`.

use crate::shell::{Outcome, cargo, command, step, target};

/// Builds everything in release, and measures.
pub(crate) fn bench_local(short: bool) -> Outcome {
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
    )?;
    step(
        "Building the bench",
        &mut cargo(["build", "--release", "--package", "bedrock-diy-bench"]),
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
