//! From the intake queues to intake.

use std::{sync::Arc, time::Duration};

use bedrock_diy_core::{
    Class, Code, Failure,
    error::Result,
    intake::{IntakeMessage, Lane},
};
use bedrock_diy_embedded::{Backoff, Message, SqliteQueue};
use bedrock_diy_intake::Intake;
use futures_util::{StreamExt, stream};
use tokio::{sync::watch, time};

use super::{LOOK_AGAIN, MAX_RECEIVES, VISIBILITY_MILLIS, guarded};

/// Receives messages and hands each to intake; one message's failure is its own.
pub(crate) struct IntakeLoop {
    intake: Arc<Intake>,
    queue: SqliteQueue,
}

/// Messages received at once, and handled at once.
const BATCH: usize = 64;

/// How long messages may be handled after a stop: far longer than one takes, but for a file of many articles.
const GRACE: Duration = Duration::from_secs(2);

impl IntakeLoop {
    pub(crate) fn new(intake: Intake, queue: SqliteQueue) -> Self {
        Self {
            intake: Arc::new(intake),
            queue,
        }
    }

    /// Works until `stop` says true. A storage that is not to be had for a while is waited for; fails
    /// only where time can't heal it.
    ///
    /// What is being handled then may come to its end within [`GRACE`], and is left else: it is received again after
    /// the next start, and whatever was done of it is found.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) -> Result<()> {
        let lanes = futures_util::future::try_join_all(
            // Each for itself: somebody waits for the live lane, and a file of the other one may hold 10,000 articles.
            Lane::ALL.map(|lane| self.run_lane(lane, stop.clone())),
        );
        let grace = async {
            let _ = stop.wait_for(|stopped| *stopped).await;
            time::sleep(GRACE).await;
        };
        tokio::select! {
            ended = lanes => ended.map(|_| ()),
            () = grace => Ok(()),
        }
    }

    async fn run_lane(&self, lane: Lane, mut stop: watch::Receiver<bool>) -> Result<()> {
        let mut backoff = Backoff::default();
        let mut arrivals = self.queue.arrivals();
        while !*stop.borrow() {
            match self.batch(lane).await {
                Ok(received) => {
                    backoff.succeeded();
                    if received > 0 {
                        continue;
                    }
                }
                Err(failure) if failure.code.class() == Class::Retryable => {
                    if backoff.is_new() {
                        tracing::error!(error = %failure, "no messages can be taken in for now");
                    }
                    backoff.pause(&mut stop).await;
                    continue;
                }
                Err(failure) => return Err(failure),
            }
            tokio::select! {
                _ = arrivals.changed() => {}
                () = time::sleep(LOOK_AGAIN) => {}
                _ = stop.changed() => {}
            }
        }
        Ok(())
    }

    async fn batch(&self, lane: Lane) -> Result<usize> {
        let messages = self
            .queue
            .receive(lane.as_str(), BATCH, VISIBILITY_MILLIS)
            .await?;
        let received = messages.len();
        let mut handled = stream::iter(messages)
            .map(|message| self.one(lane, message))
            .buffer_unordered(BATCH);
        let mut worst = Ok(received);
        let mut done = Vec::new();
        // Every message is handled to its end, whatever becomes of its neighbours.
        while let Some(outcome) = handled.next().await {
            match outcome {
                Ok(message) => done.extend(message),
                Err(failure) if worst.is_ok() || failure.code.class() == Class::Terminal => {
                    worst = Err(failure);
                }
                Err(_) => {}
            }
        }
        self.queue.delete(done).await?;
        worst
    }

    /// Handles a message, and returns it where it is to be deleted. Fails where what became of it can't be
    /// noted in the queue: it is received again then.
    async fn one(&self, lane: Lane, message: Message) -> Result<Option<Message>> {
        let handled = match parse(&message) {
            // On the heap: a batch holds many of them at once.
            Ok(message) => guarded(Box::pin(self.intake.handle(lane, message)))
                .await
                .map(|_| ()),
            Err(failure) => Err(failure),
        };
        let failure = match handled {
            Ok(()) => return Ok(Some(message)),
            Err(failure) if failure.code.class() == Class::Retryable => {
                self.throttle(&message, &failure).await?;
                return Ok(None);
            }
            Err(_) if message.receives < MAX_RECEIVES => {
                self.queue.give_back(&message, 0, true).await?;
                return Ok(None);
            }
            Err(failure) => failure,
        };
        if let Ok(parsed) = parse(&message) {
            match guarded(self.intake.give_up(lane, parsed, &failure)).await {
                Ok(()) => {}
                Err(again) if again.code.class() == Class::Retryable => {
                    self.throttle(&message, &again).await?;
                    return Ok(None);
                }
                Err(worse) => {
                    tracing::error!(error = %worse, "a job can't say why its message could not be handled");
                }
            }
        }
        tracing::error!(error = %failure, "a message can't be handled and goes to the dead-letter queue");
        self.queue.bury(&message, &failure.message()).await?;
        Ok(None)
    }

    /// A throttle or a full disk is not the message's fault and never counts against it; it only waits
    /// longer each time.
    async fn throttle(&self, message: &Message, failure: &Failure) -> Result<()> {
        tracing::warn!(error = %failure, "a message goes back to the queue");
        let pause = i64::try_from(Backoff::after(message.throttles).as_millis()).unwrap_or(i64::MAX);
        self.queue.give_back(message, pause, false).await
    }
}

fn parse(message: &Message) -> Result<IntakeMessage> {
    serde_json::from_str(&message.body).map_err(|error| {
        Failure::new(
            Code::InvalidRequest,
            format!("the message is none that intake knows: {error}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicI64, Ordering},
    };

    use async_trait::async_trait;
    use bedrock_diy_core::{
        ProjectId, PromptId,
        article::{Bucket, ObjectRef},
        card::{Card, CardRevision},
        catalogue::Catalogue,
        intake::Drop,
        page::{Page, PageRequest},
        pipeline::PipelineRevision,
        ports::{Clock, Projects, Queue, Saved},
        project::Project,
        time::Timestamp,
    };

    use super::*;
    use crate::machine::Machine;

    /// A clock that is set by hand.
    struct Hands(AtomicI64);

    impl Clock for Hands {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.load(Ordering::SeqCst))
        }
    }

    /// No project is ever there, or to be had: which, is set by hand.
    struct NoProjects(Mutex<Option<Failure>>);

    #[async_trait]
    impl Projects for NoProjects {
        async fn project(&self, _: &ProjectId) -> Result<Option<Project>> {
            match self.0.lock().unwrap().clone() {
                Some(failure) if failure.code == Code::InternalError => panic!("{failure}"),
                Some(failure) => Err(failure),
                None => Ok(None),
            }
        }

        async fn projects(&self, _: Option<&str>, _: &PageRequest) -> Result<Page<Project>> {
            unreachable!("intake lists no projects")
        }

        async fn card_revisions(
            &self,
            _: &ProjectId,
            _: &PromptId,
            _: &PageRequest,
        ) -> Result<Page<Arc<CardRevision>>> {
            unreachable!("intake lists no revisions")
        }

        async fn cards(&self, _: &ProjectId) -> Result<Vec<Card>> {
            Ok(Vec::new())
        }

        async fn card_revision(&self, _: &ProjectId, _: &PromptId, _: u32) -> Result<Arc<CardRevision>> {
            unreachable!("intake reads no card")
        }

        async fn keep_pipeline(&self, _: &PipelineRevision) -> Result<()> {
            Ok(())
        }

        async fn pipeline(&self, _: &ProjectId, _: &str) -> Result<Arc<PipelineRevision>> {
            unreachable!("intake reads no pipeline")
        }

        async fn put_project(&self, _: &Project, _: Option<&Project>) -> Result<Saved> {
            unreachable!("intake stores no project")
        }

        async fn put_card(&self, _: &Card, _: Option<&CardRevision>) -> Result<Saved> {
            unreachable!("intake stores no card")
        }

        async fn put_cards(&self, _: &[Card]) -> Result<Saved> {
            unreachable!("intake stores no card")
        }
    }

    struct Bench {
        _folder: tempfile::TempDir,
        machine: Machine,
        clock: Arc<Hands>,
        projects: Arc<NoProjects>,
    }

    impl Bench {
        async fn with_a_message() -> (Self, IntakeLoop) {
            let folder = tempfile::tempdir().unwrap();
            let machine = Machine::open(folder.path(), Arc::new(Catalogue::own().unwrap())).unwrap();
            let clock = Arc::new(Hands(AtomicI64::new(1_700_000_000_000)));
            let projects = Arc::new(NoProjects(Mutex::default()));
            let queue = SqliteQueue::new(machine.database.clone(), clock.clone());
            let object = ObjectRef {
                bucket: Bucket::Articles,
                key: "inbox/news/monday/a.txt".into(),
                version: Some("1".into()),
                size: 1,
            };
            let message = IntakeMessage::Drop(Drop { object });
            queue.send(Lane::Bulk, vec![message]).await.unwrap();
            let intake = Intake {
                projects: projects.clone(),
                jobs: Arc::new(machine.jobs.clone()),
                objects: Arc::new(machine.objects.clone()),
                executions: Arc::new(machine.executions.clone()),
                bus: Arc::new(machine.bus.clone()),
                clock: clock.clone(),
                default_model: "model".into(),
            };
            let intake_loop = IntakeLoop::new(intake, queue);
            let bench = Self {
                _folder: folder,
                machine,
                clock,
                projects,
            };
            (bench, intake_loop)
        }

        fn fail_with(&self, failure: Option<Failure>) {
            *self.projects.0.lock().unwrap() = failure;
        }

        fn wait(&self, millis: i64) {
            self.clock.0.fetch_add(millis, Ordering::SeqCst);
        }

        async fn execute(&self, sql: &'static str) {
            self.machine
                .database
                .write(move |connection| {
                    connection
                        .execute_batch(sql)
                        .map_err(|error| Failure::new(Code::StorageUnavailable, error.to_string()))
                })
                .await
                .unwrap();
        }
    }

    #[tokio::test]
    async fn a_throttled_message_waits_longer_each_time_and_never_dies_of_it() {
        let (bench, intake) = Bench::with_a_message().await;
        bench.fail_with(Some(Failure::new(Code::StorageUnavailable, "busy")));
        for most in [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 64_000] {
            assert_eq!(intake.batch(Lane::Bulk).await.unwrap(), 1);
            bench.wait(most / 2 - 1);
            assert_eq!(intake.batch(Lane::Bulk).await.unwrap(), 0, "too early");
            bench.wait(most / 2 + 1);
        }
        bench.fail_with(None);
        assert_eq!(intake.batch(Lane::Bulk).await.unwrap(), 1);
        assert_eq!(bench.machine.queue.depth("bulk").unwrap(), 0);
        assert!(bench.machine.queue.dead_letters(1).unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_message_that_makes_intake_panic_is_buried_after_a_few_tries() {
        let (bench, intake) = Bench::with_a_message().await;
        bench.fail_with(Some(Failure::new(Code::InternalError, "this is meant to panic")));
        for _ in 0..MAX_RECEIVES {
            assert_eq!(intake.batch(Lane::Bulk).await.unwrap(), 1);
        }
        let dead = bench.machine.queue.dead_letters(2).unwrap();
        assert_eq!(dead.len(), 1);
        assert!(dead[0].reason.contains("panicked"), "{}", dead[0].reason);
    }

    #[tokio::test]
    async fn a_queue_that_is_away_for_a_while_is_waited_for() {
        let (bench, intake) = Bench::with_a_message().await;
        bench.execute("ALTER TABLE messages RENAME TO gone").await;
        let (stopper, stop) = watch::channel(false);
        let mend = async {
            tokio::task::yield_now().await;
            bench.execute("ALTER TABLE gone RENAME TO messages").await;
            while bench.machine.queue.depth("bulk").unwrap() > 0 {
                tokio::task::yield_now().await;
            }
            stopper.send(true).unwrap();
        };
        let (ran, ()) = tokio::join!(intake.run(stop), mend);
        ran.unwrap();
    }
}
