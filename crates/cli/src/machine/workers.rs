//! What works the jobs of a data folder: intake, a thread for each engine, and deliveries to webhooks.

use std::{sync::Arc, time::Duration};

use bedrock_diy_core::{Code, Failure, error::Result, ports::Sender};
use bedrock_diy_embedded::{Turns, engine::Engine};
use tokio::sync::{oneshot, watch};

use super::Machine;
use crate::queues::{IntakeLoop, WebhookLoops};

/// How long work that has begun may go on after a stop, so that an answer which is being paid for is
/// kept.
pub(super) const GRACE: Duration = Duration::from_secs(30);

/// What works the jobs of a data folder.
pub struct Workers {
    pub(super) machine: Machine,
    pub(super) intake: IntakeLoop,
    pub(super) engines: Vec<Arc<Engine>>,
    pub(super) webhooks: Option<WebhookLoops>,
    pub(super) turns: Arc<Turns>,
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

    /// Works until `stop` says true. What an earlier process left was [taken up](Machine::take_up) before, or [left
    /// alone](Machine::leave_alone).
    pub async fn run(self, stop: watch::Receiver<bool>) -> Result<()> {
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
/// on a runtime of many threads, a fifth of a call's time goes to threads that get in each other's way
/// (measured with `bench-local`).
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
