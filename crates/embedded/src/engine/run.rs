//! Runs executions, many at once.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use bedrock_diy_core::{
    Class, Code, Failure, JobId, error::Result, intake::Lane, ports::Clock, time::Timestamp,
};
use futures_util::FutureExt;
use serde_json::Value;
use tokio::{sync::watch, task::JoinSet, time};

use super::{
    advance::{self, Ending, Step, TaskError, TaskOutcome, reserved},
    definition::StateMachine,
};
use crate::{
    backoff::Backoff,
    executions::{Execution, ExecutionStore, LANES, Unreadable},
};

/// A handler: what a Lambda is on AWS.
#[async_trait]
pub trait TaskHandler: Send + Sync {
    /// Takes a state's input and returns its result.
    async fn handle(&self, input: &Value) -> TaskOutcome;
}

/// Hears of executions that end as FAILED: what a rule on Step Functions' status changes is on AWS.
#[async_trait]
pub trait OnFailed: Send + Sync {
    /// An execution is about to end as FAILED.
    ///
    /// Called before that is written, so that no crash comes between; the same one may be told of more
    /// than once, and that MUST change nothing. After a retryable failure it is called again until it
    /// succeeds; after a terminal one the execution ends all the same.
    async fn on_failed(&self, execution: &FailedExecution) -> Result<()>;
}

/// An execution that is about to end as FAILED.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedExecution {
    /// Its name.
    pub job_id: JobId,
    /// Why it ends.
    pub error: TaskError,
    /// The input of the state in which it ends, with what an earlier `Catch` put there.
    pub input: Value,
}

/// Runs the executions of one data folder.
pub struct Engine {
    machine: StateMachine,
    handlers: HashMap<String, Arc<dyn TaskHandler>>,
    on_failed: Arc<dyn OnFailed>,
    store: ExecutionStore,
    clock: Arc<dyn Clock>,
    /// How many executions are worked at once.
    at_once: usize,
}

/// How often the store is looked at for what another process put there, such as a retry by the
/// command line beside `serve`.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Bulk executions are taken when there is room for so many, or for a quarter of all that are worked at
/// once: taking is a write, and one write takes all.
const FEW: usize = 8;

/// Where a piece of work leaves an execution.
enum Rest {
    /// It sleeps until then.
    Until(Timestamp),
    /// It is at its end.
    Ended(Ending),
}

impl Engine {
    /// An engine for this machine. `handlers` are by resource name.
    ///
    /// Fails with [`Code::InvalidRequest`] where the machine names a resource that has no handler.
    pub fn new(
        machine: StateMachine,
        handlers: HashMap<String, Arc<dyn TaskHandler>>,
        on_failed: Arc<dyn OnFailed>,
        store: ExecutionStore,
        clock: Arc<dyn Clock>,
        at_once: usize,
    ) -> Result<Self> {
        if let Some(missing) = machine
            .resources()
            .into_iter()
            .find(|name| !handlers.contains_key(*name))
        {
            return Err(Failure::new(
                Code::InvalidRequest,
                format!("the state machine can't be run: nothing here handles {missing}"),
            ));
        }
        Ok(Self {
            machine,
            handlers,
            on_failed,
            store,
            clock,
            at_once: at_once.max(1),
        })
    }

    /// Works executions until `stop` says true; then lets those that are in a handler go on to its
    /// end for at most `grace`, and returns. What is dropped after that goes on after a restart.
    ///
    /// A storage that is not to be had for a while is waited for. Fails only where time can't heal it.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>, grace: Duration) -> Result<()> {
        let mut running = JoinSet::new();
        let mut backoff = Backoff::default();
        while !*stop.borrow() {
            while running.try_join_next().is_some() {}
            let room = self.at_once - running.len();
            let lanes = self.lanes(room);
            let taken = match self.store.take(room, lanes).await {
                Ok(taken) => taken,
                Err(failure) if failure.code.class() == Class::Retryable => {
                    if backoff.is_new() {
                        tracing::error!(error = %failure, "no executions can be taken for now");
                    }
                    backoff.pause(&mut stop).await;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            backoff.succeeded();
            let idle = taken.is_empty();
            for execution in taken {
                let engine = Arc::clone(&self);
                match execution {
                    Ok(execution) => running.spawn(engine.work(execution, stop.clone())),
                    Err(unreadable) => running.spawn(engine.give_up(unreadable, stop.clone())),
                };
            }
            if !idle {
                continue;
            }
            tokio::select! {
                _ = running.join_next(), if !running.is_empty() => {}
                () = self.store.start_seen(), if room > 0 => {}
                () = time::sleep(self.until_next_wake(lanes)), if room > 0 => {}
                _ = stop.changed() => {}
            }
        }
        let _ = time::timeout(grace, async { while running.join_next().await.is_some() {} }).await;
        Ok(())
    }

    /// What is taken where there is so much room: a live execution whenever there is any, bulk ones by
    /// the handful.
    fn lanes(&self, room: usize) -> &'static [Lane] {
        match room {
            0 => &[],
            room if room < (self.at_once / 4).min(FEW) => &[Lane::Live],
            _ => LANES,
        }
    }

    fn until_next_wake(&self, lanes: &[Lane]) -> Duration {
        let now = self.clock.now();
        // Where the store can't say, taking from it will: it asks the same.
        let wake = self.store.next_wake(lanes).ok().flatten();
        wake.map_or(LOOK_AGAIN, |wake| Duration::from_millis(wake.millis_since(now)))
            .clamp(Duration::from_millis(1), LOOK_AGAIN)
    }

    /// Works one execution until it sleeps or ends, and writes that.
    async fn work(self: Arc<Self>, mut execution: Execution, mut stop: watch::Receiver<bool>) {
        match self.advance(&mut execution, &stop).await {
            Rest::Until(wake_at) => {
                self.insist(&execution.job_id, &mut stop, || {
                    self.store.sleep(&execution, wake_at)
                })
                .await;
            }
            Rest::Ended(Ending::Succeeded) => {
                self.insist(&execution.job_id, &mut stop, || {
                    self.store.end(execution.seq, "SUCCEEDED")
                })
                .await;
            }
            Rest::Ended(Ending::Failed(error)) => {
                let failed = FailedExecution {
                    job_id: execution.job_id,
                    error,
                    input: execution.position.input,
                };
                self.fail(execution.seq, &failed, &mut stop).await;
            }
        }
    }

    /// Ends an execution that can't be read: it would stand in the way at every start.
    async fn give_up(self: Arc<Self>, unreadable: Unreadable, mut stop: watch::Receiver<bool>) {
        let Unreadable { seq, job_id, failure } = unreadable;
        tracing::error!(row = seq, error = %failure, "an execution can't be read and ends as FAILED");
        let Some(job_id) = job_id else {
            let nobody = "?";
            self.insist(&nobody, &mut stop, || self.store.end(seq, "FAILED"))
                .await;
            return;
        };
        let failed = FailedExecution {
            job_id,
            error: TaskError {
                error: Code::InternalError.as_str().to_owned(),
                cause: failure.detail,
            },
            input: Value::Null,
        };
        self.fail(seq, &failed, &mut stop).await;
    }

    /// Tells of the end, then writes it. A stop in between leaves the row as RUNNING, and the next start
    /// comes here again.
    async fn fail(&self, seq: i64, failed: &FailedExecution, stop: &mut watch::Receiver<bool>) {
        if self.insist(&failed.job_id, stop, || self.tell(failed)).await {
            self.insist(&failed.job_id, stop, || self.store.end(seq, "FAILED"))
                .await;
        }
    }

    async fn tell(&self, failed: &FailedExecution) -> Result<()> {
        let told = AssertUnwindSafe(self.on_failed.on_failed(failed))
            .catch_unwind()
            .await;
        let failure = match told {
            Ok(Err(failure)) if failure.code.class() == Class::Retryable => return Err(failure),
            Ok(Ok(())) => return Ok(()),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::new(
                Code::InternalError,
                "whoever was told panicked; the log says where",
            ),
        };
        tracing::error!(job_id = %failed.job_id, error = %failure, "a failed execution ends although nobody could be told");
        Ok(())
    }

    /// Does what must be done, with growing pauses, until it is done. False where a stop came first: the
    /// row says RUNNING, and is taken up again by the next start.
    async fn insist<F: Future<Output = Result<()>> + Send>(
        &self,
        job_id: &(impl std::fmt::Display + Sync),
        stop: &mut watch::Receiver<bool>,
        attempt: impl Fn() -> F + Send + Sync,
    ) -> bool {
        let mut backoff = Backoff::default();
        while let Err(failure) = attempt().await {
            if backoff.is_new() {
                tracing::error!(%job_id, error = %failure, "an execution could not be noted and is held until it can");
            }
            if backoff.pause(stop).await {
                return false;
            }
        }
        true
    }

    /// Goes on with one execution until it is to sleep or at its end.
    async fn advance(&self, execution: &mut Execution, stop: &watch::Receiver<bool>) -> Rest {
        loop {
            let step = match advance::proceed(&self.machine, &mut execution.position) {
                Step::Run { .. } if *stop.borrow() => return Rest::Until(self.clock.now()),
                Step::Run {
                    resource,
                    timeout_seconds,
                } => {
                    let outcome = self
                        .handle(&resource, &execution.position.input, timeout_seconds)
                        .await;
                    if *stop.borrow() && outcome.as_ref().is_err_and(TaskError::is_retryable) {
                        // Given up because of the stop: no try is used up.
                        return Rest::Until(self.clock.now());
                    }
                    let failed = outcome.as_ref().err().cloned();
                    let step =
                        advance::settle(&self.machine, &mut execution.position, outcome, rand::random());
                    if let Some(failed) = failed {
                        self.tell_of(execution, &failed, &step);
                    }
                    step
                }
                step => step,
            };
            match step {
                // The next state follows at once. Where it stands is not written: after a crash the
                // handlers find what they had done, and say what comes next.
                Step::Sleep { millis: 0 } | Step::Run { .. } => {}
                Step::Sleep { millis } => return Rest::Until(self.clock.now().plus_millis(millis)),
                Step::End(ending) => return Rest::Ended(ending),
            }
        }
    }

    /// Notes or logs what became of a failed try.
    fn tell_of(&self, execution: &Execution, failed: &TaskError, step: &Step) {
        match step {
            Step::Sleep { millis: 0 } => self.note(execution),
            Step::Sleep { millis } => {
                let state = execution.position.state.as_deref().unwrap_or_default();
                let TaskError {
                    error: code,
                    cause: error,
                } = failed;
                tracing::warn!(job_id = %execution.job_id, state, code, error, wait_ms = millis, "a try failed and is made again");
            }
            _ => {}
        }
    }

    /// Notes what was caught: it stands nowhere else. Lost in a crash, it costs the try that failed.
    fn note(&self, execution: &Execution) {
        if let Err(failure) = self.store.note(execution) {
            tracing::warn!(job_id = %execution.job_id, error = %failure, "where an execution stands could not be noted");
        }
    }

    async fn handle(&self, resource: &str, input: &Value, timeout_seconds: u64) -> TaskOutcome {
        let Some(handler) = self.handlers.get(resource) else {
            return Err(TaskError {
                error: reserved::RUNTIME.into(),
                cause: format!("nothing handles {resource}"),
            });
        };
        // A panic in one article's handler is that article's error, as a Lambda that dies is.
        let handled = AssertUnwindSafe(handler.handle(input)).catch_unwind();
        match time::timeout(Duration::from_secs(timeout_seconds), handled).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(TaskError {
                error: Code::InternalError.as_str().into(),
                cause: "the handler panicked; the log says where".into(),
            }),
            Err(_) => Err(TaskError {
                error: reserved::TIMEOUT.into(),
                cause: format!("the handler took longer than {timeout_seconds} seconds"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use bedrock_diy_core::ports::Executions;
    use serde_json::json;
    use tokio::sync::Notify;

    use super::*;
    use crate::{Database, SystemClock, database};

    const MACHINE: &str = r#"{
        "StartAt": "Work",
        "States": {
            "Work": {"Type": "Task", "Resource": "work", "Next": "Done",
                "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Close"}]},
            "Close": {"Type": "Task", "Resource": "close", "ResultPath": null, "Next": "Failed"},
            "Failed": {"Type": "Fail", "Error": "JobFailed", "Cause": "It was closed."},
            "Done": {"Type": "Succeed"}
        }
    }"#;

    struct Handler<F>(F);

    #[async_trait]
    impl<F: Fn(Value) -> TaskOutcome + Send + Sync> TaskHandler for Handler<F> {
        async fn handle(&self, input: &Value) -> TaskOutcome {
            (self.0)(input.clone())
        }
    }

    /// Remembers whom it was told of and how the execution's row stood then, and fails as it is told to.
    struct Told {
        database: Database,
        failures: Mutex<Vec<Failure>>,
        executions: Mutex<Vec<(FailedExecution, String)>>,
    }

    #[async_trait]
    impl OnFailed for Told {
        async fn on_failed(&self, execution: &FailedExecution) -> Result<()> {
            let status = status(&self.database, execution.job_id.as_str());
            self.executions.lock().unwrap().push((execution.clone(), status));
            self.failures.lock().unwrap().pop().map_or(Ok(()), Err)
        }
    }

    struct Bench {
        _folder: tempfile::TempDir,
        database: Database,
        store: ExecutionStore,
        told: Arc<Told>,
        stopper: watch::Sender<bool>,
        stop: watch::Receiver<bool>,
    }

    impl Bench {
        fn new(failures: Vec<Failure>) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let database = Database::open(&folder.path().join("d.sqlite")).unwrap();
            let (stopper, stop) = watch::channel(false);
            Self {
                _folder: folder,
                store: ExecutionStore::new(database.clone(), Arc::new(SystemClock)),
                told: Arc::new(Told {
                    database: database.clone(),
                    failures: Mutex::new(failures),
                    executions: Mutex::default(),
                }),
                database,
                stopper,
                stop,
            }
        }

        /// An engine that works one execution at a time.
        fn engine(&self, work: impl TaskHandler + 'static, close: impl TaskHandler + 'static) -> Arc<Engine> {
            let handlers: [(_, Arc<dyn TaskHandler>); 2] =
                [("work", Arc::new(work)), ("close", Arc::new(close))];
            let engine = Engine::new(
                StateMachine::parse(MACHINE).unwrap(),
                handlers.map(|(name, handler)| (name.to_owned(), handler)).into(),
                self.told.clone(),
                self.store.clone(),
                Arc::new(SystemClock),
                1,
            );
            Arc::new(engine.unwrap())
        }

        async fn start(&self, name: u8, lane: Lane) -> JobId {
            let job = job(name);
            self.store.start(&job, lane).await.unwrap();
            job
        }

        async fn execute(&self, sql: &'static str) {
            self.database
                .write(move |connection| connection.execute_batch(sql).map_err(|e| database::failure(&e)))
                .await
                .unwrap();
        }

        /// Runs the engine until every execution has ended.
        async fn run_to_the_end(&self, engine: Arc<Engine>) {
            let run = engine.run(self.stop.clone(), Duration::from_secs(10));
            let (ran, ()) = tokio::join!(run, self.stop_when_all_have_ended());
            ran.unwrap();
        }

        async fn stop_when_all_have_ended(&self) {
            // The clock is the runtime's own, which skips what nobody works in: these are turns, not waits.
            while self.store.open().map_or(true, |open| open > 0) {
                time::sleep(Duration::from_millis(1)).await;
            }
            self.stopper.send(true).unwrap();
        }

        fn status(&self, job: &JobId) -> String {
            status(&self.database, job.as_str())
        }

        fn told(&self) -> Vec<(FailedExecution, String)> {
            self.told.executions.lock().unwrap().clone()
        }
    }

    fn job(name: u8) -> JobId {
        JobId::new(format!("01ARZ3NDEKTSV4RRFFQ69G5F{name:02}")).unwrap()
    }

    fn status(database: &Database, name: &str) -> String {
        database
            .read(|connection| {
                connection
                    .query_row("SELECT status FROM executions WHERE job_id = ?1", [name], |row| {
                        row.get(0)
                    })
                    .map_err(|error| database::failure(&error))
            })
            .unwrap()
    }

    fn error(error: &str) -> TaskError {
        TaskError {
            error: error.to_owned(),
            cause: "why".to_owned(),
        }
    }

    fn works() -> Handler<impl Fn(Value) -> TaskOutcome> {
        Handler(Ok)
    }

    fn fails(name: &'static str) -> Handler<impl Fn(Value) -> TaskOutcome> {
        Handler(move |_| Err(error(name)))
    }

    /// Is in its handler until it is let go.
    #[derive(Clone, Default)]
    struct Held {
        entered: Arc<Notify>,
        released: Arc<Notify>,
    }

    #[async_trait]
    impl TaskHandler for Held {
        async fn handle(&self, input: &Value) -> TaskOutcome {
            self.entered.notify_one();
            self.released.notified().await;
            Ok(input.clone())
        }
    }

    /// In true time: a clock that skips would also skip the handler's time limit.
    #[tokio::test]
    async fn an_end_that_cannot_be_written_is_written_as_soon_as_it_can() {
        let bench = Bench::new(Vec::new());
        let held = Held::default();
        let job = bench.start(1, Lane::Bulk).await;
        let run = bench
            .engine(held.clone(), works())
            .run(bench.stop.clone(), Duration::from_secs(10));
        let meddle = async {
            held.entered.notified().await;
            bench.execute("ALTER TABLE executions RENAME TO gone").await;
            held.released.notify_one();
            // The handler's end and the first try to write it are one turn of the engine.
            tokio::task::yield_now().await;
            bench
                .execute(
                    "ALTER TABLE gone RENAME TO executions;
                     CREATE TABLE seen AS SELECT job_id, status FROM executions",
                )
                .await;
            while bench.store.open().unwrap() > 0 {
                tokio::task::yield_now().await;
            }
            bench.stopper.send(true).unwrap();
        };
        let (ran, ()) = tokio::join!(tokio::spawn(run), meddle);
        ran.unwrap().unwrap();
        let seen = bench.database.read(|connection| {
            connection
                .query_row("SELECT status FROM seen", [], |row| row.get::<_, String>(0))
                .map_err(|error| database::failure(&error))
        });
        assert_eq!(seen.unwrap(), "RUNNING", "it could not be written at first");
        assert_eq!(bench.status(&job), "SUCCEEDED");
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_waits_for_a_storage_that_is_away_for_a_while() {
        let bench = Bench::new(Vec::new());
        let job = bench.start(1, Lane::Bulk).await;
        bench.execute("ALTER TABLE executions RENAME TO gone").await;
        let run = bench
            .engine(works(), works())
            .run(bench.stop.clone(), Duration::from_secs(10));
        let mend = async {
            tokio::task::yield_now().await;
            bench.execute("ALTER TABLE gone RENAME TO executions").await;
            bench.stop_when_all_have_ended().await;
        };
        let (ran, ()) = tokio::join!(run, mend);
        ran.unwrap();
        assert_eq!(bench.status(&job), "SUCCEEDED");
    }

    #[tokio::test(start_paused = true)]
    async fn a_row_that_cannot_be_read_ends_alone() {
        let bench = Bench::new(Vec::new());
        bench
            .execute(
                "INSERT INTO executions (job_id, lane, status, wake_at, position) VALUES
                 ('01ARZ3NDEKTSV4RRFFQ69G5F09', 'bulk', 'READY', 0, 'nonsense'),
                 ('01ARZ3NDEKTSV4RRFFQ69G5F08', 'bulk', 'READY', 0, x'ff'),
                 ('no job', 'bulk', 'READY', 0, '{}')",
            )
            .await;
        let good = bench.start(1, Lane::Bulk).await;
        bench.run_to_the_end(bench.engine(works(), works())).await;
        assert_eq!(bench.status(&good), "SUCCEEDED");
        for bad in [job(9), job(8)] {
            assert_eq!(bench.status(&bad), "FAILED");
        }
        assert_eq!(status(&bench.database, "no job"), "FAILED");
        let told: Vec<_> = bench
            .told()
            .into_iter()
            .map(|(failed, _)| failed.job_id)
            .collect();
        assert_eq!(told, [job(9), job(8)], "whoever has a job is told of it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_end_is_told_before_it_is_written_and_again_until_that_works() {
        let unavailable = || Failure::new(Code::StorageUnavailable, "not now");
        let bench = Bench::new(vec![unavailable(), unavailable()]);
        let job = bench.start(1, Lane::Bulk).await;
        bench
            .run_to_the_end(bench.engine(fails("SchemaMismatch"), fails("StorageUnavailable")))
            .await;
        assert_eq!(bench.status(&job), "FAILED");
        let told = bench.told();
        assert_eq!(told.len(), 3);
        for (failed, status) in told {
            assert_eq!(status, "RUNNING", "a crash here would lose nothing");
            assert_eq!(
                (failed.job_id, failed.error),
                (job.clone(), error("StorageUnavailable"))
            );
            assert_eq!(
                failed.input["error"],
                json!({"Error": "SchemaMismatch", "Cause": "why"})
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_execution_ends_although_telling_of_it_is_in_vain() {
        let bench = Bench::new(vec![Failure::new(Code::InternalError, "never")]);
        let job = bench.start(1, Lane::Bulk).await;
        bench
            .run_to_the_end(bench.engine(fails("SchemaMismatch"), works()))
            .await;
        assert_eq!(bench.status(&job), "FAILED");
        assert_eq!(bench.told()[0].0.error.error, "JobFailed");
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_waits_for_gives_way_to_what_somebody_does() {
        let bench = Bench::new(Vec::new());
        for name in 1..=3 {
            bench.start(name, Lane::Bulk).await;
        }
        let live = bench.start(4, Lane::Live).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let worked = order.clone();
        let remembers = Handler(move |input: Value| {
            worked
                .lock()
                .unwrap()
                .push(input["jobId"].as_str().unwrap().to_owned());
            Ok(input)
        });
        bench.run_to_the_end(bench.engine(remembers, works())).await;
        let order = order.lock().unwrap().clone();
        assert_eq!(order[0], live.as_str());
        assert_eq!(
            order[1..],
            [job(1), job(2), job(3)].map(|job| job.as_str().to_owned())
        );
    }
}
