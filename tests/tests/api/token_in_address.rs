//! A token may stand in the address of a job's events, for pages that can set no header: there and nowhere else.

use bedrock_diy_model_server::scripted::Script;
use bedrock_diy_tests::{Client, Program, Project, ScriptedServer, Served, wait};
use serde_json::json;

const STREAM: &str = "text/event-stream";

async fn served(log: &str) -> (ScriptedServer, Project, Served) {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(1);
    let program = Program::new(&project.data(), &model.url()).with("RUST_LOG", log);
    let served = Served::start(&project, &program);
    (model, project, served)
}

/// Where a job that has ended is.
fn worked(ada: &Client) -> String {
    let taken = ada.post(
        "/api/projects/news/articles",
        &json!({"text": "The bridge opens."}),
    );
    let job = taken.expect(202).header("location").unwrap();
    let _ = ada.ended(&job);
    job
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_s_events_are_opened_by_one_token_shown_one_way() {
    let (_model, _project, served) = served("info").await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let job = worked(&ada);
        let (nobody, token) = (ada.as_other(None), &served.token);
        let at = format!("{job}/events?access_token={token}");
        let stream = nobody
            .call("GET", &at)
            .header("Accept", STREAM)
            .send()
            .expect(200);
        assert_eq!(stream.header("cache-control").as_deref(), Some("no-store"));
        let by_header = ada
            .call("GET", &format!("{job}/events"))
            .header("Accept", STREAM)
            .send();
        assert_eq!(stream.text(), by_header.text(), "it is the same stream");
        assert_ne!(by_header.header("cache-control").as_deref(), Some("no-store"));
        let asked = nobody.get(&format!("{at}&after=2&wait=1")).expect(200);
        assert_eq!(asked.json()["items"][0]["number"], 3);

        assert_eq!(ada.get(&at).status, 400, "two ways");
        assert_eq!(
            nobody.get(&format!("{at}&access_token={token}")).status,
            400,
            "twice"
        );
        for forged in ["", "x", "bd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "%FF"] {
            let refused = nobody.get(&format!("{job}/events?access_token={forged}"));
            assert_eq!(refused.status, 401, "{forged}");
            assert_eq!(refused.code(), "Unauthorized");
        }
        let refused = nobody.get(&format!("{job}/events?access_token=x"));
        assert_eq!(refused.header("cache-control").as_deref(), Some("no-store"));
        assert_eq!(nobody.get(&format!("{job}/events")).status, 401);
        let eve = served.somebody("eve", "editor");
        let eves = nobody.get(&format!("{job}/events?access_token={}", eve.token().unwrap()));
        assert_eq!(eves.status, 404, "the token decides as it does in a header");

        for elsewhere in [
            job.as_str(),
            &format!("{job}/results"),
            "/api/me",
            "/api/projects",
        ] {
            for client in [&nobody, &ada] {
                let refused = client.get(&format!("{elsewhere}?access_token={token}"));
                assert_eq!(refused.status, 400, "{elsewhere}");
                assert!(!refused.text().contains(token.as_str()), "it is not said again");
            }
        }
        let posted = nobody
            .call("POST", &format!("{job}:cancel?access_token={token}"))
            .send();
        assert_eq!(posted.status, 400);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_with_a_token_is_in_no_log() {
    let (_model, _project, served) = served("trace").await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let job = worked(&ada);
        let (nobody, token) = (ada.as_other(None), &served.token);
        let at = format!("{job}/events?access_token={token}");
        let _ = nobody
            .call("GET", &at)
            .header("Accept", STREAM)
            .send()
            .expect(200);
        let _ = nobody.get(&at.replace("/events", "/results"));
        let _ = ada.get(&at);
        // What is said of this one is said after what was said of those.
        let _ = ada
            .call("GET", "/health")
            .header("X-Request-Id", "the-last-one")
            .send();
        wait::until(|| served.log().contains("the-last-one"));
        let log = served.log();
        assert!(log.contains("/api/jobs/{jobId}/events"), "{log}");
        let told = log.lines().find(|line| line.contains(token.as_str()));
        assert_eq!(told, None);
    });
}
