//! Exit codes, and how a failure of the program itself is told.

use std::process::ExitCode;

use bedrock_diy_core::{Class, Code, Failure};

use crate::terminal;

/// How the program ended. `bedrock-diy --help` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything succeeded.
    Success = 0,
    /// Some article failed.
    SomeFailed = 1,
    /// What was asked for makes no sense: an argument, a project file, a model without credentials.
    Usage = 2,
    /// The machine is in the way: disk, data folder, network.
    Trouble = 3,
    /// Ctrl-C; the same command goes on.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Tells what went wrong, and says so in the exit code.
#[must_use]
pub fn report(failure: &Failure) -> ExitCode {
    terminal::say(format_args!("bedrock-diy: {}", failure.detail));
    match (failure.code, failure.code.class()) {
        (Code::InternalError, _) | (_, Class::Retryable) => Exit::Trouble,
        (_, Class::Terminal) => Exit::Usage,
    }
    .into()
}
