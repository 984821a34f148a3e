use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use bedrock_diy_core::{
    error::Result,
    event::{Event, StageDelta},
    ports::Bus,
};
use tokio::sync::broadcast;

use crate::{database::to_json, queue::SqliteQueue};

/// The bus of one machine. A *subscription* is durable: its events lie in a queue of its own until
/// they are handled. A *follower* looks on live and loses what it is too slow for.
#[derive(Debug, Clone)]
pub struct EmbeddedBus {
    queue: SqliteQueue,
    subscriptions: Arc<RwLock<Vec<String>>>,
    events: broadcast::Sender<Arc<Event>>,
    deltas: broadcast::Sender<Arc<StageDelta>>,
}

/// A follower that is more than this behind misses something, and is told so.
const FOLLOWED: usize = 8_192;

impl EmbeddedBus {
    /// A bus whose subscriptions are queues here.
    #[must_use]
    pub fn new(queue: SqliteQueue) -> Self {
        Self {
            queue,
            subscriptions: Arc::default(),
            events: broadcast::channel(FOLLOWED).0,
            deltas: broadcast::channel(FOLLOWED).0,
        }
    }

    /// Delivers all events from now on to the queue of this name, at least once.
    pub fn subscribe(&self, queue: &str) {
        let mut subscriptions = self.subscriptions.write().unwrap_or_else(PoisonError::into_inner);
        if !subscriptions.iter().any(|known| known == queue) {
            subscriptions.push(queue.to_owned());
        }
    }

    /// Looks on at stored events, live.
    #[must_use]
    pub fn follow_events(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }

    /// Looks on at answers while they are written.
    #[must_use]
    pub fn follow_deltas(&self) -> broadcast::Receiver<Arc<StageDelta>> {
        self.deltas.subscribe()
    }
}

#[async_trait]
impl Bus for EmbeddedBus {
    async fn publish(&self, events: &[Event]) -> Result<()> {
        let subscriptions = self
            .subscriptions
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for queue in subscriptions {
            let bodies = events
                .iter()
                .map(|event| to_json("event", event))
                .collect::<Result<_>>()?;
            self.queue.send_to(&queue, bodies).await?;
        }
        if self.events.receiver_count() > 0 {
            for event in events {
                // Fails only where the last follower has just gone.
                let _ = self.events.send(Arc::new(event.clone()));
            }
        }
        Ok(())
    }

    fn delta(&self, delta: StageDelta) {
        let _ = self.deltas.send(Arc::new(delta));
    }

    fn has_followers(&self) -> bool {
        self.deltas.receiver_count() > 0
    }
}
