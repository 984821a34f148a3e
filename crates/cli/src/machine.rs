//! One machine: the composition root. Adapters and handlers are put together here and nowhere else.

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use bedrock_diy_core::{
    Code, Failure,
    catalogue::Catalogue,
    commands,
    cursor::{CaughtError, Cursor},
    error::Result,
    ports::{Model, Sender},
};
use bedrock_diy_deliver::Deliver;
use bedrock_diy_embedded::{
    ConcurrencyLimit, DataFolder, Database, EmbeddedBus, ExecutionStore, FileSecrets, MemoryQuota,
    SqliteDeliveries, SqliteHistory, SqliteHooks, SqliteJobs, SqliteMemo, SqliteObjects, SqliteProjects,
    SqliteQueue, SqliteWebhooks, SystemClock, Turns,
    engine::{Engine, FailedExecution, OnFailed, StateMachine, TaskError, TaskHandler, TaskOutcome},
};
use bedrock_diy_finish::{Ended, Finish};
use bedrock_diy_intake::Intake;
use bedrock_diy_notify::{Notify, ToWebhooks};
use bedrock_diy_plan::Plan;
use bedrock_diy_stage::{Ports, Stage};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{oneshot, watch};

use crate::{intake_loop::IntakeLoop, webhook_loops::WebhookLoops};

const STATE_MACHINE: &str = include_str!("../../../statemachine/article.asl.json");

/// How long work that has begun may go on after a stop, so that an answer which is being paid for is
/// kept.
const GRACE: Duration = Duration::from_secs(30);

/// Threads that work jobs, at most: more would wait for the one that writes.
const ENGINES: usize = 4;

/// The ports over one data folder.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The folder.
    pub data: DataFolder,
    /// Its database.
    pub database: Database,
    /// The time.
    pub clock: Arc<SystemClock>,
    /// Projects and cards.
    pub projects: SqliteProjects,
    /// Texts and files.
    pub objects: SqliteObjects,
    /// Answers that were paid for.
    pub memo: SqliteMemo,
    /// Jobs.
    pub jobs: SqliteJobs,
    /// Intake queues.
    pub queue: SqliteQueue,
    /// Executions.
    pub executions: ExecutionStore,
    /// Who is told.
    pub bus: EmbeddedBus,
    /// Inbound hooks.
    pub hooks: SqliteHooks,
    /// Outbound webhooks.
    pub webhooks: SqliteWebhooks,
    /// The log of what was sent to them.
    pub deliveries: SqliteDeliveries,
    /// What is to be sent to them: a queue of its own to be woken by.
    pub delivery_queue: SqliteQueue,
    /// The secrets of hooks and webhooks.
    pub secrets: FileSecrets,
    /// What is known about models.
    pub catalogue: Arc<Catalogue>,
}

impl Machine {
    /// Opens a data folder, making it where it is not there.
    pub fn open(data: &Path, catalogue: Arc<Catalogue>) -> Result<Self> {
        let data = DataFolder::open(data)?;
        let database = Database::open(&data.database())?;
        let clock = Arc::new(SystemClock);
        let objects = SqliteObjects::new(database.clone(), data.objects());
        let memo = SqliteMemo::new(database.clone(), objects.clone());
        let queue = SqliteQueue::new(database.clone(), clock.clone());
        Ok(Self {
            projects: SqliteProjects::new(database.clone()),
            jobs: SqliteJobs::new(database.clone(), objects.clone(), memo.clone()),
            executions: ExecutionStore::new(database.clone(), clock.clone()),
            bus: EmbeddedBus::new(database.clone()),
            hooks: SqliteHooks::new(database.clone()),
            webhooks: SqliteWebhooks::new(database.clone()),
            deliveries: SqliteDeliveries::new(database.clone()),
            delivery_queue: SqliteQueue::new(database.clone(), clock.clone()),
            secrets: FileSecrets::new(data.secrets()),
            objects,
            memo,
            queue,
            clock,
            catalogue,
            data,
            database,
        })
    }

    /// The workers over these ports: intake, and the engines with their handlers. At most `concurrency`
    /// model calls are in flight. `model` makes a model for each thread.
    ///
    /// Whoever calls this holds the data folder's lock.
    pub fn workers(
        &self,
        model: impl Fn() -> Arc<dyn Model>,
        default_model: String,
        concurrency: usize,
    ) -> Result<Workers> {
        let intake = Intake {
            projects: Arc::new(self.projects.clone()),
            jobs: Arc::new(self.jobs.clone()),
            objects: Arc::new(self.objects.clone()),
            executions: Arc::new(self.executions.clone()),
            bus: Arc::new(self.bus.clone()),
            clock: self.clock.clone(),
            default_model,
        };
        let quota = Arc::new(MemoryQuota::new(self.catalogue.clone()));
        let plan = Plan {
            projects: intake.projects.clone(),
            jobs: intake.jobs.clone(),
            objects: intake.objects.clone(),
            bus: intake.bus.clone(),
            clock: self.clock.clone(),
        };
        let finish = Finish {
            jobs: intake.jobs.clone(),
            objects: intake.objects.clone(),
            bus: intake.bus.clone(),
            clock: self.clock.clone(),
        };
        let turns = Arc::new(Turns::new(concurrency));
        let ports = |model| Ports {
            projects: intake.projects.clone(),
            jobs: intake.jobs.clone(),
            objects: intake.objects.clone(),
            memo: Arc::new(self.memo.clone()),
            history: Arc::new(SqliteHistory::new(self.database.clone())),
            model: Arc::new(ConcurrencyLimit::new(model, turns.clone())),
            quota: quota.clone(),
            bus: intake.bus.clone(),
            followers: Arc::new(self.bus.clone()),
            clock: self.clock.clone(),
        };
        let close = Arc::new(CloseJob(finish.clone()));
        let (plan, finish): (Arc<dyn TaskHandler>, Arc<dyn TaskHandler>) =
            (Arc::new(Handler(plan)), Arc::new(Handler(finish)));
        let at_once = jobs_at_once(concurrency);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let engines = threads.min(ENGINES).min(at_once);
        let engine = |number| {
            let stage = Stage::new(ports(model()), self.catalogue.clone());
            let handlers = HashMap::from([
                ("${PlanFunctionArn}".to_owned(), plan.clone()),
                ("${StageFunctionArn}".to_owned(), Arc::new(Handler(stage))),
                ("${FinishFunctionArn}".to_owned(), finish.clone()),
            ]);
            let share = (at_once + number) / engines;
            let machine = StateMachine::parse(STATE_MACHINE)?;
            let (store, clock) = (self.executions.clone(), self.clock.clone());
            Engine::new(machine, handlers, close.clone(), store, clock, share).map(Arc::new)
        };
        Ok(Workers {
            machine: self.clone(),
            engines: (0..engines).map(engine).collect::<Result<_>>()?,
            intake: IntakeLoop::new(intake, self.queue.clone()),
            webhooks: None,
            turns,
        })
    }

    /// What has events delivered to webhooks.
    fn webhook_loops(&self, sender: Arc<dyn Sender>) -> WebhookLoops {
        let webhooks = ToWebhooks {
            webhooks: Arc::new(self.webhooks.clone()),
            deliveries: Arc::new(self.deliveries.clone()),
            queue: Arc::new(self.delivery_queue.clone()),
        };
        let deliver = Deliver {
            webhooks: webhooks.webhooks.clone(),
            deliveries: webhooks.deliveries.clone(),
            secrets: Arc::new(self.secrets.clone()),
            sender,
            bus: Arc::new(self.bus.clone()),
            clock: self.clock.clone(),
        };
        WebhookLoops {
            notify: Notify {
                webhooks,
                connections: None,
            },
            deliver,
            bus: self.bus.clone(),
            queue: self.delivery_queue.clone(),
        }
    }
}

/// How many jobs are worked at once: while outputs of some go to the disk, others ask the model.
///
/// Four for each call that may be in flight; where those are so many that it is the disk which is waited for, 128 at
/// least. A stage then waits for its turn at the model as long as some calls take; where that is longer than its time, it
/// comes back.
fn jobs_at_once(concurrency: usize) -> usize {
    const MANY: usize = 16;
    let least = if concurrency < MANY { 0 } else { 128 };
    concurrency.saturating_mul(4).max(least)
}

/// What works the jobs of a data folder.
pub struct Workers {
    machine: Machine,
    intake: IntakeLoop,
    engines: Vec<Arc<Engine>>,
    webhooks: Option<WebhookLoops>,
    turns: Arc<Turns>,
}

impl Workers {
    /// With events delivered to webhooks, by this sender.
    #[must_use]
    pub fn with_webhooks(self, sender: Arc<dyn Sender>) -> Self {
        Self {
            webhooks: Some(self.machine.webhook_loops(sender)),
            ..self
        }
    }

    /// Takes up what an earlier process left, and works until `stop` says true.
    pub async fn run(self, stop: watch::Receiver<bool>) -> Result<()> {
        let messages = self.machine.queue.recover().await?;
        let executions = self.machine.executions.recover().await?;
        for job in self.machine.jobs.not_begun()? {
            commands::send_on(&self.machine.queue, &job).await?;
        }
        self.machine.memo.recover()?;
        if messages + executions > 0 {
            tracing::info!(messages, executions, "going on with what was left");
        }
        let intake = self.intake.run(stop.clone());
        let engines = self.engines.into_iter().map(|engine| {
            let stop = stop.clone();
            on_thread("engine", move || engine.run(stop, GRACE))
        });
        let engines = futures_util::future::try_join_all(engines);
        let (webhooks, delivering) = (self.webhooks, stop.clone());
        let webhooks = async move {
            match webhooks {
                Some(webhooks) => webhooks.run(delivering).await,
                None => Ok(()),
            }
        };
        let (turns, mut stopped) = (self.turns, stop);
        // Calls in flight are paid: they may end. No other begins.
        let close = async move {
            let _ = stopped.wait_for(|stopped| *stopped).await;
            turns.close();
            Ok(())
        };
        tokio::try_join!(intake, engines, webhooks, close).map(|_| ())
    }
}

/// Runs what `work` begins on a thread with a runtime of its own.
///
/// What belongs to one job is made and freed on one thread that way, and its connections are that thread's:
/// on a runtime of many threads, a fifth of a call's time goes to threads that get in each other's way.
async fn on_thread<F: Future<Output = Result<()>>>(
    name: &str,
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<()> {
    let ended_early = || {
        Failure::new(
            Code::InternalError,
            "a worker's thread ended early; the log says why",
        )
    };
    let no_thread = |error: std::io::Error| {
        Failure::new(
            Code::StorageUnavailable,
            format!("no thread for the workers: {error}"),
        )
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(no_thread)?;
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let result = runtime.block_on(work());
            // Whoever hears of the end has what was in use here for themselves: the database can be closed.
            drop(runtime);
            // Nobody listens where the others have failed already.
            let _ = ended.send(result);
        })
        .map_err(no_thread)?;
    end.await.map_err(|_| ended_early())?
}

/// Closes the job of an execution that ended as FAILED without doing so, as the rule on Step Functions'
/// status changes does on AWS: no job stays RUNNING for ever.
struct CloseJob(Finish);

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
struct Handler<F>(F);

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
    use std::sync::atomic::{AtomicI64, Ordering};

    use bedrock_diy_core::{
        BatchId, JobId, ProjectId, PromptId,
        article::{Article, Bucket, ObjectRef},
        intake::Lane,
        job::{Job, JobStatus, NewJob},
        pipeline::{PipelineCard, PipelineRevision},
        ports::{Clock, Executions, Jobs},
        project::Settings,
        time::Timestamp,
    };

    use super::*;

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
