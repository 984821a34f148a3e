//! The process is killed at random moments while events go to a webhook: each arrives at least once, always under the
//! same id.

use std::collections::{BTreeMap, BTreeSet};

use bedrock_diy_core::{
    DeliveryId, ProjectId, WebhookId,
    job::JobStatus,
    page::PageRequest,
    ports::{Deliveries, Webhooks},
    webhook::{Delivery, DeliveryStatus},
};
use bedrock_diy_model_server::scripted::{Reply as ModelReply, Rule, Script};
use bedrock_diy_tests::{Left, Program, Project, Receiver, Reply, ScriptedServer, Served, wait};
use rand::RngExt as _;
use serde_json::json;

const ARTICLES: usize = 150;
const KILLS: usize = 10;
/// Up to so many deliveries come between two kills.
const BETWEEN_KILLS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn killed_ten_times_every_event_arrives_under_one_id() {
    let slow = ModelReply::template("${hash} done").latency(60, 2.0);
    let model = ScriptedServer::start(Script::default().rule(Rule::reply(slow))).await;
    let project = Project::with_cards(2);
    let program = Program::new(&project.data(), &model.url());
    // Some answers are lost with the process, and some are that it is to come again.
    let mut seen = BTreeSet::new();
    let receiver = Receiver::start(move |posted| {
        let is_first = seen.insert(posted.header("webhook-id").to_owned());
        if is_first && rand::rng().random_range(0..12) == 0 {
            Reply::Status(500, String::new())
        } else {
            Reply::Status(200, String::new())
        }
    });
    let start = || Served::start_with(&project, &program, &["--webhooks-to-this-machine"]);
    tokio::task::block_in_place(|| {
        let served = start();
        let new = json!({"name": "All of it", "url": receiver.url("/"), "events": ["*"]});
        let _ = served
            .owner()
            .post("/api/projects/news/webhooks", &new)
            .expect(201);
        for number in 0..ARTICLES {
            let article = json!({"text": format!("Article {number} tells of the bridge."), "lane": "bulk"});
            let _ = served
                .owner()
                .post("/api/projects/news/articles", &article)
                .expect(202);
        }
        drop(served);
        for _ in 0..KILLS {
            let served = start();
            let until = receiver.posted().len() + rand::rng().random_range(1..BETWEEN_KILLS);
            let _ = receiver.wait(|posted| posted.len() >= until);
            // That kills it, as a power cut would.
            drop(served);
        }
    });
    let _served = start();
    let left = Left::open(&project.data());
    let ended = || left.statuses().into_iter().collect::<Vec<_>>() == [(JobStatus::Succeeded, ARTICLES)];
    wait::asked(async || ended().then_some(())).await;
    let news = ProjectId::new("news").unwrap();
    let webhook = left.machine.webhooks.webhooks(&news).await.unwrap().remove(0);
    let mut events = Vec::new();
    for job in left.jobs() {
        events.extend(left.events(&job).await);
    }
    events.retain(|event| event.fact.is_for_the_bus());
    // What failed comes again after some seconds.
    let log = wait::asked(async || {
        let log = log(&left, &webhook.webhook_id).await;
        let is_over = log
            .iter()
            .all(|delivery| delivery.status != DeliveryStatus::Pending);
        (is_over && log.len() == events.len()).then_some(log)
    });
    let log = log.await;
    let mut bodies: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
    let posted = receiver.posted();
    for one in &posted {
        let id = one.header("webhook-id").to_owned();
        bodies.entry(id).or_default().insert(one.body.clone());
    }
    assert!(
        bodies.values().all(|bodies| bodies.len() == 1),
        "one id, one body"
    );
    for event in &events {
        let id = DeliveryId::of(&webhook.webhook_id, &event.id(), event.at);
        assert!(bodies.contains_key(id.as_str()), "{event:?} is lost");
    }
    assert_eq!(bodies.len(), events.len(), "and nothing else is sent");
    for delivery in &log {
        assert_eq!(delivery.status, DeliveryStatus::Delivered, "{delivery:?}");
    }
    println!("{} events, {} deliveries", events.len(), posted.len());
}

/// The whole log.
async fn log(left: &Left, webhook: &WebhookId) -> Vec<Delivery> {
    let (mut log, mut cursor) = (Vec::new(), None);
    loop {
        let page = PageRequest { limit: 200, cursor };
        let found = left.machine.deliveries.deliveries(webhook, &page).await.unwrap();
        log.extend(found.items);
        cursor = found.next;
        if cursor.is_none() {
            return log;
        }
    }
}
