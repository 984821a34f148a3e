//! Telling those who follow over API Gateway's WebSocket API, which keeps their connections.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use aws_sdk_apigatewaymanagement::{
    Client, operation::post_to_connection::PostToConnectionError as PostError, primitives::Blob,
};
use bedrock_diy_core::{
    Class, Code, Failure, JobId,
    error::Result,
    event::{Event, Unstored},
    follow::{ConnectionId, Had, Topic, jobs_so_far, pushes, pushes_of_many, so_far},
    limits,
    ports::{Clock, Connections, Followers, Following, Follows, Jobs},
};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    config::Config,
    connections::{ConnectionRows, HELD_FOR, Held, Hold, LONGEST_MILLIS, Row},
    jobs::DynamoJobs,
    storage::{corrupt, failure},
    watches::DynamoWatches,
};

/// Events that are read at once.
const PAGE: usize = 200;

/// Connections that are told at once.
const AT_ONCE: usize = 32;

/// A connection that does not take a message within this is gone, or as good as that; cutting it off takes as long at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whoever sends a message holds the connection's row for so long at least: until the message is taken, or the connection
/// cut off.
const ONE_MESSAGE: Duration = PATIENCE.saturating_mul(2);
const _: () = assert!(ONE_MESSAGE.as_millis() < HELD_FOR.as_millis());

/// How long a row that somebody else holds is waited for, and how often it is looked at: whoever has died, or was cut off,
/// holds it no longer then.
const HELD: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(50);
const _: () = assert!(HELD_FOR.as_millis() < HELD.as_millis());

/// So long a stage waits for all who follow its job to be told, be they slow, hanging or a hundred. A message takes some
/// hundredths of a second; nobody should wait much longer for an answer because others look on.
///
/// What is cut off in the middle leaves its row held, so that nobody sends the same message while it may still be on its
/// way. After [`HELD_FOR`] whoever comes next goes on from what was noted: the stage, or `notify`, which waits for that.
const BUDGET: Duration = Duration::from_millis(500);

/// Within this part of it a stage begins with connections and messages. Those that take what they are sent have the rest
/// of it to be done with, and none of them is cut off because there were many.
const BEGUN_WITHIN: Duration = Duration::from_millis(250);

/// Between two looks of a stage for somebody who follows: each costs half a read unit.
const LOOK_FOR_ANYBODY: Duration = Duration::from_secs(1);

/// What is written is gathered for so long before it is shown: a message of API Gateway's costs as much with one word.
const PACE: Duration = Duration::from_millis(50);

/// How long a stage goes by who followed when it looked last.
const KNOWN: Duration = Duration::from_secs(1);

/// Tells them, and keeps in mind who follows what.
#[derive(Clone)]
pub struct Pushes {
    gateway: Client,
    rows: ConnectionRows,
    jobs: Arc<DynamoJobs>,
    watches: Arc<DynamoWatches>,
    known: Arc<Mutex<HashMap<JobId, Known>>>,
}

/// Who follows a job, and when that was looked at.
type Known = (Instant, Vec<Row>);

/// Whether a connection took what it was sent.
enum Sent {
    Taken,
    /// It is gone, or takes nothing: it is forgotten.
    Not,
}

/// How far a connection was told what is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// All of it.
    All,
    /// As much as there was time for.
    Part,
    /// It is gone, or takes nothing: it is forgotten.
    Gone,
    /// Somebody else tells it, or it follows anew: it is theirs to tell.
    Lost,
}

impl Pushes {
    /// Over the connections of this gateway's API.
    #[must_use]
    pub fn new(
        gateway: Client,
        dynamodb: aws_sdk_dynamodb::Client,
        config: &Config,
        clock: Arc<dyn Clock>,
        jobs: Arc<DynamoJobs>,
        watches: Arc<DynamoWatches>,
    ) -> Self {
        Self {
            gateway,
            rows: ConnectionRows::new(dynamodb, config, clock),
            jobs,
            watches,
            known: Arc::default(),
        }
    }

    async fn post(&self, connection: &ConnectionId, message: &str) -> Result<Sent> {
        let post = self
            .gateway
            .post_to_connection()
            .connection_id(connection.as_str())
            .data(Blob::new(message))
            .send();
        match timeout(PATIENCE, post).await {
            Ok(Ok(_)) => return Ok(Sent::Taken),
            Ok(Err(error)) if error.as_service_error().is_some_and(PostError::is_gone_exception) => {}
            Ok(Err(error)) => {
                let failure = failure("sending a message to a connection", &error);
                if failure.code.class() == Class::Terminal {
                    return Err(failure);
                }
                self.cut(connection).await;
            }
            Err(_) => self.cut(connection).await,
        }
        self.forget(connection).await?;
        Ok(Sent::Not)
    }

    /// Sends messages in order, for as long as they are taken.
    async fn post_all(&self, connection: &ConnectionId, messages: &[String]) -> Result<()> {
        for message in messages {
            if let Sent::Not = self.post(connection, message).await? {
                break;
            }
        }
        Ok(())
    }

    /// Cuts a connection off: its client comes again and goes on where it was, and misses nothing without knowing it.
    async fn cut(&self, connection: &ConnectionId) {
        let delete = self
            .gateway
            .delete_connection()
            .connection_id(connection.as_str());
        let _ = timeout(PATIENCE, delete.send()).await;
    }

    /// Tells a connection what is new of its job, up to this number at least.
    async fn catch_up(&self, job: &JobId, row: &Row, number: u64) -> Result<()> {
        let until = Instant::now() + HELD;
        loop {
            match self.rows.hold(row).await? {
                Held::Gone => return Ok(()),
                Held::Mine(mut row, mut hold) => {
                    let is_told = row.had.events() >= number;
                    let told = if is_told {
                        Ok(Told::All)
                    } else {
                        self.tell_row(job, &mut row, &mut hold, None, None).await
                    };
                    // Also where it failed: with what was had before.
                    self.rows.let_go(&row, &hold).await?;
                    if told? != Told::Lost {
                        return Ok(());
                    }
                }
                Held::Busy(had) if had.events() >= number => return Ok(()),
                Held::Busy(_) if Instant::now() >= until => {
                    return Err(Failure::new(
                        Code::StorageUnavailable,
                        format!("somebody else has been telling a connection of job {job} for too long"),
                    ));
                }
                Held::Busy(_) => sleep(LOOK).await,
            }
        }
    }

    /// Tells a connection whose row is held what is new of its job, and what is not stored yet; begins with no message
    /// after `until`.
    ///
    /// Before each message it is noted what the connection has had, and the row held as long again: the next one would
    /// else be sent under a hold that has ended, beside somebody else who sends the same.
    async fn tell_row(
        &self,
        job: &JobId,
        row: &mut Row,
        hold: &mut Hold,
        unstored: Option<&Unstored>,
        until: Option<Instant>,
    ) -> Result<Told> {
        let mut had = row.had.clone();
        let mut is_noted = true;
        loop {
            let is_behind = unstored.is_none_or(|unstored| had.events() < unstored.after);
            let events = if is_behind {
                self.jobs.events(job, had.events(), PAGE).await?
            } else {
                Vec::new()
            };
            let is_page = events.len() == PAGE;
            let has_ended = events.last().is_some_and(|last| last.fact.is_last());
            let mut shown: Vec<_> = events.into_iter().map(|event| had.take(event)).collect();
            if !is_page && let Some(unstored) = unstored {
                shown.extend(had.take_unstored(job, unstored));
            }
            for message in pushes(job, &shown) {
                if until.is_some_and(|until| Instant::now() >= until) {
                    return Ok(Told::Part);
                }
                let is_held = is_noted && hold.left() >= ONE_MESSAGE;
                if !is_held && !self.rows.keep(row, hold).await? {
                    return Ok(Told::Lost);
                }
                if let Sent::Not = self.post(&row.connection, &message.text).await? {
                    return Ok(Told::Gone);
                }
                let position = message.position.parse();
                row.had = position.map_err(|error| corrupt("position", error))?;
                is_noted = false;
            }
            if has_ended {
                self.rows.remove(&row.topic, &row.connection).await?;
            }
            if !is_page {
                return Ok(Told::All);
            }
        }
    }

    /// Tells those who follow a job, as far as nobody else is telling them and there is time: who is left out is told
    /// with what comes next.
    async fn tell_now(&self, job: &JobId, unstored: Option<&Unstored>) -> Result<()> {
        let until = Instant::now() + BEGUN_WITHIN;
        let mut rows = self.known(job).await?;
        // Where they are more than there is time for, those who are left out are not always the same ones.
        if !rows.is_empty() {
            let first = rand::random_range(0..rows.len());
            rows.rotate_left(first);
        }
        let told = rows.into_iter().map(|row| async move {
            if Instant::now() >= until {
                return Ok(());
            }
            match self.rows.hold(&row).await? {
                Held::Gone | Held::Busy(_) => Ok(()),
                Held::Mine(mut row, mut hold) => {
                    let told = self.tell_row(job, &mut row, &mut hold, unstored, Some(until));
                    let told = told.await;
                    self.rows.let_go(&row, &hold).await?;
                    told.map(drop)
                }
            }
        });
        all(told).await
    }

    /// Who follows a job, as it was known a moment ago.
    async fn known(&self, job: &JobId) -> Result<Vec<Row>> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, rows)) = known().get(job)
            && at.elapsed() < KNOWN
        {
            return Ok(rows.clone());
        }
        let rows = self.rows.of_topic(&Topic::Job(job.clone())).await?;
        let mut known = known();
        known.retain(|_, (at, _)| at.elapsed() < KNOWN);
        known.insert(job.clone(), (Instant::now(), rows.clone()));
        Ok(rows)
    }

    /// Has a stage know no more that a job is followed, where nobody does over a connection. Who follows it otherwise
    /// says so again.
    async fn unmark(&self, topic: &Topic) -> Result<()> {
        if let Topic::Job(job) = topic
            && self.rows.of_topic(topic).await?.is_empty()
        {
            self.watches.unmark(job).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Follows for Pushes {
    async fn follow(&self, connection: &ConnectionId, topic: &Topic, had: Option<Had>) -> Result<Following> {
        let followed = self.rows.of_connection(connection).await?;
        if followed.len() >= limits::FOLLOWS && !followed.contains(topic) {
            return Ok(Following::TooMany);
        }
        let wants_more = had.is_some();
        let had = had.unwrap_or_else(|| Had::up_to(0));
        let after = had.events();
        let row = Row {
            topic: topic.clone(),
            connection: connection.clone(),
            had,
        };
        self.rows.put(&row).await?;
        // Now what happened before the row was there.
        if let Topic::Job(job) = topic {
            self.watches.mark(job, LONGEST_MILLIS).await?;
            self.catch_up(job, &row, u64::MAX).await?;
        } else if wants_more {
            let Some(jobs) = jobs_so_far(&*self.jobs, topic).await? else {
                // Whoever followed it from now on still does.
                if !followed.contains(topic) {
                    self.rows.remove(topic, connection).await?;
                }
                return Ok(Following::TooManyJobs);
            };
            let told = jobs.into_iter().map(|job| async move {
                let (messages, _) = so_far(&*self.jobs, &job, after).await?;
                self.post_all(connection, &messages).await
            });
            all(told).await?;
        }
        Ok(Following::Told)
    }

    async fn unfollow(&self, connection: &ConnectionId, topic: &Topic) -> Result<()> {
        self.rows.remove(topic, connection).await?;
        self.unmark(topic).await
    }
}

#[async_trait]
impl Connections for Pushes {
    async fn tell(&self, event: &Event) -> Result<()> {
        if !self.rows.may_be_anybody().await? {
            return Ok(());
        }
        let job = &event.job_id;
        let rows = self.rows.of_topic(&Topic::Job(job.clone())).await?;
        let told = rows
            .into_iter()
            .map(|row| async move { self.catch_up(job, &row, event.number).await });
        all(told).await?;

        let mut topics = vec![Topic::Project(event.project_id.clone())];
        if let Some(job) = self.jobs.read(job).await? {
            topics.push(Topic::Batch(job.project_id, job.batch));
        }
        let messages = pushes_of_many(job, vec![event.clone()]);
        for topic in topics {
            let rows = self.rows.of_topic(&topic).await?;
            let told = rows.into_iter().map(|row| {
                let messages = &messages;
                async move { self.post_all(&row.connection, messages).await }
            });
            all(told).await?;
        }
        Ok(())
    }

    async fn send(&self, connection: &ConnectionId, message: &str) -> Result<()> {
        self.post(connection, message).await.map(drop)
    }

    async fn forget(&self, connection: &ConnectionId) -> Result<()> {
        for topic in self.rows.of_connection(connection).await? {
            self.unfollow(connection, &topic).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Followers for Pushes {
    async fn has(&self, job: &JobId) -> Result<bool> {
        self.watches.is_marked(job).await
    }

    async fn comes(&self, _: &JobId) {
        sleep(LOOK_FOR_ANYBODY).await;
    }

    fn pace(&self) -> Duration {
        PACE
    }

    async fn show(&self, job: &JobId, unstored: Unstored) {
        // Nothing is lost where it fails or is cut off: it becomes an event.
        let _ = timeout(BUDGET, self.tell_now(job, Some(&unstored))).await;
    }

    async fn tell(&self, events: &[Event]) {
        if let Some(last) = events.last() {
            // Nothing is lost where it fails or is cut off: whoever comes next tells it.
            let _ = timeout(BUDGET, self.tell_now(&last.job_id, None)).await;
        }
    }
}

/// Has some of these at once, and each to its end, also where others fail: what is given up in the middle leaves a row that
/// is held. Fails where one has.
async fn all(told: impl Iterator<Item: Future<Output = Result<()>>>) -> Result<()> {
    let told = stream::iter(told).buffer_unordered(AT_ONCE);
    told.fold(Ok(()), |all, one| async { all.and(one) }).await
}

#[cfg(test)]
mod tests;
