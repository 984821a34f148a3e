//! A function's process, started as Lambda starts it.

use std::{
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{Outcome, clock, runtime_api::RuntimeApi};

/// The functions on an article's way, and one that does nothing but make four calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Bare,
    Intake,
    Plan,
    Stage,
    Finish,
}

impl Name {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Intake => "intake",
            Self::Plan => "plan",
            Self::Stage => "stage",
            Self::Finish => "finish",
        }
    }

    /// What its binary is called.
    pub(crate) fn program(self) -> String {
        match self {
            Self::Bare => "examples/bare".to_owned(),
            other => format!("bedrock-diy-{}", other.as_str()),
        }
    }
}

/// A function's process; ended when dropped.
pub(crate) struct Function {
    process: Child,
    api: RuntimeApi,
    errors: tempfile::NamedTempFile,
    /// Its start.
    pub(crate) start: Spent,
}

/// Time that went by, and CPU time that was used meanwhile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) time: Duration,
    pub(crate) cpu: Duration,
}

/// What a function answered.
pub(crate) struct Invocation {
    pub(crate) answer: Value,
    /// The time is that until the answer; the CPU time includes asking for the next invocation.
    pub(crate) spent: Spent,
}

impl Function {
    /// Starts a function, and waits until it asks for its first invocation.
    pub(crate) async fn start(
        programs: &Path,
        name: Name,
        environment: &[(String, String)],
    ) -> Outcome<Self> {
        let api = RuntimeApi::start().await?;
        let errors = tempfile::NamedTempFile::new()?;
        let program = programs.join(name.program());
        let mut command = Command::new(&program);
        command
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", api.address().to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", name.program())
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .env(
                "AWS_LAMBDA_LOG_GROUP_NAME",
                format!("/aws/lambda/{}", name.as_str()),
            )
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/25/[$LATEST]bench")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(errors.path())?);
        let began = Instant::now();
        let process = command
            .spawn()
            .map_err(|error| format!("{} can't be started: {error}", program.display()))?;
        let mut function = Self {
            process,
            api,
            errors,
            start: Spent {
                time: Duration::ZERO,
                cpu: Duration::ZERO,
            },
        };
        match function.api.next().await {
            Ok(at) => {
                function.start = Spent {
                    time: at - began,
                    cpu: function.cpu()?,
                };
                Ok(function)
            }
            Err(error) => Err(function.with_errors(&*error)),
        }
    }

    /// Invokes it, and waits until it asks for the next invocation.
    pub(crate) async fn invoke(&mut self, payload: &Value) -> Outcome<Invocation> {
        let before = self.cpu()?;
        let answered = match self.api.invoke(payload).await {
            Ok(answered) => self.api.next().await.map(|_| answered),
            Err(error) => Err(error),
        };
        let (answer, time) = answered.map_err(|error| self.with_errors(&*error))?;
        let cpu = self.cpu()?.saturating_sub(before);
        Ok(Invocation {
            answer,
            spent: Spent { time, cpu },
        })
    }

    /// Its largest resident set so far, in bytes.
    pub(crate) fn peak_memory(&self) -> Outcome<u64> {
        clock::peak_memory(self.process.id())
    }

    fn cpu(&self) -> Outcome<Duration> {
        clock::cpu(self.process.id())
    }

    fn with_errors(&self, error: &dyn std::error::Error) -> Box<dyn std::error::Error + Send + Sync> {
        let log = std::fs::read_to_string(self.errors.path()).unwrap_or_default();
        format!("{error}\nIts log:\n{log}").into()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
