//! `cargo bench-lambda`: how quickly the functions start, what an invocation costs, how large they are.
//!
//! Starts each function's binary as Lambda does and hands it invocations by the Runtime API, while
//! stand-ins that answer at once take the place of the AWS services, by plain HTTP and by TLS. Articles go
//! the whole way: what intake accepts, plan plans, stage works on and finish closes, so that each
//! invocation does all that it usually does. What each one calls is held against the table of
//! `crates/aws`.

#![expect(clippy::print_stdout, reason = "a table is what a bench is for")]

mod articles;
mod calls;
mod clock;
mod function;
mod phases;
mod report;
mod runtime_api;
mod server;
mod stand_in;

use std::path::PathBuf;

use clap::Parser;

/// What a bench returns; the error is for the person in front of the terminal.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Parser)]
struct Arguments {
    /// Where the functions lie.
    #[arg(long)]
    programs: PathBuf,
    /// Fewer starts and invocations: to see that it works.
    #[arg(long)]
    short: bool,
}

// One thread: the stand-ins take one core, the function that is measured has the other.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let arguments = Arguments::parse();
    report::all(&arguments.programs, arguments.short).await
}
