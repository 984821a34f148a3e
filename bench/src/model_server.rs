//! The model that is asked.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::Outcome;

/// A scripted model in a process of its own; stopped when dropped.
pub(crate) struct ModelServer {
    child: Child,
    pub(crate) endpoint: String,
}

impl ModelServer {
    /// Answers after `latency_ms` with about 300 bytes in 8 deltas. Each answer depends on what was asked:
    /// with one answer for all, all but the first stage would come from the memo.
    pub(crate) fn start(programs: &Path, latency_ms: u64) -> Outcome<Self> {
        let script = tempfile::Builder::new().suffix(".json").tempfile()?;
        let text = format!("${{hash}} {}", "The council has opened the bridge. ".repeat(8));
        let reply = serde_json::json!({
            "rules": [{"then": {"reply": {"content": {"template": text}, "chunks": 8, "first_token_ms": latency_ms}}}]
        });
        fs::write(script.path(), reply.to_string())?;
        let mut child = Command::new(programs.join("model-server"))
            .args(["--port", "0", "--keep-requests", "0", "--no-contents", "--script"])
            .arg(script.path())
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().ok_or("the model server has no output")?;
        let mut first = String::new();
        BufReader::new(out).read_line(&mut first)?;
        let start = first
            .find("http://")
            .ok_or("the model server did not say where it listens")?;
        let endpoint = first[start..]
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned();
        Ok(Self { child, endpoint })
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
