//! The project's own commands: `cargo demo`, `cargo verify`, `cargo stack`, `cargo bench-local`,
//! `cargo bench-api`, `cargo bench-follow`, `cargo bench-lambda`.
//!
//! Each says what it is doing, is quick the second time, and names the missing thing and its remedy
//! where it can't go on.

mod bench;
mod browser;
mod demo;
mod shell;
mod stack;
mod tools;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "xtask", bin_name = "cargo")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the sample project's cards over the sample articles and shows every stage's output.
    Demo,
    /// Format, lints, dependency and licence checks, and every test.
    Verify,
    /// Deploys everything on a local AWS, and stays until Ctrl-C. `--drop FOLDER` drops articles and follows
    /// them to their results.
    #[command(disable_help_flag = true)]
    Stack {
        /// For the stack's program: `cargo stack --help` lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measures this machine against the same calls without durability, and prints the table.
    BenchLocal {
        /// Fewer articles and one run: to see that it works.
        #[arg(long)]
        short: bool,
    },
    /// Measures the API's own time against a handler that does nothing, and prints the table.
    BenchApi {
        /// Fewer jobs and one round: to see that it works.
        #[arg(long)]
        short: bool,
    },
    /// Measures how soon whoever follows is told, and what a follower costs, and prints the table.
    BenchFollow {
        /// Fewer jobs and one round: to see that it works.
        #[arg(long)]
        short: bool,
    },
    /// Measures how the functions start and what an invocation costs, and prints the table.
    BenchLambda {
        /// Fewer starts and invocations: to see that it works.
        #[arg(long)]
        short: bool,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Demo => demo::demo(),
        Command::Verify => verify::verify(),
        Command::Stack { arguments } => stack::stack(&arguments),
        Command::BenchLocal { short } => bench::bench_local(short),
        Command::BenchApi { short } => bench::bench_api(short),
        Command::BenchFollow { short } => bench::bench_follow(short),
        Command::BenchLambda { short } => bench::bench_lambda(short),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("\n{message}");
            ExitCode::FAILURE
        }
    }
}
