//! One machine: the composition root. Adapters and handlers are put together here and nowhere else.

mod handlers;
mod left;
mod workers;

use std::{collections::HashMap, path::Path, sync::Arc};

use bedrock_diy_core::{
    catalogue::Catalogue,
    error::Result,
    ports::{Model, Sender},
};
use bedrock_diy_deliver::Deliver;
use bedrock_diy_embedded::{
    ConcurrencyLimit, DataFolder, Database, EmbeddedBus, ExecutionStore, FileSecrets, MemoryQuota,
    SqliteDeliveries, SqliteHistory, SqliteHooks, SqliteJobs, SqliteMemo, SqliteObjects, SqliteProjects,
    SqliteQueue, SqliteWebhooks, SystemClock, Turns,
    engine::{Engine, StateMachine, TaskHandler},
};
use bedrock_diy_finish::Finish;
use bedrock_diy_intake::Intake;
use bedrock_diy_notify::{Notify, ToWebhooks};
use bedrock_diy_plan::Plan;
use bedrock_diy_stage::{Ports, Questions, Stage};

use crate::queues::{IntakeLoop, WebhookLoops};
use handlers::{CloseJob, Handler};
pub use left::Left;
pub use workers::Workers;

const STATE_MACHINE: &str = include_str!("../../../statemachine/article.asl.json");

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
        let questions = Questions::default();
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
            questions: questions.clone(),
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
