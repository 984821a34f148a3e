//! What is worked: articles, a project, a model server.

use std::{
    cell::Cell,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::Outcome;

/// A kilobyte of instructions, different for each stage.
pub(crate) fn prompt(stage: usize) -> String {
    format!(
        "Step {stage}. {}",
        "Write for people who have little time, keep to the facts. ".repeat(17)
    )
}

/// A folder with articles of 10 kB and a project of so many cards.
pub(crate) struct Work {
    folder: tempfile::TempDir,
    places: Cell<usize>,
}

impl Work {
    pub(crate) fn new(articles: usize, stages: usize) -> Outcome<Self> {
        let work = Self {
            folder: tempfile::tempdir()?,
            places: Cell::new(0),
        };
        fs::create_dir_all(work.articles())?;
        fs::create_dir_all(work.project().join("cards"))?;
        fs::write(work.project().join("project.yaml"), "id: bench\nname: Bench\n")?;
        for stage in 1..=stages {
            let card = format!("---\ntitle: Step {stage}\n---\n{}\n", prompt(stage).trim_end());
            fs::write(
                work.project()
                    .join(format!("cards/{}-step-{stage}.md", stage * 10)),
                card,
            )?;
        }
        for number in 0..articles {
            let text = format!(
                "Article {number}. {}",
                "The bridge opens on Monday, said the council. ".repeat(217)
            );
            fs::write(work.articles().join(format!("{number:06}.txt")), text)?;
        }
        Ok(work)
    }

    pub(crate) fn articles(&self) -> PathBuf {
        self.folder.path().join("articles")
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    /// A folder that is not there yet, for one run. Earlier ones are left where they are: ext4 does not
    /// give the inodes of deleted files away for some seconds, and looks for others at length meanwhile.
    pub(crate) fn place(&self) -> PathBuf {
        self.places.set(self.places.get() + 1);
        self.folder.path().join(format!("run-{}", self.places.get()))
    }
}

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
