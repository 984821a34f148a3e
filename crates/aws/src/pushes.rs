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
    follow::{ConnectionId, Had, Topic, jobs_so_far, pushes, so_far},
    limits,
    ports::{Clock, Connections, Followers, Following, Follows, Jobs},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    config::Config,
    connections::{ConnectionRows, Held, LONGEST_MILLIS, Row},
    jobs::DynamoJobs,
    storage::failure,
    watches::DynamoWatches,
};

/// Events that are read at once.
const PAGE: usize = 200;

/// Connections that are told at once.
const AT_ONCE: usize = 32;

/// A connection that does not take a message within this is gone, or as good as that.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a row that somebody else holds is waited for, and how often it is looked at.
const HELD: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);

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
                Held::Mine(mut row, hold) => {
                    let is_told = row.had.events() >= number;
                    let told = if is_told {
                        Ok(Sent::Taken)
                    } else {
                        self.tell_row(job, &mut row, None).await
                    };
                    // Also where it failed: with what was had before.
                    self.rows.let_go(&row, &hold).await?;
                    return told.map(drop);
                }
                Held::Busy if Instant::now() >= until => {
                    return Err(Failure::new(
                        Code::StorageUnavailable,
                        format!("somebody else has been telling a connection of job {job} for too long"),
                    ));
                }
                Held::Busy => sleep(LOOK).await,
            }
        }
    }

    /// Tells a connection whose row is held what is new of its job, and what is not stored yet.
    async fn tell_row(&self, job: &JobId, row: &mut Row, unstored: Option<&Unstored>) -> Result<Sent> {
        let mut had = row.had.clone();
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
                if let Sent::Not = self.post(&row.connection, &message).await? {
                    return Ok(Sent::Not);
                }
            }
            row.had = had.clone();
            if has_ended {
                self.rows.remove(&row.topic, &row.connection).await?;
            }
            if !is_page {
                return Ok(Sent::Taken);
            }
        }
    }

    /// Tells those who follow a job, as far as nobody else is telling them: who is left out is told with what comes
    /// next.
    async fn tell_now(&self, job: &JobId, unstored: Option<&Unstored>) -> Result<()> {
        let rows = self.known(job).await?;
        let told = stream::iter(rows).map(|row| async move {
            match self.rows.hold(&row).await? {
                Held::Gone | Held::Busy => Ok(()),
                Held::Mine(mut row, hold) => {
                    let told = self.tell_row(job, &mut row, unstored).await;
                    self.rows.let_go(&row, &hold).await?;
                    told.map(drop)
                }
            }
        });
        told.buffer_unordered(AT_ONCE).try_collect().await
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
            let told = stream::iter(jobs).map(|job| async move {
                let (messages, _) = so_far(&*self.jobs, &job, after).await?;
                self.post_all(connection, &messages).await
            });
            told.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
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
        let told = stream::iter(rows).map(|row| async move { self.catch_up(job, &row, event.number).await });
        told.buffer_unordered(AT_ONCE).try_collect::<()>().await?;

        let mut topics = vec![Topic::Project(event.project_id.clone())];
        if let Some(job) = self.jobs.read(job).await? {
            topics.push(Topic::Batch(job.project_id, job.batch));
        }
        let mut had = Had::up_to(event.number - 1);
        let messages = pushes(job, &[had.take(event.clone())]);
        for topic in topics {
            let rows = self.rows.of_topic(&topic).await?;
            let told = stream::iter(rows).map(|row| {
                let messages = &messages;
                async move { self.post_all(&row.connection, messages).await }
            });
            told.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
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
        // Nothing is lost where it fails: it becomes an event.
        let _ = self.tell_now(job, Some(&unstored)).await;
    }

    async fn tell(&self, events: &[Event]) {
        if let Some(last) = events.last() {
            // Nothing is lost where it fails: whoever comes next tells it.
            let _ = self.tell_now(&last.job_id, None).await;
        }
    }
}
