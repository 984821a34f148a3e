//! One thread for each generation.

/// How many threads candle uses for one product of matrices; it reads this once.
const VARIABLE: &str = "CANDLE_NUM_THREADS";

/// Restarts the program, with the same arguments and process id, with `CANDLE_NUM_THREADS=1` in its
/// environment; returns at once where the variable is set to anything already, and off Unix.
///
/// Call it before anything has been begun that a restart would lose: files that were written to, locks,
/// other threads' work. By itself, candle divides each product among all cores, and they spin until the last
/// is done. That is quicker for a single generation on an idle machine (25 tokens a second instead of 18 on two
/// cores), and slower for two at once (25 together instead of 34) or on a busy machine. So it is for servers.
/// Candle has no other way to be told, and a program can't safely change its own environment once it has
/// threads.
pub fn one_thread_a_generation() {
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    #[cfg(unix)]
    if let Ok(program) = std::env::current_exe() {
        use std::os::unix::process::CommandExt as _;
        let mut arguments = std::env::args_os();
        let mut again = std::process::Command::new(program);
        if let Some(name) = arguments.next() {
            again.arg0(name);
        }
        let error = again.args(arguments).env(VARIABLE, "1").exec();
        tracing::warn!(%error, "set {VARIABLE}=1, or the local model will be slow");
    }
}
