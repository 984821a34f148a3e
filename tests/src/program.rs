//! `bedrock-diy`, the program.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
};

/// The program with a data folder, an output folder and a model of its own.
#[derive(Debug, Clone)]
pub struct Program {
    data: PathBuf,
    endpoint: String,
    model: String,
    more: Vec<(String, OsString)>,
}

/// How the program ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none where it was killed.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said beside.
    pub stderr: String,
}

impl Program {
    /// With this data folder, asking the model server there.
    #[must_use]
    pub fn new(data: &Path, endpoint: &str) -> Self {
        Self {
            data: data.to_owned(),
            endpoint: endpoint.to_owned(),
            model: "test.model-v1:0".to_owned(),
            more: Vec::new(),
        }
    }

    /// With one more variable in its environment.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.more.push((name.to_owned(), value.into()));
        self
    }

    /// The folder that the program lies in.
    #[must_use]
    pub fn folder() -> &'static Path {
        binary().parent().expect("a file is in a folder")
    }

    /// Runs a command to its end.
    #[must_use]
    pub fn run<S: Into<OsString>>(&self, arguments: impl IntoIterator<Item = S>) -> Ended {
        let output = self
            .command(arguments)
            .output()
            .expect("the program can be started");
        Ended::from(output)
    }

    /// Starts a command and leaves it running.
    #[must_use]
    pub fn start<S: Into<OsString>>(&self, arguments: impl IntoIterator<Item = S>) -> Child {
        self.command(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program can be started")
    }

    /// The command, to be changed before it is started.
    #[must_use]
    pub fn command<S: Into<OsString>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments.into_iter().map(Into::into))
            .env("BEDROCK_DIY_DATA", &self.data)
            .env("BEDROCK_DIY_MODEL", &self.model)
            .env("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", &self.endpoint)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env_remove("AWS_PROFILE")
            .env_remove("BEDROCK_DIY_ENDPOINT")
            .env_remove("BEDROCK_DIY_PROFILE")
            .env_remove("BEDROCK_DIY_TOKEN")
            .envs(self.more.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A binary of the folder that `cargo verify` has built.
pub(crate) fn built(name: &str) -> PathBuf {
    let folder =
        std::env::var_os("BEDROCK_DIY_PROGRAMS").expect("`cargo verify` says where the binaries are");
    PathBuf::from(folder).join(name)
}

/// The program's binary: from the folder that `cargo verify` has built, else built now.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if std::env::var_os("BEDROCK_DIY_PROGRAMS").is_some() {
            return built("bedrock-diy");
        }
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "bedrock-diy"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .status()
            .expect("cargo can be started");
        assert!(built.success(), "the program can't be built");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), PathBuf::from)
            .join("debug/bedrock-diy")
    })
}
