//! Inbound hooks, as CMSs use them.

#[expect(dead_code, reason = "others use more of it")]
#[path = "../../../crates/core/tests/hooks/sample.rs"]
mod sample;
#[expect(dead_code, reason = "others use more of it")]
#[path = "../../../crates/core/tests/hooks/sender.rs"]
mod sender;

use bedrock_diy_core::{ports::Clock, text::sha256_hex, time::Timestamp};
use bedrock_diy_embedded::SystemClock;
use bedrock_diy_model_server::scripted::{Reply, Rule, Script};
use bedrock_diy_tests::{Answer, Client, Program, Project, ScriptedServer, Served};
use serde_json::{Value, json};

use self::{
    sample::{Sample, sample},
    sender::{MINUTE, Sent},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_cms_hands_its_articles_in_once_each_and_nobody_else_does() {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(1);
    let program = Program::new(&project.data(), &model.url());
    let served = Served::start(&project, &program);
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let cms = ada.as_other(None);
        let new = json!({
            "name": "The blog",
            "scheme": {"kind": "bearer", "deliveryIdHeader": "X-Delivery"},
            "mapping": {"text": "/post/html", "title": "/post/title", "id": "/post/slug", "mediaType": "text/html",
                        "metadata": {"author": "/post/author"}},
        });
        let made = ada.post("/api/projects/news/hooks", &new).expect(201);
        let (at, made) = (made.header("location").unwrap(), made.json());
        let (address, secret) = (
            made["address"].as_str().unwrap(),
            made["secret"].as_str().unwrap(),
        );
        assert!(
            !ada.get(&at).expect(200).text().contains(secret),
            "a secret is shown once"
        );

        let post = json!({"post": {
            "html": "<html><body><nav>Menu</nav><article><h1>다리</h1><p>다리가 다시 열린다.</p></article></body></html>",
            "title": "다리", "slug": "bridge", "author": "Kim",
        }});
        let shown = ada.post(&format!("{at}:test"), &post).expect(200).json();
        assert_eq!(
            (&shown["title"], &shown["metadata"]["author"]),
            (&json!("다리"), &json!("Kim"))
        );

        let deliver = |secret: &str, id: &str| {
            let call = cms
                .call("POST", address)
                .header("Authorization", format!("Bearer {secret}"));
            call.header("X-Delivery", id).json(&post).send()
        };
        let first = deliver(secret, "one").expect(202).json();
        let again = deliver(secret, "one").expect(202).json();
        assert_eq!(
            (&again["jobId"], &again["isReplay"]),
            (&first["jobId"], &json!(true))
        );
        let other = deliver(secret, "two").expect(202).json();
        assert_ne!(other["jobId"], first["jobId"]);
        let job = ada.ended(&format!("/api/jobs/{}", first["jobId"].as_str().unwrap()));
        assert_eq!(
            (&job["status"], &job["article"]["name"]),
            (&json!("SUCCEEDED"), &json!("bridge.html"))
        );

        assert_eq!(deliver("wrong", "three").expect(401).code(), "Unauthorized");
        assert_eq!(cms.post(address, &post).status, 401);
        assert_eq!(cms.post("/hooks/01J00000000000000000000000", &post).status, 404);
        let rotated = ada.post(&format!("{at}:rotate"), &json!({})).expect(200).json();
        let newer = rotated["secret"].as_str().unwrap();
        assert_eq!(
            deliver(secret, "four").status,
            202,
            "the secret before counts until the next change"
        );
        assert_eq!(deliver(newer, "five").status, 202);
        let _ = ada
            .post(&format!("{at}:rotate"), &json!({"only": true}))
            .expect(200);
        assert_eq!(deliver(newer, "six").status, 401);
        let _ = ada.change(&at, &json!({"isActive": false})).expect(200);
        let _ = ada.call("DELETE", &at).header("If-Match", "*").send().expect(204);
        assert_eq!(deliver(newer, "seven").status, 404);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_delivery_is_refused_and_hurts_nobody() {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(1);
    let program = Program::new(&project.data(), &model.url());
    let served = Served::start(&project, &program);
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let cms = ada.as_other(None);
        let new = json!({"name": "CMS", "scheme": {"kind": "bearer"}, "mapping": {"text": "/text"}, "secret": "a-secret-that-people-chose"});
        let made = ada.post("/api/projects/news/hooks", &new).expect(201).json();
        let address = made["address"].as_str().unwrap();
        let deliver = |body: Vec<u8>| {
            let call = cms
                .call("POST", address)
                .header("Authorization", "Bearer a-secret-that-people-chose");
            // As senders of much do: they ask before they send it.
            call.header("Expect", "100-continue")
                .body("application/json", body)
                .send()
        };
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let refused = deliver(deep.into_bytes()).expect(422);
        assert!(refused.text().contains("deep"), "{}", refused.text());
        assert_eq!(deliver(vec![b'a'; 6_000_000]).status, 413);
        assert_eq!(deliver(b"{\"text\": ".to_vec()).status, 422);
        let missing = deliver(b"{\"title\": \"Bridge\"}".to_vec()).expect(422).json();
        assert!(
            missing["faults"][0]["detail"].as_str().unwrap().contains("/text"),
            "{missing}"
        );
        assert_eq!(
            deliver(b"{\"text\": \"The bridge opens.\"}".to_vec()).status,
            202,
            "it lives"
        );
        let body = b"{\"text\": \"The bridge opens.\"}".to_vec();
        assert!(
            deliver(body.clone()).expect(202).json()["isReplay"]
                .as_bool()
                .unwrap(),
            "the body's digest {} names it",
            sha256_hex(&body)
        );
    });
}

/// A delivery of this sample to a hook's address, signed at this moment.
fn delivered(sample: &Sample, address: &str, at: Timestamp) -> Sent {
    let mut sent = Sent::new(sample.written());
    address.clone_into(&mut sent.target);
    for (name, value) in sample.headers() {
        sent = sent.with(name, value);
    }
    sent.signed(&sample.hook.scheme, &sample.secret, at)
}

fn deliver(cms: &Client, sent: &Sent) -> Answer {
    let mut call = cms.call("POST", &sent.target);
    for (name, value) in &sent.headers {
        call = call.header(name, value);
    }
    call.content(sent.body.clone()).send()
}

#[tokio::test(flavor = "multi_thread")]
async fn articles_of_three_cmss_come_in_as_each_of_them_sends_and_signs_them() {
    let echo = Rule::reply(Reply::template("${user}"));
    let model = ScriptedServer::start(Script::default().rule(echo)).await;
    let project = Project::with_cards(1);
    let program = Program::new(&project.data(), &model.url());
    let served = Served::start(&project, &program);
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let cms = ada.as_other(None);
        for name in ["wordpress", "ghost", "contentful"] {
            let sample = sample(name);
            let hook = serde_json::to_value(&sample.hook).unwrap();
            let mut new: Value = ["name", "scheme", "mapping", "lane"]
                .into_iter()
                .map(|field| (field.to_owned(), hook[field].clone()))
                .collect();
            new["secret"] = sample.secret.as_str().into();
            let made = ada.post("/api/projects/news/hooks", &new).expect(201).json();
            let address = made["address"].as_str().unwrap();

            let now = SystemClock.now();
            let sent = delivered(&sample, address, now);
            let first = deliver(&cms, &sent).expect(202).json();
            // A CMS that heard nothing sends it again, signed anew.
            let again = deliver(&cms, &delivered(&sample, address, now.plus_millis(1_000)));
            let again = again.expect(202).json();
            assert_eq!(
                (&again["jobId"], &again["isReplay"]),
                (&first["jobId"], &json!(true)),
                "{name}"
            );
            let job = ada.ended(&format!("/api/jobs/{}", first["jobId"].as_str().unwrap()));
            assert_eq!(job["status"], "SUCCEEDED", "{name}: {job}");
            assert_eq!(job["article"]["title"], sample.takes.title.as_str(), "{name}");
            let results = job["links"]["results"].as_str().unwrap();
            let asked = ada.get(results).expect(200).json()["outputs"][0]["text"].to_string();
            assert!(asked.contains(&sample.takes.text_has), "{name}: {asked}");

            let mut changed = sent.clone();
            changed.body.push(b' ');
            assert_eq!(
                deliver(&cms, &changed).expect(401).code(),
                "Unauthorized",
                "{name}"
            );
            // Whoever signs no time can't be told from somebody who was late.
            if name != "wordpress" {
                let old = delivered(&sample, address, now.plus_millis(-60 * MINUTE));
                let refused = deliver(&cms, &old).expect(401);
                assert!(refused.text().contains("ago"), "{name}: {}", refused.text());
            }
        }
        assert_eq!(model.calls(), 3, "each article once");
    });
}
