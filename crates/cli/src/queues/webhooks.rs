//! From the bus to notify, and from the queue of deliveries to deliver.

use std::{sync::Arc, time::Duration};

use bedrock_diy_core::{Class, Failure, error::Result};
use bedrock_diy_deliver::{Deliver, Verdict};
use bedrock_diy_embedded::{Backoff, DELIVERY_QUEUE, EmbeddedBus, Message, NOTIFY_QUEUE, SqliteQueue};
use bedrock_diy_notify::Notify;
use futures_util::future::join_all;
use tokio::{sync::watch, task::JoinSet, time};

use super::{LOOK_AGAIN, MAX_RECEIVES, VISIBILITY_MILLIS, guarded};

/// Has events delivered to webhooks.
pub(crate) struct WebhookLoops {
    pub(crate) notify: Notify,
    pub(crate) deliver: Deliver,
    pub(crate) bus: EmbeddedBus,
    pub(crate) queue: SqliteQueue,
}

/// Events that are received at once. Each is some rows.
const BATCH: usize = 64;

/// Attempts that are made at once: a receiver that hangs has one of them for ten seconds.
const AT_ONCE: usize = 64;

/// How long attempts that have begun may go on after a stop.
const GRACE: Duration = Duration::from_secs(5);

impl WebhookLoops {
    /// Works until `stop` says true. A storage that is not to be had for a while is waited for; fails only where time
    /// can't heal it.
    pub(crate) async fn run(self, stop: watch::Receiver<bool>) -> Result<()> {
        let this = Arc::new(self);
        tokio::try_join!(this.notify(stop.clone()), Arc::clone(&this).deliver(stop)).map(|_| ())
    }

    async fn notify(&self, mut stop: watch::Receiver<bool>) -> Result<()> {
        let mut backoff = Backoff::default();
        while !*stop.borrow() {
            match self.note().await {
                Ok(received) => {
                    backoff.succeeded();
                    if received > 0 {
                        continue;
                    }
                }
                Err(failure) => wait_out(failure, &mut backoff, &mut stop).await?,
            }
            // Where nobody has a webhook, no event wakes this.
            let is_subscribed = self.bus.is_subscribed(NOTIFY_QUEUE).unwrap_or(true);
            tokio::select! {
                () = self.bus.delivery(), if is_subscribed => {}
                () = time::sleep(LOOK_AGAIN) => {}
                _ = stop.changed() => {}
            }
        }
        Ok(())
    }

    /// Notes the deliveries of some events. Returns how many events they were.
    async fn note(&self) -> Result<usize> {
        let messages = self.queue.receive(NOTIFY_QUEUE, BATCH, VISIBILITY_MILLIS).await?;
        let received = messages.len();
        // All at once: what they write shares a commit.
        let noted = join_all(messages.into_iter().map(async |message| {
            let noted = async {
                let told = bedrock_diy_notify::read(&message.body)?;
                self.notify.handle(&told).await
            };
            match guarded(noted).await {
                Ok(()) => Ok(Some(message)),
                Err(failure) => self.give_back(&message, &failure).await.map(|()| None),
            }
        }));
        let noted = noted.await.into_iter().collect::<Result<Vec<_>>>()?;
        self.queue.delete(noted.into_iter().flatten().collect()).await?;
        Ok(received)
    }

    async fn deliver(self: Arc<Self>, mut stop: watch::Receiver<bool>) -> Result<()> {
        let mut backoff = Backoff::default();
        let mut arrivals = self.queue.arrivals();
        let mut attempts = JoinSet::new();
        while !*stop.borrow() {
            while let Some(ended) = attempts.try_join_next() {
                ended.unwrap_or(Ok(()))?;
            }
            let free = AT_ONCE - attempts.len();
            let received = match self.queue.receive(DELIVERY_QUEUE, free, VISIBILITY_MILLIS).await {
                Ok(messages) => messages,
                Err(failure) => {
                    wait_out(failure, &mut backoff, &mut stop).await?;
                    continue;
                }
            };
            backoff.succeeded();
            let is_idle = received.is_empty();
            for message in received {
                let this = Arc::clone(&self);
                // One that hangs keeps no other waiting.
                attempts.spawn(async move {
                    let verdict = guarded(attempt(&this.deliver, &message)).await;
                    this.settle(message, verdict).await
                });
            }
            if is_idle {
                tokio::select! {
                    _ = arrivals.changed() => {}
                    Some(ended) = attempts.join_next() => ended.unwrap_or(Ok(()))?,
                    () = time::sleep(LOOK_AGAIN) => {}
                    _ = stop.changed() => {}
                }
            }
        }
        // What is cut off is made again after the next start, under the same id.
        let last = async { while attempts.join_next().await.is_some() {} };
        let _ = time::timeout(GRACE, last).await;
        Ok(())
    }

    /// Does with a message what was said about it. Fails only where time can't heal it: else it comes again.
    async fn settle(&self, message: Message, verdict: Result<Verdict>) -> Result<()> {
        let settled = match verdict {
            Ok(Verdict::Done) => self.queue.delete(vec![message]).await,
            Ok(Verdict::Again(seconds)) => {
                self.queue
                    .give_back(&message, i64::from(seconds) * 1_000, false)
                    .await
            }
            Ok(Verdict::Dead(why)) => {
                tracing::error!(error = why, "a delivery's message goes to the dead-letter queue");
                self.queue.bury(&message, &why).await
            }
            Err(failure) => self.give_back(&message, &failure).await,
        };
        match settled {
            Err(failure) if failure.code.class() == Class::Retryable => {
                tracing::warn!(error = %failure, "a message comes again at another time than it should");
                Ok(())
            }
            settled => settled,
        }
    }

    /// A message that was not handled: later, or not at all where it is of no use.
    async fn give_back(&self, message: &Message, failure: &Failure) -> Result<()> {
        if failure.code.class() == Class::Terminal && message.receives >= MAX_RECEIVES {
            tracing::error!(error = %failure, "a message can't be handled and goes to the dead-letter queue");
            return self.queue.bury(message, &failure.message()).await;
        }
        tracing::warn!(error = %failure, "a message goes back to the queue");
        let counts = failure.code.class() == Class::Terminal;
        let pause = i64::try_from(Backoff::after(message.throttles).as_millis()).unwrap_or(i64::MAX);
        self.queue.give_back(message, pause, counts).await
    }
}

async fn attempt(deliver: &Deliver, message: &Message) -> Result<Verdict> {
    match Deliver::read(&message.body) {
        Ok(claim) => deliver.handle(&claim).await,
        // However often it comes, it is of no use.
        Err(failure) => Ok(Verdict::Dead(failure.detail)),
    }
}

/// Waits for a storage that is not to be had for a while. Fails with what time can't heal.
async fn wait_out(failure: Failure, backoff: &mut Backoff, stop: &mut watch::Receiver<bool>) -> Result<()> {
    if failure.code.class() == Class::Terminal {
        return Err(failure);
    }
    if backoff.is_new() {
        tracing::error!(error = %failure, "no deliveries can be made for now");
    }
    backoff.pause(stop).await;
    Ok(())
}
