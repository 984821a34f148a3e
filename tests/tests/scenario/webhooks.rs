//! Webhooks over days, by a clock that is set by hand: what becomes of a delivery whose receiver is in trouble.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, Ordering},
};

use async_trait::async_trait;
use bedrock_diy::machine::Machine;
use bedrock_diy_core::{
    JobId, ProjectId, WebhookId,
    catalogue::Catalogue,
    event::{Event, Fact},
    hook::{Scheme, Secret},
    page::PageRequest,
    ports::{Clock, Deliveries, Saved, SecretName, Secrets, Sender, Sent, Webhooks},
    time::Timestamp,
    webhook::{ALL_EVENTS, Delivery, DeliveryFailure, DeliveryStatus, Signed, Told, Webhook},
};
use bedrock_diy_deliver::{Deliver, Verdict};
use bedrock_diy_embedded::{DELIVERY_QUEUE, SqliteQueue};
use bedrock_diy_notify::{Notify, ToWebhooks};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// A clock that is set by hand.
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// What a receiver answers, by when it is asked.
type Answers = Box<dyn Fn(Timestamp) -> Sent + Send + Sync>;

/// A receiver without a network.
struct Far {
    clock: Arc<Hands>,
    answers: Answers,
    got: Mutex<Vec<Signed>>,
}

#[async_trait]
impl Sender for Far {
    fn accepts(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    async fn send(&self, signed: &Signed) -> Sent {
        self.got.lock().unwrap().push(signed.clone());
        (self.answers)(self.clock.now())
    }
}

/// A machine with one webhook, and nothing that works by itself.
struct Bench {
    _folder: tempfile::TempDir,
    machine: Machine,
    clock: Arc<Hands>,
    far: Arc<Far>,
    queue: SqliteQueue,
    notify: Notify,
    deliver: Deliver,
    webhook: Webhook,
}

fn answered(status: u16) -> Sent {
    Sent::Answered {
        status,
        body: "so be it".into(),
    }
}

impl Bench {
    async fn open(answers: impl Fn(Timestamp) -> Sent + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::open(folder.path(), Arc::new(Catalogue::own().unwrap())).unwrap();
        let clock = Arc::new(Hands(AtomicI64::new(BEGIN)));
        let far = Arc::new(Far {
            clock: clock.clone(),
            answers: Box::new(answers),
            got: Mutex::default(),
        });
        let queue = SqliteQueue::new(machine.database.clone(), clock.clone());
        let notify = Notify {
            webhooks: ToWebhooks {
                webhooks: Arc::new(machine.webhooks.clone()),
                deliveries: Arc::new(machine.deliveries.clone()),
                queue: Arc::new(queue.clone()),
            },
            connections: None,
        };
        let deliver = Deliver {
            webhooks: Arc::new(machine.webhooks.clone()),
            deliveries: Arc::new(machine.deliveries.clone()),
            secrets: Arc::new(machine.secrets.clone()),
            sender: far.clone(),
            bus: Arc::new(machine.bus.clone()),
            clock: clock.clone(),
        };
        let webhook = Webhook {
            project_id: ProjectId::new("news").unwrap(),
            webhook_id: WebhookId::fresh(clock.now(), 7),
            name: "The desk".into(),
            url: "https://desk.example.org/".into(),
            events: vec![ALL_EVENTS.into()],
            is_active: true,
            failures_in_a_row: 0,
            disabled: None,
            created_by: "ada".into(),
            created_at: clock.now(),
            updated_at: clock.now(),
            version: 1,
            deleted_at: None,
        };
        let secret = Secret::generate(&Scheme::StandardWebhooks {}, [7; 32]);
        let name = SecretName::of_webhook(&webhook.webhook_id);
        machine.secrets.put(&name, &[secret]).await.unwrap();
        let saved = machine.webhooks.put_webhook(&webhook, None).await.unwrap();
        assert_eq!(saved, Saved::Done);
        Self {
            _folder: folder,
            machine,
            clock,
            far,
            queue,
            notify,
            deliver,
            webhook,
        }
    }

    async fn tell(&self, number: u64) {
        let project_id = self.webhook.project_id.clone();
        let told = Told::Job(Event {
            job_id: JobId::of_submission("test", &project_id, "one"),
            project_id,
            number,
            at: self.clock.now(),
            fact: Fact::JobCancelled { by: "ada".into() },
        });
        self.notify.handle(&told).await.unwrap();
    }

    /// Handles everything that is due now, as `serve` does. Returns what was said of the messages.
    async fn round(&self) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        loop {
            let messages = self.queue.receive(DELIVERY_QUEUE, 10, MINUTE).await.unwrap();
            if messages.is_empty() {
                return verdicts;
            }
            for message in messages {
                let claim = Deliver::read(&message.body).unwrap();
                let verdict = self.deliver.handle(&claim).await.unwrap();
                match &verdict {
                    Verdict::Done => self.queue.delete(vec![message]).await.unwrap(),
                    Verdict::Again(seconds) => {
                        let millis = i64::from(*seconds) * 1_000;
                        self.queue.give_back(&message, millis, false).await.unwrap();
                    }
                    Verdict::Dead(why) => self.queue.bury(&message, why).await.unwrap(),
                }
                verdicts.push(verdict);
            }
        }
    }

    /// Lets time pass, a quarter of a minute a step.
    async fn pass(&self, millis: i64) {
        let until = self.clock.now().plus_millis(millis);
        while self.clock.now() < until {
            self.clock.0.fetch_add(MINUTE / 4, Ordering::SeqCst);
            self.round().await;
        }
    }

    async fn log(&self) -> Vec<Delivery> {
        let all = PageRequest {
            limit: 100,
            cursor: None,
        };
        let page = self
            .machine
            .deliveries
            .deliveries(&self.webhook.webhook_id, &all)
            .await;
        page.unwrap().items
    }

    async fn stands(&self) -> Webhook {
        let id = &self.webhook.webhook_id;
        let found = self.machine.webhooks.webhook(&self.webhook.project_id, id).await;
        found.unwrap().unwrap()
    }

    fn got(&self) -> Vec<Signed> {
        self.far.got.lock().unwrap().clone()
    }
}

const BEGIN: i64 = 1_795_395_600_000;

#[tokio::test]
async fn an_hour_of_trouble_makes_events_late_and_nothing_else() {
    let bench = Bench::open(|now| answered(if now.millis() < BEGIN + HOUR { 500 } else { 200 })).await;
    for number in 1..=3 {
        bench.tell(number).await;
    }
    bench.round().await;
    bench.pass(HOUR - MINUTE).await;
    let log = bench.log().await;
    assert_eq!(log.len(), 3);
    let tried = log[0].attempts.len();
    assert!((4..=6).contains(&tried), "{tried} attempts within an hour");
    assert!(
        log.iter()
            .all(|delivery| delivery.status == DeliveryStatus::Pending)
    );
    bench.pass(2 * HOUR).await;
    for delivery in bench.log().await {
        assert_eq!(delivery.status, DeliveryStatus::Delivered);
        let statuses: Vec<_> = delivery.attempts.iter().map(|attempt| attempt.status).collect();
        let (last, before) = statuses.split_last().unwrap();
        assert_eq!(*last, Some(200));
        assert!(before.iter().all(|status| *status == Some(500)));
        let of_this = bench.got();
        let of_this = of_this
            .iter()
            .filter(|signed| signed.headers[0].1 == delivery.delivery_id.as_str());
        assert_eq!(of_this.count(), delivery.attempts.len(), "each is in the log");
    }
    assert_eq!(bench.stands().await.failures_in_a_row, 0);
    assert_eq!(bench.queue.depth(DELIVERY_QUEUE).unwrap(), 0);
    assert!(bench.queue.dead_letters(1).unwrap().is_empty());
}

#[tokio::test]
async fn after_a_day_a_delivery_is_given_up_and_its_message_is_among_the_dead_letters() {
    let bench = Bench::open(|_| Sent::Unanswered("nobody is there".into())).await;
    bench.tell(1).await;
    bench.round().await;
    bench.pass(23 * HOUR).await;
    // It depends on the jitter, whether it is over by then.
    bench.pass(2 * HOUR).await;
    let log = bench.log().await;
    assert_eq!(log[0].failure, Some(DeliveryFailure::GaveUp));
    assert_eq!(log[0].attempts.len(), bench.got().len());
    assert!(log[0].attempts.len() >= 11);
    let dead = bench.queue.dead_letters(2).unwrap();
    assert_eq!(dead.len(), 1);
    assert!(
        dead[0].reason.contains(log[0].delivery_id.as_str()),
        "{}",
        dead[0].reason
    );
    assert_eq!(bench.queue.depth(DELIVERY_QUEUE).unwrap(), 0);

    // Whoever buried it may have died before the queue forgot it: it is buried once more, and nothing is sent.
    let sent = bench.got().len();
    bench
        .queue
        .send_to(DELIVERY_QUEUE, vec![dead[0].body.clone()])
        .await
        .unwrap();
    assert!(matches!(bench.round().await[..], [Verdict::Dead(_)]));
    assert_eq!(bench.got().len(), sent);
}

#[tokio::test]
async fn a_message_that_comes_twice_or_early_or_late_sends_nothing_more() {
    let bench = Bench::open(|now| answered(if now.millis() < BEGIN + MINUTE { 500 } else { 200 })).await;
    bench.tell(1).await;
    // The bus may tell it again, before and after it was tried.
    bench.tell(1).await;
    let first = bench.round().await;
    assert_eq!(first.len(), 2);
    assert!(first.iter().all(|verdict| matches!(verdict, Verdict::Again(_))));
    bench.tell(1).await;
    assert_eq!(bench.got().len(), 1);
    // A restart makes every message visible.
    bench.queue.recover().await.unwrap();
    let early = bench.round().await;
    assert!(
        early
            .iter()
            .all(|verdict| matches!(verdict, Verdict::Again(1..=5))),
        "{early:?}"
    );
    assert_eq!(bench.got().len(), 1);
    bench.pass(10 * MINUTE).await;
    let log = bench.log().await;
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].status, DeliveryStatus::Delivered);
    assert_eq!(log[0].attempts.len(), bench.got().len());
    let sent = bench.got().len();
    let claim = serde_json::to_string(&log[0].claim()).unwrap();
    bench.queue.send_to(DELIVERY_QUEUE, vec![claim]).await.unwrap();
    assert_eq!(bench.round().await, [Verdict::Done]);
    assert_eq!(bench.got().len(), sent);
}

#[tokio::test]
async fn what_waits_for_a_webhook_that_is_switched_off_or_deleted_is_not_sent() {
    let bench = Bench::open(|_| answered(500)).await;
    bench.tell(1).await;
    bench.round().await;
    let stands = bench.stands().await;
    let off = Webhook {
        is_active: false,
        version: stands.version + 1,
        ..stands.clone()
    };
    let saved = bench.machine.webhooks.put_webhook(&off, Some(&stands)).await;
    assert_eq!(saved.unwrap(), Saved::Done);
    bench.pass(MINUTE).await;
    let log = bench.log().await;
    assert_eq!(log[0].failure, Some(DeliveryFailure::Disabled));

    let again = log[0].again().unwrap();
    let put = bench.machine.deliveries.put_delivery(&again, Some(&log[0]), None);
    assert_eq!(put.await.unwrap(), Saved::Done);
    let claim = serde_json::to_string(&again.claim()).unwrap();
    bench.queue.send_to(DELIVERY_QUEUE, vec![claim]).await.unwrap();
    let deleted = Webhook {
        deleted_at: Some(bench.clock.now()),
        version: off.version + 1,
        ..off.clone()
    };
    let saved = bench.machine.webhooks.put_webhook(&deleted, Some(&off)).await;
    assert_eq!(saved.unwrap(), Saved::Done);
    assert_eq!(bench.round().await, [Verdict::Done]);
    assert_eq!(bench.log().await[0].failure, Some(DeliveryFailure::Deleted));
    assert_eq!(bench.got().len(), 1);
    // Nor is anything noted for it any more.
    bench.tell(2).await;
    assert_eq!(bench.log().await.len(), 1);
}

#[tokio::test]
async fn whoever_comes_upon_a_disabled_webhook_tells_what_nobody_has_told() {
    let bench = Bench::open(|_| answered(410)).await;
    bench.machine.bus.subscribe("told").await.unwrap();
    bench.tell(1).await;
    bench.tell(2).await;
    bench.round().await;
    let told = async || {
        let messages = bench.queue.receive("told", 10, MINUTE).await.unwrap();
        let bodies: Vec<_> = messages.iter().map(|message| message.body.clone()).collect();
        bench.queue.delete(messages).await.unwrap();
        bodies
    };
    let first = told().await;
    assert_eq!(first.len(), 1, "once: {first:?}");
    // As if whoever disabled it had died before it was told.
    let stands = bench.stands().await;
    let mut untold = stands.clone();
    untold.version += 1;
    untold.disabled.as_mut().unwrap().is_told = false;
    let saved = bench.machine.webhooks.put_webhook(&untold, Some(&stands)).await;
    assert_eq!(saved.unwrap(), Saved::Done);
    let claim = serde_json::to_string(&bench.log().await[0].claim()).unwrap();
    bench.queue.send_to(DELIVERY_QUEUE, vec![claim]).await.unwrap();
    bench.round().await;
    assert_eq!(told().await, first, "the same event, with the same id");
    assert_eq!(bench.stands().await.untold(), None);
}

#[tokio::test]
async fn failures_at_the_same_time_are_all_counted() {
    let bench = Bench::open(|_| answered(500)).await;
    for number in 1..=12 {
        bench.tell(number).await;
    }
    let messages = bench.queue.receive(DELIVERY_QUEUE, 12, MINUTE).await.unwrap();
    let handled = messages.iter().map(|message| async {
        let claim = Deliver::read(&message.body).unwrap();
        bench.deliver.handle(&claim).await.unwrap()
    });
    futures_util::future::join_all(handled).await;
    assert_eq!(bench.stands().await.failures_in_a_row, 12);
    assert_eq!(
        bench.got().len(),
        12,
        "none is sent again because others were counted"
    );
}

#[tokio::test]
async fn what_happens_while_a_receiver_is_in_trouble_is_in_the_log_and_can_be_delivered_afterwards() {
    let bench = Bench::open(|now| answered(if now.millis() < BEGIN + HOUR { 500 } else { 200 })).await;
    for number in 1..=20 {
        bench.tell(number).await;
    }
    bench.round().await;
    let disabled = bench.stands().await;
    assert!(!disabled.is_active);
    bench.pass(2 * HOUR).await;
    bench.tell(21).await;
    bench.round().await;
    let sent = bench.got().len();
    let log = bench.log().await;
    assert_eq!(log.len(), 21, "each event is accounted for");
    for delivery in &log {
        assert_eq!(delivery.failure, Some(DeliveryFailure::Disabled), "{delivery:?}");
    }
    let stands = bench.stands().await;
    let on = Webhook {
        version: stands.version + 1,
        ..stands.enabled()
    };
    let saved = bench.machine.webhooks.put_webhook(&on, Some(&stands)).await;
    assert_eq!(saved.unwrap(), Saved::Done);
    for delivery in log.iter().rev() {
        let again = delivery.again().unwrap();
        let put = bench
            .machine
            .deliveries
            .put_delivery(&again, Some(delivery), None);
        assert_eq!(put.await.unwrap(), Saved::Done);
        let claim = serde_json::to_string(&again.claim()).unwrap();
        bench.queue.send_to(DELIVERY_QUEUE, vec![claim]).await.unwrap();
    }
    bench.round().await;
    for delivery in bench.log().await {
        assert_eq!(delivery.status, DeliveryStatus::Delivered);
    }
    assert_eq!(bench.got().len(), sent + 21);
}
