//! What a process used.

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

use crate::Outcome;

/// What a process used.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Used {
    /// From start to end, in seconds.
    pub(crate) seconds: f64,
    /// CPU time of all its threads, in seconds.
    pub(crate) cpu: f64,
    /// Its largest resident set, in bytes.
    pub(crate) memory: u64,
}

/// Runs a command in a measuring process of its own.
pub(crate) fn of(command: &[String]) -> Outcome<Used> {
    let output = Command::new(std::env::current_exe()?)
        .args(["measure", "--"])
        .args(command)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{command:?} failed: {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Runs a command, and prints what it used. The process that calls this has no other children.
pub(crate) fn print(command: &[String]) -> Outcome {
    let (program, arguments) = command.split_first().ok_or("no command")?;
    let began = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .status()?;
    let seconds = began.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("{program} ended with {status}").into());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let time = |value: nix::sys::time::TimeVal| value.tv_sec() as f64 + value.tv_usec() as f64 / 1e6;
    let cpu = time(usage.user_time()) + time(usage.system_time());
    // Linux counts it in kilobytes (getrusage(2)).
    let memory = u64::try_from(usage.max_rss())? * 1024;
    println!("{}", serde_json::to_string(&Used { seconds, cpu, memory })?);
    Ok(())
}
