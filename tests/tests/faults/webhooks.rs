//! Webhooks while services fail, and while notify and deliver die.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use aws_sdk_sqs::types::QueueAttributeName;
use bedrock_diy_aws::{DynamoDeliveries, DynamoWebhooks, ParameterStore, SystemClock};
use bedrock_diy_core::{
    DeliveryId, WebhookId,
    event::Event,
    hook::{Scheme, Secret},
    page::PageRequest,
    ports::{Clock, Deliveries, Saved, SecretName, Secrets, Webhooks},
    webhook::{ALL_EVENTS, Delivery, DeliveryStatus, Webhook},
};
use bedrock_diy_tests::{Receiver, Site, wait::PATIENCE};
use serde_json::json;

use crate::{Flight, stack};

/// How often notify and deliver die.
const DEATHS: usize = 4;

/// Makes a webhook of a project, and has the queues behind it hand messages out again after some seconds: the template's
/// three minutes are long for a test.
async fn webhook_of(site: &Site, url: String) -> Webhook {
    let config = site.stack.config().unwrap();
    let now = SystemClock.now();
    let webhook = Webhook {
        project_id: site.id.clone(),
        webhook_id: WebhookId::fresh(now, 7),
        name: "All of it".into(),
        url,
        events: vec![ALL_EVENTS.into()],
        is_active: true,
        failures_in_a_row: 0,
        disabled: None,
        created_by: "a test".into(),
        created_at: now,
        updated_at: now,
        version: 1,
        deleted_at: None,
    };
    let secrets = ParameterStore::new(site.services.ssm.clone(), &config);
    let secret = Secret::generate(&Scheme::StandardWebhooks {}, [7; 32]);
    let name = SecretName::of_webhook(&webhook.webhook_id);
    secrets.put(&name, &[secret]).await.unwrap();
    let webhooks = DynamoWebhooks::new(site.services.dynamodb.clone(), &config);
    assert_eq!(webhooks.put_webhook(&webhook, None).await.unwrap(), Saved::Done);
    for queue in ["NotifyQueueUrl", "DeliveriesQueueUrl"] {
        let set = site.services.sqs.set_queue_attributes();
        let set = set.queue_url(site.stack.output(queue).unwrap());
        let set = set.attributes(QueueAttributeName::VisibilityTimeout, "10");
        set.send().await.unwrap();
    }
    webhook
}

/// Everything that happened to the flight's jobs, but for what is not for the bus.
async fn events(flight: &Flight<'_>) -> Vec<Event> {
    let mut events = Vec::new();
    for job in &flight.jobs {
        events.extend(flight.site.events(job).await);
    }
    events.retain(|event| event.fact.is_for_the_bus());
    events
}

/// The whole log, once it has so many deliveries and none of them is under way.
async fn log(site: &Site, webhook: &WebhookId, events: usize) -> Vec<Delivery> {
    let deliveries = DynamoDeliveries::new(site.services.dynamodb.clone(), &site.stack.config().unwrap());
    let began = Instant::now();
    loop {
        let (mut log, mut cursor) = (Vec::new(), None);
        loop {
            let page = PageRequest { limit: 200, cursor };
            let found = deliveries.deliveries(webhook, &page).await.unwrap();
            log.extend(found.items);
            cursor = found.next;
            if cursor.is_none() {
                break;
            }
        }
        let pending = log
            .iter()
            .filter(|delivery| delivery.status == DeliveryStatus::Pending)
            .count();
        if log.len() == events && pending == 0 {
            return log;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{} of {events} events are in the log, and {pending} of them are under way",
            log.len()
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Every event arrived, under its one id, and the log says so of each.
async fn all_arrived(flight: &Flight<'_>, webhook: &Webhook, receiver: &Receiver) {
    let events = events(flight).await;
    let log = log(&flight.site, &webhook.webhook_id, events.len()).await;
    for delivery in &log {
        assert_eq!(delivery.status, DeliveryStatus::Delivered, "{delivery:?}");
    }
    let posted = receiver.posted();
    let mut bodies: BTreeMap<&str, BTreeSet<&[u8]>> = BTreeMap::new();
    for one in &posted {
        bodies
            .entry(one.header("webhook-id"))
            .or_default()
            .insert(&one.body);
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
    for queue in [
        "NotifyQueueUrl",
        "DeliveriesQueueUrl",
        "NotifyDeadLetterQueueUrl",
        "DeliveriesDeadLetterQueueUrl",
    ] {
        flight.runs_empty(queue).await;
    }
    println!("{} events, {} deliveries", events.len(), posted.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_reaches_a_webhook_whatever_fails_and_dies() {
    let stack = stack().await;
    let receiver = Receiver::willing();
    let mut flight = Flight::ready(&stack, "webhooks-fail", 1).await;
    let webhook = webhook_of(&flight.site, receiver.url("/")).await;
    stack
        .fail(&json!([
            {"service": "dynamodb", "probability": 0.05, "error": {"code": "ProvisionedThroughputExceededException"}},
            {"service": "dynamodb", "operation": "TransactWriteItems", "probability": 0.1, "response": {"abort_bytes": 0}},
            {"service": "sqs", "probability": 0.1, "error": {"code": "ServiceUnavailable"}},
            {"service": "sqs", "operation": "SendMessageBatch", "probability": 0.1, "response": {"abort_bytes": 0}},
            {"service": "ssm", "probability": 0.2, "error": {"code": "ThrottlingException"}},
        ]))
        .await;
    for number in 0..30 {
        flight
            .drop(&format!("Article {number} tells of the bridge."))
            .await;
    }
    let mut killed = 0;
    for death in 1..=DEATHS {
        tokio::task::block_in_place(|| receiver.wait(|posted| posted.len() >= 20 * death));
        killed += stack.kill("deliver") + stack.kill("notify");
    }
    assert!(killed >= DEATHS, "{killed} functions died");
    for job in &flight.jobs {
        flight.site.ended(job).await;
    }
    // What has failed so far has shown what it should; what is under way comes to its end.
    assert!(stack.failed("GetParameter").await > 0);
    stack.fail(&json!([])).await;
    all_arrived(&flight, &webhook, &receiver).await;
}
