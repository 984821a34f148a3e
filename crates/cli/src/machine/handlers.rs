//! The functions as the engine calls them.

use async_trait::async_trait;
use bedrock_diy_core::{
    Code,
    cursor::{CaughtError, Cursor},
    error::Result,
};
use bedrock_diy_embedded::engine::{FailedExecution, OnFailed, TaskError, TaskHandler, TaskOutcome};
use bedrock_diy_finish::{Ended, Finish};
use bedrock_diy_plan::Plan;
use bedrock_diy_stage::Stage;
use serde::Deserialize;
use serde_json::Value;

/// Closes the job of an execution that ended as FAILED without doing so, as the rule on Step Functions'
/// status changes does on AWS: no job stays RUNNING for ever.
pub(super) struct CloseJob(pub(super) Finish);

#[async_trait]
impl OnFailed for CloseJob {
    async fn on_failed(&self, execution: &FailedExecution) -> Result<()> {
        // What was caught first says more than why it could not be dealt with.
        let caught = Cursor::deserialize(&execution.input)
            .ok()
            .and_then(|cursor| cursor.error);
        let error = caught.unwrap_or_else(|| CaughtError {
            error: execution.error.error.clone(),
            cause: execution.error.cause.clone(),
        });
        let job_id = execution.job_id.clone();
        self.0.close(Ended { job_id, error }).await
    }
}

/// A function as the engine calls it: cursor in, cursor out, errors by their code.
pub(super) struct Handler<F>(pub(super) F);

#[async_trait]
trait Function: Send + Sync {
    async fn call(&self, cursor: Cursor) -> Result<Cursor>;
}

#[async_trait]
impl Function for Plan {
    async fn call(&self, cursor: Cursor) -> Result<Cursor> {
        self.handle(cursor).await
    }
}

#[async_trait]
impl Function for Stage {
    async fn call(&self, cursor: Cursor) -> Result<Cursor> {
        self.handle(cursor).await
    }
}

#[async_trait]
impl Function for Finish {
    async fn call(&self, cursor: Cursor) -> Result<Cursor> {
        self.handle(cursor).await
    }
}

#[async_trait]
impl<F: Function> TaskHandler for Handler<F> {
    async fn handle(&self, input: &Value) -> TaskOutcome {
        // Names that begin with `States.` are the engine's own.
        let no_cursor = |error: serde_json::Error| TaskError {
            error: Code::InternalError.as_str().to_owned(),
            cause: format!("the cursor is none: {error}"),
        };
        let cursor = Cursor::deserialize(input).map_err(no_cursor)?;
        match self.0.call(cursor).await {
            Ok(cursor) => serde_json::to_value(cursor).map_err(no_cursor),
            Err(failure) => Err(TaskError {
                error: failure.code.as_str().to_owned(),
                cause: failure.detail,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    };

    use bedrock_diy_core::{
        BatchId, JobId, ProjectId, PromptId,
        article::{Article, Bucket, ObjectRef},
        catalogue::Catalogue,
        intake::Lane,
        job::{Job, JobStatus, NewJob},
        pipeline::{PipelineCard, PipelineRevision},
        ports::{Clock, Executions, Jobs},
        project::Settings,
        time::Timestamp,
    };
    use bedrock_diy_embedded::{
        ExecutionStore,
        engine::{Engine, StateMachine},
    };
    use tokio::sync::watch;

    use super::*;
    use crate::machine::{Machine, STATE_MACHINE, workers::GRACE};

    /// A clock by which hours pass while a test runs.
    struct Fast(AtomicI64);

    impl Clock for Fast {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.fetch_add(60_000, Ordering::SeqCst))
        }
    }

    struct Fails(Code);

    #[async_trait]
    impl TaskHandler for Fails {
        async fn handle(&self, _: &Value) -> TaskOutcome {
            Err(TaskError {
                error: self.0.as_str().to_owned(),
                cause: format!("it is meant to fail with {}", self.0),
            })
        }
    }

    fn machine() -> (tempfile::TempDir, Machine) {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::open(folder.path(), Arc::new(Catalogue::own().unwrap())).unwrap();
        (folder, machine)
    }

    fn close_job(machine: &Machine) -> CloseJob {
        CloseJob(Finish {
            jobs: Arc::new(machine.jobs.clone()),
            objects: Arc::new(machine.objects.clone()),
            bus: Arc::new(machine.bus.clone()),
            clock: machine.clock.clone(),
        })
    }

    async fn accepted(machine: &Machine) -> JobId {
        let project_id = ProjectId::new("news").unwrap();
        let pipeline = PipelineRevision {
            hash: "hash".into(),
            project_id: project_id.clone(),
            cards: vec![PipelineCard {
                prompt_id: PromptId::new("card").unwrap(),
                revision: 1,
            }],
            settings: Settings::default(),
        };
        let source = ObjectRef {
            bucket: Bucket::Articles,
            key: "article".into(),
            version: None,
            size: 4,
        };
        let new = NewJob {
            job_id: JobId::of_submission("test", &project_id, "article"),
            project_id,
            batch: BatchId::new("batch").unwrap(),
            lane: Lane::Bulk,
            article: Article::new("article", source),
            session_id: None,
            fresh: false,
            retry_of: None,
            pipeline: None,
        };
        let job_id = new.job_id.clone();
        let change = Job::accept(new, Ok(&pipeline), machine.clock.now());
        machine.jobs.accept(change).await.unwrap();
        job_id
    }

    #[tokio::test]
    async fn a_job_ends_as_failed_although_nothing_in_the_state_machine_could_close_it() {
        let (_folder, machine) = machine();
        let job_id = accepted(&machine).await;
        let handlers: [(&str, Arc<dyn TaskHandler>); 3] = [
            ("${PlanFunctionArn}", Arc::new(Fails(Code::UnreadableArticle))),
            ("${StageFunctionArn}", Arc::new(Fails(Code::InternalError))),
            ("${FinishFunctionArn}", Arc::new(Fails(Code::StorageUnavailable))),
        ];
        let clock = Arc::new(Fast(AtomicI64::new(machine.clock.now().millis())));
        let executions = ExecutionStore::new(machine.database.clone(), clock.clone());
        executions.start(&job_id, Lane::Bulk).await.unwrap();
        let engine = Engine::new(
            StateMachine::parse(STATE_MACHINE).unwrap(),
            handlers.map(|(name, handler)| (name.to_owned(), handler)).into(),
            Arc::new(close_job(&machine)),
            executions.clone(),
            clock,
            2,
        );
        let (stopper, stop) = watch::channel(false);
        let run = Arc::new(engine.unwrap()).run(stop, GRACE);
        let stop_at_the_end = async {
            while executions.open().unwrap() > 0 {
                tokio::task::yield_now().await;
            }
            stopper.send(true).unwrap();
        };
        let (ran, ()) = tokio::join!(run, stop_at_the_end);
        ran.unwrap();

        let job = machine.jobs.read(&job_id).await.unwrap().unwrap();
        assert_eq!(job.status, JobStatus::Failed);
        let error = job.error.unwrap();
        assert_eq!(error.code, Code::UnreadableArticle, "what was wrong at first");
    }

    #[tokio::test]
    async fn a_job_that_is_closed_stays_as_it_is() {
        let (_folder, machine) = machine();
        let job_id = accepted(&machine).await;
        let close = close_job(&machine);
        let ended = |error: &str| FailedExecution {
            job_id: job_id.clone(),
            error: TaskError {
                error: error.into(),
                cause: "why".into(),
            },
            input: serde_json::to_value(Cursor::start(job_id.clone())).unwrap(),
        };
        close.on_failed(&ended("States.Runtime")).await.unwrap();
        let closed = machine.jobs.read(&job_id).await.unwrap().unwrap();
        let error = closed.error.clone().unwrap();
        assert_eq!(error.code, Code::InternalError);
        close.on_failed(&ended("JobFailed")).await.unwrap();
        assert_eq!(machine.jobs.read(&job_id).await.unwrap(), Some(closed));

        let nobody = FailedExecution {
            job_id: JobId::of_retry(&job_id),
            ..ended("States.Runtime")
        };
        close.on_failed(&nobody).await.unwrap();
    }
}
