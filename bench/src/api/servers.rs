//! The servers that are measured: each a process with one core of its own.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use crate::{Outcome, work::Work};

/// Where to ask, and by which right.
#[derive(Clone)]
pub(crate) struct Asker {
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
}

/// Whether each side has a core of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    /// What is measured has the first one; who asks and the model have the second one.
    Apart,
    /// There is only one, or no `taskset`.
    Shared,
}

impl Cores {
    /// Takes the second core for this process and for those that it starts.
    pub(crate) fn taken() -> Self {
        if thread::available_parallelism().is_ok_and(|cores| cores.get() < 2) {
            return Self::Shared;
        }
        let process = std::process::id().to_string();
        let pinned = Command::new("taskset")
            .args(["--pid", "--cpu-list", "1", &process])
            .stdout(Stdio::null())
            .status();
        match pinned {
            Ok(status) if status.success() => Self::Apart,
            _ => Self::Shared,
        }
    }

    /// A program on the first core.
    pub(crate) fn first(self, program: &Path) -> Command {
        match self {
            Self::Apart => {
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", "0"]).arg(program);
                command
            }
            Self::Shared => Command::new(program),
        }
    }
}

/// Model calls in flight where nothing else is said: as many as `serve` has by itself.
pub(crate) const CALLS: usize = 8;

/// A server that answers; ended when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) asker: Asker,
}

impl Server {
    /// `bedrock-diy serve` over a new data folder, asking the model at this address for so many answers at once.
    pub(crate) fn ours(
        cores: Cores,
        programs: &Path,
        model: &str,
        work: &Work,
        calls: usize,
    ) -> Outcome<Self> {
        let data = work.place();
        let mut command = cores.first(&programs.join("bedrock-diy"));
        command
            .args([
                "serve",
                "--listen=127.0.0.1:0",
                "--model=test.model-v1:0",
                "--project",
            ])
            .arg(work.project())
            .arg("--data")
            .arg(&data)
            .arg(format!("--concurrency={calls}"))
            .env("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", model)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "bench")
            .env("AWS_SECRET_ACCESS_KEY", "bench");
        Self::start(command, || {
            let token = std::fs::read_to_string(data.join("token"))?;
            Ok(token.trim().to_owned())
        })
    }

    /// Starts a server that says where it listens, and reads the token that it takes.
    pub(crate) fn start(mut command: Command, token: impl FnOnce() -> Outcome<String>) -> Outcome<Self> {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let said = child.stderr.take().ok_or("the server has no output")?;
        let mut lines = BufReader::new(said).lines();
        let address = loop {
            let line = lines.next().ok_or("the server ended before it listened")??;
            match line.strip_prefix("API: http://") {
                Some(place) => break address(place)?,
                None => eprintln!("{line}"),
            }
        };
        thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("{line}")));
        Ok(Self {
            child,
            asker: Asker {
                address,
                token: token()?,
            },
        })
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        // `taskset` becomes what it starts.
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address(said: &str) -> Outcome<SocketAddr> {
    let end = said
        .find(|c: char| c == '/' || c.is_whitespace())
        .unwrap_or(said.len());
    Ok(said[..end].parse()?)
}
