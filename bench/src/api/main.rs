//! `cargo bench-api`: what the API itself takes, held against a handler that does nothing.
//!
//! `bedrock-diy serve` has one core, and whoever asks it has the other one. The *floor* is the least that a
//! server of this kind can do: the same web framework on the same runtime takes the id from the path and gives a
//! constant answer of the same size, and no more than that. Both are asked in turn, since the machine's speed varies.

#![expect(clippy::print_stdout, reason = "a table is what a bench is for")]

#[path = "../lambda/clock.rs"]
mod clock;
mod connection;
mod floor;
mod load;
#[path = "../model_server.rs"]
mod model_server;
mod report;
mod requests;
mod servers;
#[path = "../work.rs"]
mod work;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// What a bench returns; the error is for the person in front of the terminal.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures everything and prints the table.
    All {
        /// Where `bedrock-diy` and `model-server` lie.
        #[arg(long)]
        programs: PathBuf,
        /// Fewer jobs and one round: to see that it works.
        #[arg(long)]
        short: bool,
    },
    /// Answers, and does nothing else.
    Floor(floor::Floor),
}

fn main() -> Outcome {
    match Arguments::parse().command {
        // One thread, on the core that the server does not have.
        Command::All { programs, short } => {
            let cores = servers::Cores::taken();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(report::all(&programs, cores, short))
        }
        // As the program's own runtime.
        Command::Floor(floor) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(floor::run(floor))
        }
    }
}
