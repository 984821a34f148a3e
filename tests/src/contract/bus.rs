use std::future::Future;

use bedrock_diy_core::{
    event::Event,
    ports::{Bus, Jobs},
};

use super::acceptance;

/// Every subscriber gets every event, whole, however often it is published.
pub async fn every_stored_event_reaches_its_subscribers<F: Future<Output = Vec<String>>>(
    bus: &dyn Bus,
    jobs: &dyn Jobs,
    receive_all: impl Fn() -> F,
) {
    let mut stored = Vec::new();
    for number in 0..3 {
        let change = acceptance(&format!("told {number}"));
        stored.extend(change.events.clone());
        jobs.accept(change.clone()).await.unwrap();
        bus.publish(&change.events).await.unwrap();
        let cancelled = change.job.cancel("contract", super::now());
        stored.extend(cancelled.events.clone());
        jobs.apply(cancelled.clone()).await.unwrap();
        bus.publish(&cancelled.events).await.unwrap();
    }
    let mut received: Vec<Event> = receive_all()
        .await
        .iter()
        .map(|body| serde_json::from_str(body).unwrap())
        .collect();
    for events in [&mut received, &mut stored] {
        events.sort_by_key(|event| (event.job_id.clone(), event.number));
    }
    received.dedup();
    assert_eq!(received, stored);
}
