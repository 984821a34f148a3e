//! `cargo bench-follow`: how soon whoever follows is told, and what a follower costs.
//!
//! `bedrock-diy serve` has one core; the model and all who follow have the other one, in this process. The model writes
//! the time into its answer, so that each piece says when it was written: what is measured is what comes after that.

#![expect(clippy::print_stdout, reason = "a table is what a bench is for")]

#[path = "../lambda/clock.rs"]
mod clock;
mod follower;
mod model;
mod report;
#[path = "../api/servers.rs"]
mod servers;
#[path = "../work.rs"]
mod work;

use std::path::PathBuf;

use clap::Parser;

/// What a bench returns; the error is for the person in front of the terminal.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures everything and prints the table.
#[derive(Parser)]
struct Arguments {
    /// Where `bedrock-diy` lies.
    #[arg(long)]
    programs: PathBuf,
    /// Fewer jobs and followers: to see that it works.
    #[arg(long)]
    short: bool,
}

fn main() -> Outcome {
    let arguments = Arguments::parse();
    // One thread, on the core that the server does not have.
    let cores = servers::Cores::taken();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(report::all(&arguments.programs, cores, arguments.short))
}
