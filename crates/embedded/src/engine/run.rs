//! Runs executions, many at once.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use bedrock_diy_core::{Code, Failure, error::Result, ports::Clock};
use futures_util::FutureExt;
use serde_json::Value;
use tokio::{sync::watch, task::JoinSet, time};

use super::{
    advance::{self, Ending, Step, TaskError, TaskOutcome},
    definition::StateMachine,
};
use crate::executions::{Execution, ExecutionStore};

/// A handler: what a Lambda is on AWS.
#[async_trait]
pub trait TaskHandler: Send + Sync {
    /// Takes a state's input and returns its result.
    async fn handle(&self, input: Value) -> TaskOutcome;
}

/// Runs the executions of one data folder.
pub struct Engine {
    machine: StateMachine,
    handlers: HashMap<String, Arc<dyn TaskHandler>>,
    store: ExecutionStore,
    clock: Arc<dyn Clock>,
    /// How many executions are worked at once.
    at_once: usize,
}

/// How often the store is looked at for what another process put there, such as a retry by the
/// command line beside `serve`.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

impl Engine {
    /// An engine for this machine. `handlers` are by resource name.
    ///
    /// Fails with [`Code::InvalidRequest`] where the machine names a resource that has no handler.
    pub fn new(
        machine: StateMachine,
        handlers: HashMap<String, Arc<dyn TaskHandler>>,
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
            store,
            clock,
            at_once: at_once.max(1),
        })
    }

    /// Works executions until `stop` says true; then lets those that are in a handler go on to its
    /// end for at most `grace`, and returns. What is dropped after that goes on after a restart.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>, grace: Duration) -> Result<()> {
        let mut running = JoinSet::new();
        while !*stop.borrow() {
            while running.try_join_next().is_some() {}
            let room = self.at_once - running.len();
            // Half of the room at least, so that executions are taken by the dozen, not one by one.
            let taken = if room * 2 > self.at_once || room == self.at_once {
                self.store.take(room).await?
            } else {
                Vec::new()
            };
            let idle = taken.is_empty();
            for execution in taken {
                running.spawn(Arc::clone(&self).work(execution, stop.clone()));
            }
            if !idle {
                continue;
            }
            tokio::select! {
                _ = running.join_next(), if !running.is_empty() => {}
                () = self.store.start_seen(), if room > 0 => {}
                () = time::sleep(self.until_next_wake()?), if room > 0 => {}
                _ = stop.changed() => {}
            }
        }
        let _ = time::timeout(grace, async { while running.join_next().await.is_some() {} }).await;
        Ok(())
    }

    fn until_next_wake(&self) -> Result<Duration> {
        let now = self.clock.now();
        let wake = self
            .store
            .next_wake()?
            .map(|wake| Duration::from_millis(wake.millis_since(now)));
        Ok(wake
            .unwrap_or(LOOK_AGAIN)
            .clamp(Duration::from_millis(1), LOOK_AGAIN))
    }

    /// Works one execution until it sleeps or ends.
    async fn work(self: Arc<Self>, mut execution: Execution, stop: watch::Receiver<bool>) {
        let job_id = execution.job_id.clone();
        if let Err(failure) = self.try_work(&mut execution, &stop).await {
            // The row says RUNNING and is taken up again by the next start; meanwhile it must not be lost.
            tracing::error!(%job_id, error = %failure, "an execution could not be noted and is laid aside");
            let later = self.clock.now().plus_millis(1_000);
            let _ = self.store.sleep(&execution, later).await;
        }
    }

    async fn try_work(&self, execution: &mut Execution, stop: &watch::Receiver<bool>) -> Result<()> {
        loop {
            match advance::proceed(&self.machine, &mut execution.position) {
                Step::Run {
                    resource,
                    timeout_seconds,
                } => {
                    if *stop.borrow() {
                        return self.store.sleep(execution, self.clock.now()).await;
                    }
                    let outcome = self
                        .handle(&resource, &execution.position.input, timeout_seconds)
                        .await;
                    match advance::settle(&self.machine, &mut execution.position, outcome, rand::random()) {
                        Step::Sleep { millis: 0 } => self.store.note(execution)?,
                        step => return self.lay_aside(execution, step).await,
                    }
                }
                step => return self.lay_aside(execution, step).await,
            }
        }
    }

    async fn lay_aside(&self, execution: &Execution, step: Step) -> Result<()> {
        match step {
            Step::Sleep { millis } => {
                self.store
                    .sleep(execution, self.clock.now().plus_millis(millis))
                    .await
            }
            Step::End(ending) => self.end(execution, ending).await,
            Step::Run { .. } => Ok(()),
        }
    }

    async fn end(&self, execution: &Execution, ending: Ending) -> Result<()> {
        self.store.end(execution, ending.as_str()).await
    }

    async fn handle(&self, resource: &str, input: &Value, timeout_seconds: u64) -> TaskOutcome {
        let Some(handler) = self.handlers.get(resource) else {
            return Err(TaskError {
                error: "States.Runtime".into(),
                cause: format!("nothing handles {resource}"),
            });
        };
        // A panic in one article's handler is that article's error, as a Lambda that dies is.
        let handled = AssertUnwindSafe(handler.handle(input.clone())).catch_unwind();
        match time::timeout(Duration::from_secs(timeout_seconds), handled).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(TaskError {
                error: Code::InternalError.as_str().into(),
                cause: "the handler panicked; the log says where".into(),
            }),
            Err(_) => Err(TaskError {
                error: "States.Timeout".into(),
                cause: format!("the handler took longer than {timeout_seconds} seconds"),
            }),
        }
    }
}
