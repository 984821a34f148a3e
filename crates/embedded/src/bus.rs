use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bedrock_diy_core::{
    JobId,
    error::Result,
    event::{Event, LiveText, Unstored},
    follow::Topic,
    ports::{Bus, Followers, Watch, Watches},
    time::Timestamp,
    webhook::WebhookDisabled,
};
use rusqlite::Connection;
use tokio::sync::{Notify, broadcast};

use crate::{
    database::{Database, failure, to_json},
    queue,
    tail::Tail,
    watches::Watched,
};

/// The bus of one machine.
///
/// A *subscription* is a queue that every event is put into by the transaction that stores the event: no
/// crash comes between, and any process may store it. A *tail* reads what is stored of a topic, at
/// its own pace. An *onlooker* looks on live in this process, and loses what it is too slow for. A *watch* hears
/// that there is something new of one job.
#[derive(Debug, Clone)]
pub struct EmbeddedBus {
    database: Database,
    delivered: Arc<Notify>,
    events: broadcast::Sender<Arc<Event>>,
    deltas: broadcast::Sender<Arc<LiveText>>,
    watched: Arc<Watched>,
}

/// An onlooker that is more than this behind misses something, and is told so.
const FOLLOWED: usize = 8_192;

impl EmbeddedBus {
    /// On this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self {
            database,
            delivered: Arc::default(),
            events: broadcast::channel(FOLLOWED).0,
            deltas: broadcast::channel(FOLLOWED).0,
            watched: Arc::default(),
        }
    }

    /// Delivers all events that are stored from now on to the queue of this name, at least once, until
    /// [`Self::unsubscribe`].
    pub async fn subscribe(&self, queue: &str) -> Result<()> {
        let queue = queue.to_owned();
        self.database
            .write(move |connection| subscribe(connection, &queue))
            .await
    }

    /// Delivers no more events to this queue. What lies in it stays.
    pub async fn unsubscribe(&self, queue: &str) -> Result<()> {
        let queue = queue.to_owned();
        self.database
            .write(move |connection| unsubscribe(connection, &queue))
            .await
    }

    /// Whether events are delivered to this queue.
    pub fn is_subscribed(&self, queue: &str) -> Result<bool> {
        self.database.read(|connection| {
            connection
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM subscriptions WHERE queue = ?1)")
                .and_then(|mut select| select.query_row([queue], |row| row.get(0)))
                .map_err(|error| failure(&error))
        })
    }

    /// Resolves when this process has stored an event. Others store them, too: look at the queue now and
    /// then all the same.
    pub async fn delivery(&self) {
        self.delivered.notified().await;
    }

    /// Everything that happens to a topic's jobs from now on, but pieces of answers.
    pub fn tail(&self, topic: &Topic) -> Result<Tail> {
        Tail::new(self.database.clone(), Arc::clone(&self.delivered), topic.clone())
    }

    /// Looks on at events that this process stores, live.
    #[must_use]
    pub fn follow_events(&self) -> broadcast::Receiver<Arc<Event>> {
        self.events.subscribe()
    }

    /// Looks on at answers while they are written.
    #[must_use]
    pub fn follow_deltas(&self) -> broadcast::Receiver<Arc<LiveText>> {
        self.deltas.subscribe()
    }
}

#[async_trait]
impl Bus for EmbeddedBus {
    async fn publish(&self, events: &[Event]) -> Result<()> {
        // The subscriptions have them already: they were stored.
        self.delivered.notify_waiters();
        self.watched.tell(events);
        if self.events.receiver_count() > 0 {
            for event in events {
                // Fails only where the last onlooker has just gone.
                let _ = self.events.send(Arc::new(event.clone()));
            }
        }
        Ok(())
    }

    async fn announce(&self, disabled: &WebhookDisabled) -> Result<()> {
        let (body, at) = (to_json("event", disabled)?, disabled.at);
        self.database
            .write(move |connection| put_into_all(connection, at, &body))
            .await?;
        self.delivered.notify_waiters();
        Ok(())
    }

    fn delta(&self, delta: LiveText) {
        let _ = self.deltas.send(Arc::new(delta));
    }

    fn has_onlookers(&self) -> bool {
        self.deltas.receiver_count() > 0
    }
}

#[async_trait]
impl Followers for EmbeddedBus {
    async fn has(&self, job: &JobId) -> Result<bool> {
        Ok(self.watched.has(job))
    }

    async fn comes(&self, job: &JobId) {
        self.watched.comes(job).await;
    }

    fn pace(&self) -> Duration {
        Duration::ZERO
    }

    async fn show(&self, job: &JobId, unstored: Unstored) {
        self.watched.show(job, unstored);
    }

    async fn tell(&self, events: &[Event]) {
        self.watched.tell(events);
    }
}

impl Watches for EmbeddedBus {
    fn watch(&self, job: &JobId) -> Box<dyn Watch> {
        Watched::watch(&self.watched, job)
    }
}

/// Puts stored events into every subscription's queue.
pub(crate) fn deliver(connection: &Connection, events: &[Event]) -> Result<()> {
    for queue in subscriptions(connection).map_err(|error| failure(&error))? {
        for event in events.iter().filter(|event| event.fact.is_for_the_bus()) {
            let body = to_json("event", event)?;
            queue::insert(connection, &queue, event.at, &body)?;
        }
    }
    Ok(())
}

/// Puts what is no job's event into every subscription's queue.
fn put_into_all(connection: &Connection, at: Timestamp, body: &str) -> Result<()> {
    let queues = subscriptions(connection).map_err(|error| failure(&error))?;
    queues
        .iter()
        .try_for_each(|queue| queue::insert(connection, queue, at, body))
}

/// Has all events that are stored from now on put into this queue.
pub(crate) fn subscribe(connection: &Connection, queue: &str) -> Result<()> {
    execute(
        connection,
        "INSERT INTO subscriptions VALUES (?1) ON CONFLICT DO NOTHING",
        queue,
    )
}

/// Has no more events put into this queue.
pub(crate) fn unsubscribe(connection: &Connection, queue: &str) -> Result<()> {
    execute(connection, "DELETE FROM subscriptions WHERE queue = ?1", queue)
}

fn execute(connection: &Connection, sql: &str, queue: &str) -> Result<()> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute([queue]))
        .map(drop)
        .map_err(|error| failure(&error))
}

fn subscriptions(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT queue FROM subscriptions")?
        .query_map([], |row| row.get(0))?
        .collect()
}
