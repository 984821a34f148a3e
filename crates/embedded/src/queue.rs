use std::sync::Arc;

use async_trait::async_trait;
use bedrock_diy_core::{
    error::Result,
    intake::{IntakeMessage, Lane},
    ports::{Clock, Queue},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::watch;

use crate::{
    aside::aside,
    database::{Database, failure, to_json},
};

/// Queues in `SQLite`, as SQS has them: a received message is invisible until its visibility timeout
/// ends, and comes back unless it was deleted; one that was received too often goes to the
/// dead-letter queue with the reason.
#[derive(Clone)]
pub struct SqliteQueue {
    database: Database,
    clock: Arc<dyn Clock>,
    arrived: watch::Sender<()>,
}

/// A received message.
#[derive(Debug, Clone)]
pub struct Message {
    /// Identifies it until it is deleted.
    pub seq: i64,
    /// How often it was received, this time included, but for the times when it was given back as not
    /// to be counted.
    pub receives: u32,
    /// How often it was given back so.
    pub throttles: u32,
    /// What was sent.
    pub body: String,
    /// Until when it is invisible: proves, when it is deleted, that this receive was the last one.
    visible_at: i64,
}

/// A message that nobody could handle.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// Identifies it.
    pub seq: i64,
    /// The queue that it lay in.
    pub queue: String,
    /// How often it was received.
    pub receives: u32,
    /// When it was given up.
    pub died_at: Timestamp,
    /// Why, in a sentence.
    pub reason: String,
    /// What was sent.
    pub body: String,
}

impl SqliteQueue {
    /// On this database.
    #[must_use]
    pub fn new(database: Database, clock: Arc<dyn Clock>) -> Self {
        Self {
            database,
            clock,
            arrived: watch::Sender::new(()),
        }
    }

    /// Sends texts to a queue of any name.
    pub async fn send_to(&self, queue: &str, bodies: Vec<String>) -> Result<()> {
        let (queue, now) = (queue.to_owned(), self.clock.now());
        self.database
            .write(move |connection| {
                bodies
                    .iter()
                    .try_for_each(|body| insert(connection, &queue, now, body))
            })
            .await?;
        self.arrived.send_replace(());
        Ok(())
    }

    /// Receives up to `most` visible messages, the oldest first, and hides them for
    /// `visibility_millis`.
    pub async fn receive(&self, queue: &str, most: usize, visibility_millis: i64) -> Result<Vec<Message>> {
        let (queue, now) = (queue.to_owned(), self.clock.now().millis());
        let waiting = self.database.read(|connection| {
            connection
                .prepare_cached("SELECT 1 FROM messages WHERE queue = ?1 AND visible_at <= ?2 LIMIT 1")
                .and_then(|mut select| select.query_row((&queue, now), |_| Ok(())).optional())
                .map_err(|error| failure(&error))
        })?;
        // An idle queue is looked at often; that must not cost a write to the disk.
        if waiting.is_none() {
            return Ok(Vec::new());
        }
        self.database
            .write(move |connection| {
                connection
                    .prepare_cached(
                        "UPDATE messages SET visible_at = ?1, receives = receives + 1 WHERE seq IN
                             (SELECT seq FROM messages WHERE queue = ?2 AND visible_at <= ?3 ORDER BY visible_at, seq LIMIT ?4)
                         RETURNING seq, receives, throttles, body, visible_at",
                    )
                    .and_then(|mut update| {
                        update
                            .query_map((now + visibility_millis, &queue, now, most), |row| {
                                Ok(Message {
                                    seq: row.get(0)?,
                                    receives: row.get(1)?,
                                    throttles: row.get(2)?,
                                    body: row.get(3)?,
                                    visible_at: row.get(4)?,
                                })
                            })?
                            .collect::<rusqlite::Result<Vec<_>>>()
                    })
                    .map_err(|error| failure(&error))
            })
            .await
    }

    /// Deletes handled messages. Leaves those that have been received again meanwhile.
    pub async fn delete(&self, messages: Vec<Message>) -> Result<()> {
        if messages.is_empty() {
            return Ok(());
        }
        self.database
            .write(move |connection| {
                connection
                    .prepare_cached("DELETE FROM messages WHERE seq = ?1 AND visible_at = ?2")
                    .and_then(|mut delete| {
                        for message in &messages {
                            delete.execute((message.seq, message.visible_at))?;
                        }
                        Ok(())
                    })
                    .map_err(|error| failure(&error))
            })
            .await
    }

    /// Makes a message visible again in `delay_millis`. `counts` says whether this receive counts
    /// towards the dead-letter queue: a throttle never does, it is counted for itself.
    pub async fn give_back(&self, message: &Message, delay_millis: i64, counts: bool) -> Result<()> {
        let (seq, visible_at) = (message.seq, message.visible_at);
        let again = self.clock.now().millis() + delay_millis;
        self.database
            .write(move |connection| {
                connection
                    .prepare_cached(
                        "UPDATE messages SET visible_at = ?3, receives = receives - ?4, throttles = throttles + ?4
                         WHERE seq = ?1 AND visible_at = ?2",
                    )
                    .and_then(|mut update| update.execute((seq, visible_at, again, i64::from(!counts))))
                    .map(|_| ())
                    .map_err(|error| failure(&error))
            })
            .await
    }

    /// Moves a message to the dead-letter queue.
    pub async fn bury(&self, message: &Message, reason: &str) -> Result<()> {
        let (seq, visible_at, reason) = (message.seq, message.visible_at, reason.to_owned());
        let now = self.clock.now().millis();
        self.database
            .write(move |connection| {
                let bury = || {
                    connection.execute(
                        "INSERT INTO dead_letters (queue, receives, died_at, reason, body)
                         SELECT queue, receives, ?3, ?4, body FROM messages WHERE seq = ?1 AND visible_at = ?2",
                        (seq, visible_at, now, &reason),
                    )?;
                    connection.execute("DELETE FROM messages WHERE seq = ?1 AND visible_at = ?2", (seq, visible_at))
                };
                bury().map(|_| ()).map_err(|error| failure(&error))
            })
            .await
    }

    /// Makes every message visible that a process which has died was handling, or has set aside. Called
    /// once, by the process that holds the data folder's lock, before it receives any.
    pub async fn recover(&self) -> Result<usize> {
        let now = self.clock.now().millis();
        let recover = move |connection: &Connection| {
            let mut recovered =
                connection.execute("UPDATE messages SET visible_at = ?1 WHERE visible_at > ?1", [now])?;
            for lane in Lane::ALL {
                recovered += connection.execute(
                    "UPDATE messages SET queue = ?2 WHERE queue = ?1",
                    (aside(lane), lane.as_str()),
                )?;
            }
            Ok(recovered)
        };
        self.database
            .write(move |connection| recover(connection).map_err(|error| failure(&error)))
            .await
    }

    /// Sets aside every message of a lane, visible or not: nobody receives it until it is [taken
    /// up](Self::take_up), or the next process [recovers](Self::recover). Returns each one's number and text.
    pub async fn set_aside(&self, lane: Lane) -> Result<Vec<(i64, String)>> {
        self.database
            .write(move |connection| {
                connection
                    .prepare("UPDATE messages SET queue = ?2 WHERE queue = ?1 RETURNING seq, body")
                    .and_then(|mut update| {
                        update
                            .query_map((lane.as_str(), aside(lane)), |row| Ok((row.get(0)?, row.get(1)?)))?
                            .collect()
                    })
                    .map_err(|error| failure(&error))
            })
            .await
    }

    /// Takes up a message that was set aside.
    pub async fn take_up(&self, seq: i64, lane: Lane) -> Result<()> {
        self.database
            .write(move |connection| {
                connection
                    .prepare_cached("UPDATE messages SET queue = ?3 WHERE seq = ?1 AND queue = ?2")
                    .and_then(|mut update| update.execute((seq, aside(lane), lane.as_str())))
                    .map(|_| ())
                    .map_err(|error| failure(&error))
            })
            .await?;
        self.arrived.send_replace(());
        Ok(())
    }

    /// Deletes messages that were set aside.
    pub async fn forget(&self, messages: Vec<i64>, lane: Lane) -> Result<()> {
        if messages.is_empty() {
            return Ok(());
        }
        self.database
            .write(move |connection| {
                connection
                    .prepare_cached("DELETE FROM messages WHERE seq = ?1 AND queue = ?2")
                    .and_then(|mut delete| {
                        messages
                            .iter()
                            .try_for_each(|seq| delete.execute((seq, aside(lane))).map(|_| ()))
                    })
                    .map_err(|error| failure(&error))
            })
            .await
    }

    /// The dead letters of all queues, the newest first.
    pub fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        self.database.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT seq, queue, receives, died_at, reason, body FROM dead_letters ORDER BY seq DESC LIMIT ?1",
                )
                .and_then(|mut select| {
                    select
                        .query_map([limit], |row| {
                            Ok(DeadLetter {
                                seq: row.get(0)?,
                                queue: row.get(1)?,
                                receives: row.get(2)?,
                                died_at: Timestamp::from_millis(row.get(3)?),
                                reason: row.get(4)?,
                                body: row.get(5)?,
                            })
                        })?
                        .collect()
                })
                .map_err(|error| failure(&error))
        })
    }

    /// How many messages a queue holds, visible or not.
    pub fn depth(&self, queue: &str) -> Result<u64> {
        self.database.read(|connection| {
            connection
                .prepare_cached("SELECT count(*) FROM messages WHERE queue = ?1")
                .and_then(|mut select| select.query_row([queue], |row| row.get(0)))
                .map_err(|error| failure(&error))
        })
    }

    /// How many messages a queue holds that are visible within so many milliseconds.
    pub fn due(&self, queue: &str, within_millis: i64) -> Result<u64> {
        let until = self.clock.now().millis() + within_millis;
        self.database.read(|connection| {
            connection
                .prepare_cached("SELECT count(*) FROM messages WHERE queue = ?1 AND visible_at <= ?2")
                .and_then(|mut select| select.query_row((queue, until), |row| row.get(0)))
                .map_err(|error| failure(&error))
        })
    }

    /// Changes with whatever this process sends, to whichever queue: each who receives has one.
    #[must_use]
    pub fn arrivals(&self) -> watch::Receiver<()> {
        self.arrived.subscribe()
    }
}

/// Puts a message into a queue, visible from `at` on.
pub(crate) fn insert(connection: &Connection, queue: &str, at: Timestamp, body: &str) -> Result<()> {
    connection
        .prepare_cached("INSERT INTO messages (queue, visible_at, body) VALUES (?1, ?2, ?3)")
        .and_then(|mut insert| insert.execute((queue, at.millis(), body)))
        .map(|_| ())
        .map_err(|error| failure(&error))
}

impl std::fmt::Debug for SqliteQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteQueue").finish_non_exhaustive()
    }
}

#[async_trait]
impl Queue for SqliteQueue {
    async fn send(&self, lane: Lane, messages: Vec<IntakeMessage>) -> Result<()> {
        let bodies = messages
            .iter()
            .map(|message| to_json("message", message))
            .collect::<Result<_>>()?;
        self.send_to(lane.as_str(), bodies).await
    }
}
