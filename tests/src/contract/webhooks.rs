use bedrock_diy_core::{
    JobId, ProjectId, WebhookId,
    event::{Event, Fact},
    page::PageRequest,
    ports::{Deliveries, DeliveryQueue, Saved, Webhooks},
    webhook::{Attempt, Claim, Delivery, DeliveryFailure, Disabled, DisabledReason, Told, Webhook, after},
};

use super::{all_pages, now};

fn webhook(project: &str, number: u128) -> Webhook {
    // Webhooks of other projects have other ids, as those that are drawn have.
    let place = project.bytes().fold(0, |sum, byte| sum * 256 + u128::from(byte));
    Webhook {
        project_id: ProjectId::new(project).unwrap(),
        webhook_id: WebhookId::fresh(now(), place << 16 | number),
        name: "편집국".into(),
        url: "https://example.org/hook?key=a".into(),
        events: vec!["job.failed".into(), "job.succeeded".into()],
        is_active: true,
        failures_in_a_row: 0,
        disabled: None,
        created_by: "somebody".into(),
        created_at: now(),
        updated_at: now(),
        version: 1,
        deleted_at: None,
    }
}

fn delivery(webhook: &Webhook, number: u64) -> Delivery {
    let told = Told::Job(Event {
        job_id: JobId::of_submission("contract", &webhook.project_id, "told"),
        project_id: webhook.project_id.clone(),
        number,
        at: now().plus_millis(i64::try_from(number).unwrap()),
        fact: Fact::JobCancelled { by: "ada".into() },
    });
    Delivery::of(webhook, &told).unwrap()
}

fn failed() -> Attempt {
    Attempt {
        at: now(),
        millis: 12,
        url: "https://example.org/hook?key=a".into(),
        status: Some(500),
        answer: Some("잠시 후에 \"다시\"".into()),
        error: None,
    }
}

/// A webhook is what was stored last, in its own project and in no other; one that was deleted is found no more.
pub async fn a_webhook_is_what_was_stored_last(webhooks: &dyn Webhooks) {
    let first = webhook("w-last", 1);
    let find = || webhooks.webhook(&first.project_id, &first.webhook_id);
    assert_eq!(find().await.unwrap(), None);
    assert_eq!(webhooks.put_webhook(&first, None).await.unwrap(), Saved::Done);
    assert_eq!(find().await.unwrap().as_ref(), Some(&first));
    let other = ProjectId::new("w-other").unwrap();
    assert_eq!(webhooks.webhook(&other, &first.webhook_id).await.unwrap(), None);
    let second = Webhook {
        is_active: false,
        disabled: Some(Disabled {
            at: now(),
            reason: DisabledReason::Failures,
            is_told: false,
        }),
        failures_in_a_row: 20,
        version: 2,
        ..first.clone()
    };
    let saved = webhooks.put_webhook(&second, Some(&first)).await.unwrap();
    assert_eq!(saved, Saved::Done);
    assert_eq!(find().await.unwrap().as_ref(), Some(&second));
    let deleted = Webhook {
        deleted_at: Some(now()),
        version: 3,
        ..second.clone()
    };
    let saved = webhooks.put_webhook(&deleted, Some(&second)).await.unwrap();
    assert_eq!(saved, Saved::Done);
    assert_eq!(find().await.unwrap(), None);
    assert_eq!(webhooks.webhooks(&first.project_id).await.unwrap(), []);
    assert_eq!(webhooks.put_webhook(&first, None).await.unwrap(), Saved::Stale);
}

/// A list has the project's webhooks in the order in which they were made.
pub async fn webhooks_are_listed_in_their_order(webhooks: &dyn Webhooks) {
    let mut made: Vec<_> = (1..=5).map(|number| webhook("w-list", number)).collect();
    for webhook in made.iter().rev() {
        assert_eq!(webhooks.put_webhook(webhook, None).await.unwrap(), Saved::Done);
    }
    made.sort_by(|a, b| a.webhook_id.cmp(&b.webhook_id));
    let project = made[0].project_id.clone();
    assert_eq!(webhooks.webhooks(&project).await.unwrap(), made);
    let nobody = ProjectId::new("w-none").unwrap();
    assert_eq!(webhooks.webhooks(&nobody).await.unwrap(), []);
}

/// Who has read neither the newest version nor the newest failures changes nothing; a first try whose answer was lost
/// counts.
pub async fn a_stale_webhook_is_not_stored(webhooks: &dyn Webhooks) {
    let first = webhook("w-stale", 1);
    let counted = Webhook {
        failures_in_a_row: 1,
        ..first.clone()
    };
    let never_stored = webhooks.put_webhook(&counted, Some(&first)).await.unwrap();
    assert_eq!(never_stored, Saved::Stale);
    for _ in 0..2 {
        assert_eq!(webhooks.put_webhook(&first, None).await.unwrap(), Saved::Done);
    }
    let edited = Webhook {
        name: "Edited".into(),
        version: 2,
        ..first.clone()
    };
    let saved = tokio::join!(
        webhooks.put_webhook(&counted, Some(&first)),
        webhooks.put_webhook(&edited, Some(&first))
    );
    let kept = match (saved.0.unwrap(), saved.1.unwrap()) {
        (Saved::Done, Saved::Stale) => counted,
        (Saved::Stale, Saved::Done) => edited,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        webhooks.put_webhook(&kept, Some(&first)).await.unwrap(),
        Saved::Done
    );
    let stands = webhooks
        .webhook(&first.project_id, &first.webhook_id)
        .await
        .unwrap();
    assert_eq!(stands, Some(kept));
}

/// A delivery is noted once, and is what was stored last.
pub async fn a_delivery_is_noted_once(deliveries: &dyn Deliveries) {
    let to = webhook("d-once", 1);
    let new = delivery(&to, 1);
    let find = || deliveries.delivery(&new.webhook_id, &new.delivery_id);
    assert_eq!(find().await.unwrap(), None);
    for _ in 0..2 {
        let noted = deliveries.put_delivery(&new, None, None).await.unwrap();
        assert_eq!(noted, Saved::Done, "an event may be told again");
    }
    assert_eq!(find().await.unwrap().as_ref(), Some(&new));
    let tried = after(&new, &to, &failed(), 0.5).delivery;
    for _ in 0..2 {
        let noted = deliveries.put_delivery(&tried, Some(&new), None).await.unwrap();
        assert_eq!(noted, Saved::Done);
    }
    assert_eq!(find().await.unwrap().as_ref(), Some(&tried));
    let told_late = deliveries.put_delivery(&new, None, None).await.unwrap();
    assert_eq!(told_late, Saved::Stale);
    let ended = new.ended(DeliveryFailure::Disabled);
    let stale = deliveries.put_delivery(&ended, Some(&new), None).await.unwrap();
    assert_eq!(stale, Saved::Stale);
    assert_eq!(find().await.unwrap(), Some(tried));
}

/// What an attempt changes is stored whole or not at all.
pub async fn an_attempt_and_what_it_changes_are_stored_together(
    webhooks: &dyn Webhooks,
    deliveries: &dyn Deliveries,
) {
    let to = webhook("d-both", 1);
    assert_eq!(webhooks.put_webhook(&to, None).await.unwrap(), Saved::Done);
    let (one, other) = (delivery(&to, 1), delivery(&to, 2));
    for new in [&one, &other] {
        let noted = deliveries.put_delivery(new, None, None).await.unwrap();
        assert_eq!(noted, Saved::Done);
    }
    let recorded = after(&one, &to, &failed(), 0.5);
    let counted = recorded.webhook.unwrap();
    let both = (&counted, &to);
    for _ in 0..2 {
        let stored = deliveries
            .put_delivery(&recorded.delivery, Some(&one), Some(both))
            .await;
        assert_eq!(stored.unwrap(), Saved::Done);
    }
    let webhook = async || webhooks.webhook(&to.project_id, &to.webhook_id).await.unwrap();
    assert_eq!(webhook().await.as_ref(), Some(&counted));

    // The webhook is not what was read: the attempt is not stored either.
    let recorded = after(&other, &to, &failed(), 0.5);
    let both = (recorded.webhook.as_ref().unwrap(), &to);
    let stored = deliveries
        .put_delivery(&recorded.delivery, Some(&other), Some(both))
        .await;
    assert_eq!(stored.unwrap(), Saved::Stale);
    let stands = deliveries.delivery(&to.webhook_id, &other.delivery_id).await;
    assert_eq!(stands.unwrap().as_ref(), Some(&other));
    // Nor the other way round.
    let twice = Webhook {
        failures_in_a_row: 2,
        ..counted.clone()
    };
    let stored = deliveries
        .put_delivery(
            &recorded.delivery,
            Some(&recorded.delivery),
            Some((&twice, &counted)),
        )
        .await;
    assert_eq!(stored.unwrap(), Saved::Stale);
    assert_eq!(webhook().await, Some(counted));
}

/// The log is read in pages, the newest first, each webhook's for itself.
pub async fn the_log_is_read_in_pages(deliveries: &dyn Deliveries) {
    let (mine, yours) = (webhook("d-page", 1), webhook("d-page", 2));
    let mut noted: Vec<_> = (1..=7).map(|number| delivery(&mine, number)).collect();
    let another = delivery(&yours, 1);
    for new in noted.iter().chain([&another]) {
        let put = deliveries.put_delivery(new, None, None).await.unwrap();
        assert_eq!(put, Saved::Done);
    }
    noted.reverse();
    for limit in [3, 7, 100] {
        let read = all_pages(limit, async |page| {
            deliveries.deliveries(&mine.webhook_id, &page).await
        });
        assert_eq!(read.await, noted, "in pages of {limit}");
    }
    let unknown = PageRequest {
        limit: 3,
        cursor: Some("no delivery".into()),
    };
    let refused = deliveries
        .deliveries(&mine.webhook_id, &unknown)
        .await
        .unwrap_err();
    assert_eq!(refused.code, bedrock_diy_core::Code::InvalidRequest);
}

/// Every claim that is sent is received.
pub async fn claims_that_are_sent_are_received<F: Future<Output = Vec<String>>>(
    queue: &dyn DeliveryQueue,
    receive_all: impl Fn() -> F,
) {
    let to = webhook("d-queue", 1);
    let mut sent: Vec<Claim> = (1..=23).map(|number| delivery(&to, number).claim()).collect();
    queue.send(sent.clone()).await.unwrap();
    let mut received: Vec<Claim> = receive_all()
        .await
        .iter()
        .map(|body| serde_json::from_str(body).unwrap())
        .collect();
    received.sort_by(|a, b| a.delivery_id.cmp(&b.delivery_id));
    received.dedup();
    sent.sort_by(|a, b| a.delivery_id.cmp(&b.delivery_id));
    assert_eq!(received, sent);
}

/// The project of a webhook that is announced as switched off: no other contract's.
pub const ANNOUNCED_IN: &str = "w-announced";

/// That a webhook was switched off reaches the subscribers.
pub async fn a_disabled_webhook_is_announced<F: Future<Output = Vec<String>>>(
    bus: &dyn bedrock_diy_core::ports::Bus,
    receive_all: impl Fn() -> F,
) {
    let disabled = webhook(ANNOUNCED_IN, 1)
        .after(&Attempt {
            status: Some(410),
            ..failed()
        })
        .unwrap()
        .untold()
        .unwrap();
    bus.announce(&disabled).await.unwrap();
    let mut received: Vec<Told> = receive_all()
        .await
        .iter()
        .map(|body| serde_json::from_str(body).unwrap())
        .collect();
    received.dedup();
    assert_eq!(received, [Told::Webhook(disabled)]);
}
