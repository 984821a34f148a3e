//! What another process has used.

use std::time::Duration;

use nix::{time::ClockId, unistd::Pid};

use crate::Outcome;

/// The CPU time of a process so far, of all its threads, theirs and the kernel's on their behalf.
pub(crate) fn cpu(process: u32) -> Outcome<Duration> {
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(i32::try_from(process)?))?;
    Ok(Duration::from(clock.now()?))
}

/// The largest resident set of a process so far, in bytes.
#[allow(dead_code, reason = "each bench uses a part of this")]
pub(crate) fn peak_memory(process: u32) -> Outcome<u64> {
    bytes(process, "VmHWM:")
}

/// The resident set of a process, in bytes.
#[allow(dead_code, reason = "each bench uses a part of this")]
pub(crate) fn memory(process: u32) -> Outcome<u64> {
    bytes(process, "VmRSS:")
}

fn bytes(process: u32, field: &str) -> Outcome<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let kilobytes: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|value| value.trim().strip_suffix(" kB"))
        .ok_or("the kernel does not say how much memory a process had")?
        .parse()?;
    Ok(kilobytes * 1_024)
}
