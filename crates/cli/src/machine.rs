//! One machine: the composition root. Adapters and handlers are put together here and nowhere else.

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use bedrock_diy_core::{
    catalogue::Catalogue,
    cursor::Cursor,
    error::Result,
    ports::{Clock, Model},
};
use bedrock_diy_embedded::{
    ConcurrencyLimit, DataFolder, Database, EmbeddedBus, ExecutionStore, MemoryQuota, SqliteHistory,
    SqliteJobs, SqliteMemo, SqliteObjects, SqliteProjects, SqliteQueue, SystemClock,
    engine::{Engine, StateMachine, TaskError, TaskHandler, TaskOutcome},
};
use bedrock_diy_finish::Finish;
use bedrock_diy_intake::Intake;
use bedrock_diy_plan::Plan;
use bedrock_diy_stage::{Ports, Stage};
use serde_json::Value;
use tokio::sync::watch;

use crate::intake_loop::IntakeLoop;

const STATE_MACHINE: &str = include_str!("../../../statemachine/article.asl.json");

/// How long work that has begun may go on after a stop, so that an answer which is being paid for is
/// kept.
const GRACE: Duration = Duration::from_secs(30);

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
    /// Jobs.
    pub jobs: SqliteJobs,
    /// Intake queues.
    pub queue: SqliteQueue,
    /// Executions.
    pub executions: ExecutionStore,
    /// Who is told.
    pub bus: EmbeddedBus,
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
        let queue = SqliteQueue::new(database.clone(), clock.clone());
        Ok(Self {
            projects: SqliteProjects::new(database.clone()),
            jobs: SqliteJobs::new(database.clone(), objects.clone()),
            executions: ExecutionStore::new(database.clone(), clock.clone()),
            bus: EmbeddedBus::new(queue.clone()),
            objects,
            queue,
            clock,
            catalogue,
            data,
            database,
        })
    }

    /// The workers over these ports: intake, and the engine with its handlers. At most `concurrency`
    /// model calls are in flight.
    ///
    /// Whoever calls this holds the data folder's lock.
    pub fn workers(
        &self,
        model: Arc<dyn Model>,
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
        let ports = Ports {
            projects: intake.projects.clone(),
            jobs: intake.jobs.clone(),
            objects: intake.objects.clone(),
            memo: Arc::new(SqliteMemo::new(self.database.clone(), self.objects.clone())),
            history: Arc::new(SqliteHistory::new(self.database.clone())),
            model: Arc::new(ConcurrencyLimit::new(model, concurrency)),
            quota: Arc::new(MemoryQuota::new(self.catalogue.clone())),
            bus: intake.bus.clone(),
            clock: self.clock.clone(),
        };
        let stage = Stage::new(ports, self.catalogue.clone());
        let handlers: [(&str, Arc<dyn TaskHandler>); 3] = [
            ("${PlanFunctionArn}", Arc::new(Handler(plan))),
            ("${StageFunctionArn}", Arc::new(Handler(stage))),
            ("${FinishFunctionArn}", Arc::new(Handler(finish))),
        ];
        let handlers: HashMap<_, _> = handlers
            .into_iter()
            .map(|(name, handler)| (name.to_owned(), handler))
            .collect();
        // More jobs than calls: while one job's output goes to the disk, another asks the model.
        let at_once = concurrency * 2 + 16;
        let machine = StateMachine::parse(STATE_MACHINE)?;
        let clock: Arc<dyn Clock> = self.clock.clone();
        let engine = Engine::new(machine, handlers, self.executions.clone(), clock, at_once)?;
        Ok(Workers {
            machine: self.clone(),
            intake: IntakeLoop::new(intake, self.queue.clone()),
            engine: Arc::new(engine),
        })
    }
}

/// What works the jobs of a data folder.
pub struct Workers {
    machine: Machine,
    intake: IntakeLoop,
    engine: Arc<Engine>,
}

impl Workers {
    /// Takes up what an earlier process left, and works until `stop` says true.
    pub async fn run(self, stop: watch::Receiver<bool>) -> Result<()> {
        let messages = self.machine.queue.recover().await?;
        let executions = self.machine.executions.recover().await?;
        if messages + executions > 0 {
            tracing::info!(messages, executions, "going on with what was left");
        }
        let intake = self.intake.run(stop.clone());
        let engine = self.engine.run(stop, GRACE);
        tokio::try_join!(intake, engine).map(|_| ())
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
    async fn handle(&self, input: Value) -> TaskOutcome {
        let runtime = |error: serde_json::Error| TaskError {
            error: "States.Runtime".into(),
            cause: error.to_string(),
        };
        let cursor = serde_json::from_value(input).map_err(runtime)?;
        match self.0.call(cursor).await {
            Ok(cursor) => serde_json::to_value(cursor).map_err(runtime),
            Err(failure) => Err(TaskError {
                error: failure.code.as_str().to_owned(),
                cause: failure.detail,
            }),
        }
    }
}
