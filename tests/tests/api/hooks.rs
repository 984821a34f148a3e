//! Inbound hooks, as CMSs use them.

use bedrock_diy_core::text::sha256_hex;
use bedrock_diy_model_server::scripted::Script;
use bedrock_diy_tests::{Program, Project, ScriptedServer, Served};
use serde_json::json;

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
                .header("Authorization", &format!("Bearer {secret}"));
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
