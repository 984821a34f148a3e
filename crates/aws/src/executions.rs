//! Executions of the state machine in Step Functions.

use async_trait::async_trait;
use aws_sdk_sfn::{Client, operation::start_execution::StartExecutionError};
use bedrock_diy_core::{
    Code, Failure, JobId, cursor::Cursor, error::Result, intake::Lane, ports::Executions,
};

use crate::{storage::failure, trace};

/// The executions of one state machine.
#[derive(Debug, Clone)]
pub struct StepFunctions {
    client: Client,
    /// The state machine's ARN.
    state_machine: String,
}

impl StepFunctions {
    /// Of the state machine with this ARN.
    #[must_use]
    pub fn new(client: Client, state_machine: String) -> Self {
        Self {
            client,
            state_machine,
        }
    }

    /// The ARN of the execution named after a job: the state machine's with another kind, and the name
    /// (`arn:aws:states:REGION:ACCOUNT:execution:STATE_MACHINE:NAME`).
    fn execution(&self, job: &JobId) -> String {
        let execution = self.state_machine.replacen(":stateMachine:", ":execution:", 1);
        format!("{execution}:{job}")
    }
}

#[async_trait]
impl Executions for StepFunctions {
    /// Step Functions takes a name once for 90 days. A start of one that still runs, with the same input,
    /// it answers as if it were the first (`StartExecution`, API reference, 2026-11).
    async fn start(&self, job: &JobId, _: Lane) -> Result<()> {
        let input = serde_json::to_string(&Cursor::start(job.clone())).map_err(|error| {
            Failure::new(
                Code::InternalError,
                format!("a cursor can't be written as JSON: {error}"),
            )
        })?;
        let start = self
            .client
            .start_execution()
            .state_machine_arn(&self.state_machine);
        let start = start
            .name(job.as_str())
            .input(input)
            .set_trace_header(trace::header());
        match start.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let refused = error.as_service_error();
                if refused.is_some_and(StartExecutionError::is_execution_already_exists) {
                    return Ok(());
                }
                Err(failure(&format!("starting the execution {job}"), &error))
            }
        }
    }

    async fn stop(&self, job: &JobId) -> Result<()> {
        let stop = self.client.stop_execution().execution_arn(self.execution(job));
        match stop
            .error("Cancelled")
            .cause("The job was cancelled.")
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) => {
                let refused = error.as_service_error();
                // One that has ended by itself is not to be validated as one that runs.
                let has_ended = refused.is_some_and(|error| {
                    error.is_execution_does_not_exist() || error.is_validation_exception()
                });
                if has_ended {
                    return Ok(());
                }
                Err(failure(&format!("stopping the execution {job}"), &error))
            }
        }
    }
}
