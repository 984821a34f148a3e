//! `cargo bench-local`: what durability costs on one machine.
//!
//! Each measurement is a process of its own, so that its CPU time and peak memory are its own: the
//! *floor* makes the same model calls through the same SDK and keeps nothing; *ours* is the program as
//! users run it. Both ask the same model server, which is a third process.

#![expect(clippy::print_stdout, reason = "a table is what a bench is for")]

mod floor;
mod measure;
mod model_server;
mod report;
mod work;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// What a bench returns; the error is for the person in front of the terminal.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

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
        /// Fewer articles and one run.
        #[arg(long)]
        short: bool,
    },
    /// Runs a command and prints its time, CPU time and peak memory as JSON.
    Measure {
        /// The command.
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<String>,
    },
    /// Makes the calls and keeps nothing.
    Floor(floor::Floor),
}

fn main() -> Outcome {
    match Arguments::parse().command {
        Command::All { programs, short } => report::all(&programs, short),
        Command::Measure { command } => measure::print(&command),
        Command::Floor(floor) => floor::run(&floor),
    }
}
