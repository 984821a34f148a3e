//! `cargo demo`.

use crate::shell::{Outcome, cannot_start, cargo, command, step, target};

/// Builds the program, and runs the sample project over the sample articles.
pub(crate) fn demo() -> Outcome {
    eprintln!(
        "The demo builds bedrock-diy (some minutes the first time), gets the demo model unless a Bedrock"
    );
    eprintln!("model is named by BEDROCK_DIY_MODEL, and runs examples/newsroom over its seven articles.");
    step(
        "Building bedrock-diy",
        &mut cargo(["build", "--profile", "quick", "--package", "bedrock-diy"]),
    )?;

    let program = target().join("quick/bedrock-diy");
    let place = target().join("demo");
    let (data, out) = (place.join("data"), place.join("results"));
    let mut run = command(
        &program.to_string_lossy(),
        [
            "run",
            "examples/newsroom/articles",
            "--project",
            "examples/newsroom",
            "--stream",
            "--concurrency",
            "1",
        ],
    );
    run.args(["--progress", "lines"])
        .arg("--data")
        .arg(&data)
        .arg("--out")
        .arg(&out);
    eprintln!("\n▶ bedrock-diy run examples/newsroom/articles --project examples/newsroom --stream");
    let status = run.status().map_err(|error| cannot_start(&run, &error))?;
    match status.code() {
        Some(0) => {
            println!("\nEvery article passed its cards. Look at:");
            println!("  {}", out.join("results.csv").display());
            println!("  {}", out.join("articles").display());
            println!("Run `cargo demo` again: no model is asked, every answer is there already.");
            println!("Change a card in examples/newsroom/cards: only what comes after it is asked again.");
            Ok(())
        }
        Some(1) => {
            Err("Some article failed; the lines above say which and why. `cargo demo` tries it again.".into())
        }
        _ => Err(
            "The demo did not end; the lines above say why. `cargo demo` goes on where it stopped.".into(),
        ),
    }
}
