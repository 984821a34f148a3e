//! The state machine's only payload.

use serde::{Deserialize, Serialize};

use crate::{error::Failure, ids::JobId, job::Job};

/// Where a job stands, as every state of the state machine takes it and gives it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cursor {
    /// The job.
    pub job_id: JobId,
    /// The stage to run, counted from 1; 0 before the job is planned.
    pub stage: u32,
    /// What the state machine does next.
    pub next: Next,
    /// How long `wait` waits, in seconds.
    pub wait_seconds: u32,
    /// What went wrong, put there by the state machine's `Catch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<CaughtError>,
}

/// What the state machine does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Next {
    /// Runs the stage.
    Stage,
    /// Waits, then runs the stage.
    Wait,
    /// Closes the job.
    Finish,
}

/// An error as the Amazon States Language hands it on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CaughtError {
    /// The error's name: a [`crate::Code`], or one of the services' own.
    pub error: String,
    /// For a Lambda a JSON text with `errorMessage`, else a sentence.
    #[serde(default)]
    pub cause: String,
}

impl Cursor {
    /// Where every job starts.
    #[must_use]
    pub fn start(job_id: JobId) -> Self {
        Self {
            job_id,
            stage: 0,
            next: Next::Stage,
            wait_seconds: 0,
            error: None,
        }
    }

    /// Where the job stands now, whoever brought it there.
    #[must_use]
    pub fn of(job: &Job) -> Self {
        if job.status.is_terminal() || job.stages_done >= job.stages {
            Self::finish(job.job_id.clone(), job.stages_done)
        } else {
            Self::stage(job.job_id.clone(), job.next_stage())
        }
    }

    /// Run this stage.
    #[must_use]
    pub fn stage(job_id: JobId, stage: u32) -> Self {
        Self {
            job_id,
            stage,
            next: Next::Stage,
            wait_seconds: 0,
            error: None,
        }
    }

    /// Come back to this stage in so many seconds (at least one).
    #[must_use]
    pub fn wait(job_id: JobId, stage: u32, seconds: u32) -> Self {
        Self {
            job_id,
            stage,
            next: Next::Wait,
            wait_seconds: seconds.max(1),
            error: None,
        }
    }

    /// Nothing is left to run.
    #[must_use]
    pub fn finish(job_id: JobId, stage: u32) -> Self {
        Self {
            job_id,
            stage,
            next: Next::Finish,
            wait_seconds: 0,
            error: None,
        }
    }
}

impl CaughtError {
    /// What was caught, as a failure of ours. A name that is no code of ours is a handler that died,
    /// or the state machine's own time limit.
    #[must_use]
    pub fn failure(&self) -> Failure {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct LambdaCause {
            error_message: String,
        }
        let detail = serde_json::from_str::<LambdaCause>(&self.cause)
            .map_or_else(|_| self.cause.clone(), |cause| cause.error_message);
        match crate::Code::from_name(&self.error) {
            Some(code) => Failure::new(code, detail),
            None if ["States.Timeout", "Sandbox.Timedout"].contains(&self.error.as_str()) => Failure::new(
                crate::Code::ModelTimeout,
                "the stage did not end within its time limit",
            ),
            None => Failure::new(crate::Code::InternalError, format!("{}: {detail}", self.error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;

    #[test]
    fn a_cursor_is_four_fields() {
        let cursor = Cursor::stage(JobId::new("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap(), 2);
        assert_eq!(
            serde_json::to_string(&cursor).unwrap(),
            r#"{"jobId":"01ARZ3NDEKTSV4RRFFQ69G5FAV","stage":2,"next":"stage","waitSeconds":0}"#
        );
    }

    #[test]
    fn what_the_state_machine_caught_becomes_a_failure_of_ours() {
        let caught = |error: &str, cause: &str| {
            let failure = CaughtError {
                error: error.into(),
                cause: cause.into(),
            }
            .failure();
            (failure.code, failure.detail)
        };
        assert_eq!(
            caught(
                "SchemaMismatch",
                r#"{"errorType":"SchemaMismatch","errorMessage":"no title"}"#
            ),
            (Code::SchemaMismatch, "no title".into())
        );
        assert_eq!(caught("States.Timeout", "").0, Code::ModelTimeout);
        assert_eq!(
            caught("Runtime.ExitError", "exit status 1"),
            (Code::InternalError, "Runtime.ExitError: exit status 1".into())
        );
    }
}
