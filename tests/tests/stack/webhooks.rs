//! Webhooks as they are deployed: bus, queue, notify, queue, deliver.

use bedrock_diy_tests::{Receiver, Reply, stack, users::Users};
use serde_json::{Value, json};

#[test]
fn a_job_that_succeeds_is_told_and_a_receiver_that_was_away_gets_it_later() {
    let users = Users::of(&stack());
    let ada = users.somebody("ada-webhooks", "editor");
    let project =
        json!({"projectId": "webhooks-news", "name": "News", "settings": {"model": "test.model-v1:0"}});
    let _ = ada.post("/api/projects", &project).expect(201);
    let at = "/api/projects/webhooks-news";
    let card = json!({"title": "Headline", "content": "Write a headline."});
    let _ = ada.post(&format!("{at}/prompts"), &card).expect(201);
    let (desk, away) = (Receiver::willing(), Receiver::hesitant());
    let create = |receiver: &Receiver| {
        let new = json!({"name": "A desk", "url": receiver.url("/"), "events": ["job.succeeded"]});
        let made = ada.post(&format!("{at}/webhooks"), &new).expect(201);
        made.header("location").unwrap()
    };
    let (desk_at, away_at) = (create(&desk), create(&away));
    for inward in ["https://169.254.169.254/", "http://example.org/"] {
        let new = json!({"name": "In", "url": inward, "events": ["*"]});
        assert_eq!(ada.post(&format!("{at}/webhooks"), &new).status, 422, "{inward}");
    }
    let job = ada.post(&format!("{at}/articles"), &json!({"text": "The bridge opens."}));
    let job = job.expect(202).header("location").unwrap();
    assert_eq!(ada.ended(&job)["status"], "SUCCEEDED");

    let posted = desk.wait(|posted| !posted.is_empty());
    let body = posted[0].json();
    assert_eq!(body["type"], "job.succeeded");
    assert!(job.ends_with(body["data"]["jobId"].as_str().unwrap()), "{body}");
    let delivered = |at: &str| {
        ada.when(&format!("{at}/deliveries"), |page| {
            page["items"][0]["status"] == "DELIVERED"
        })
    };
    let log = delivered(&desk_at);
    assert_eq!(
        log["items"].as_array().unwrap().len(),
        1,
        "nothing else was asked for"
    );
    assert_eq!(log["items"][0]["deliveryId"], posted[0].header("webhook-id"));

    let posted = away.wait(|posted| posted.len() >= 2);
    assert_eq!(posted[1].header("webhook-id"), posted[0].header("webhook-id"));
    let log = delivered(&away_at);
    let attempts = log["items"][0]["attempts"].as_array().unwrap();
    let statuses: Vec<_> = attempts.iter().map(|attempt| attempt["status"].clone()).collect();
    assert_eq!(statuses, [503, 204]);

    let ping = ada
        .call("POST", &format!("{desk_at}:ping"))
        .send()
        .expect(202)
        .json();
    let ping = format!("{desk_at}/deliveries/{}", ping["deliveryId"].as_str().unwrap());
    let pinged = ada.when(&ping, |delivery| delivery["status"] == "DELIVERED");
    assert_eq!(pinged["type"], "ping");
    let _ = ada.call("POST", &format!("{ping}:redeliver")).send().expect(202);
    let _ = ada.when(&ping, |delivery| {
        delivery["attempts"].as_array().unwrap().len() == 2
    });
}

#[test]
fn a_receiver_that_is_gone_switches_its_webhook_off() {
    let users = Users::of(&stack());
    let ada = users.somebody("ada-gone", "editor");
    let project = json!({"projectId": "webhooks-gone", "name": "News"});
    let _ = ada.post("/api/projects", &project).expect(201);
    let at = "/api/projects/webhooks-gone/webhooks";
    let gone = Receiver::start(|_| Reply::Status(410, String::new()));
    let watcher = Receiver::willing();
    let create = |receiver: &Receiver, events: &[&str]| {
        let new = json!({"name": "A desk", "url": receiver.url("/"), "events": events});
        ada.post(at, &new).expect(201).header("location").unwrap()
    };
    let _ = create(&watcher, &["webhook.disabled"]);
    let made = create(&gone, &["job.failed"]);
    let _ = ada.call("POST", &format!("{made}:ping")).send().expect(202);
    let stands = ada.when(&made, |webhook: &Value| webhook["isActive"] == false);
    assert_eq!(stands["disabledReason"], "GONE");
    let told = watcher.wait(|posted| !posted.is_empty());
    assert_eq!(told[0].json()["data"]["reason"], "GONE");
}
