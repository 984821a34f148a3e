//! One thread for each generation.

/// How many threads candle uses for one product of matrices; it reads this once.
const VARIABLE: &str = "CANDLE_NUM_THREADS";

/// Restarts the program, with the same arguments and process id, with `CANDLE_NUM_THREADS=1` in its
/// environment; returns at once where the variable is set to anything already, and off Unix.
///
/// Call it first in `main`. By itself, candle divides each product among all cores, and they spin until the
/// last is done. The products of a model this small take microseconds: one core alone is as quick on an idle
/// machine, ten times as quick on a busy one, and leaves the others to other generations.
pub fn one_thread_a_generation() {
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    #[cfg(unix)]
    if let Ok(program) = std::env::current_exe() {
        use std::os::unix::process::CommandExt as _;
        let mut again = std::process::Command::new(program);
        let error = again.args(std::env::args_os().skip(1)).env(VARIABLE, "1").exec();
        tracing::warn!(%error, "set {VARIABLE}=1, or the local model will be slow");
    }
}
