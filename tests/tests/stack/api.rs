//! The API as it is deployed: the same router behind API Gateway, with tokens of the user pool.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bedrock_diy_tests::{Schemathesis, access::departures, stack, users::Users};
use serde_json::{Value, json};

#[test]
fn an_editor_goes_from_nothing_to_a_result() {
    let users = Users::of(&stack());
    let ada = users.somebody("ada", "editor");
    let me = ada.get("/api/me").expect(200).json();
    assert_eq!(me["role"], "editor");
    let project = json!({"projectId": "api-news", "name": "News", "settings": {"model": "test.model-v1:0"}});
    let made = ada.post("/api/projects", &project).expect(201);
    assert_eq!(made.header("location").as_deref(), Some("/api/projects/api-news"));
    let card = json!({"title": "Headline", "content": "Write a headline."});
    let _ = ada.post("/api/projects/api-news/prompts", &card).expect(201);
    let submit = || {
        let call = ada
            .call("POST", "/api/projects/api-news/articles")
            .header("Idempotency-Key", "one");
        call.json(&json!({"text": "The bridge opens.", "sessionId": "talk", "metadata": {"desk": "city"}}))
            .send()
    };
    let taken = submit().expect(202);
    let at = taken.header("location").unwrap();
    assert_eq!(submit().expect(202).header("location"), Some(at.clone()));
    let job = ada.ended(&at);
    assert_eq!(job["status"], "SUCCEEDED", "{job}");
    let etag = ada.get(&at).header("etag").unwrap();
    assert_eq!(
        ada.call("GET", &at).header("If-None-Match", &etag).send().status,
        304
    );
    let results = ada.get(&format!("{at}/results")).expect(200).json();
    assert!(!results["outputs"][0]["text"].as_str().unwrap().is_empty());
    let said = ada
        .get("/api/sessions/talk/messages?projectId=api-news")
        .expect(200)
        .json();
    assert_eq!(said["items"][1]["text"], "The bridge opens.");
    // What was said before is a part of what is asked.
    let messages = "/api/sessions/talk/messages?projectId=api-news";
    let _ = ada.call("DELETE", messages).send().expect(204);
    let rerun = ada.post(&format!("{at}:rerun"), &Value::Null).expect(202);
    assert_eq!(ada.ended(&rerun.header("location").unwrap())["memoHits"], 1);
    let table = ada
        .get("/api/projects/api-news/batches/api/results?format=csv")
        .expect(200)
        .text();
    assert_eq!(table.lines().count(), 3, "{table}");

    let upload = json!({"name": "기사.txt", "bytes": 17, "batch": "uploaded"});
    let ticket = ada
        .post("/api/projects/api-news/articles:upload", &upload)
        .expect(201)
        .json();
    let mut put = ureq::put(ticket["url"].as_str().unwrap());
    for (name, value) in ticket["headers"].as_object().unwrap() {
        put = put.header(name, value.as_str().unwrap());
    }
    put.send("The bridge opens.").unwrap();
    let jobs = ticket["jobs"].as_str().unwrap();
    let listed = ada.when(jobs, |listed| listed["items"].get(0).is_some());
    let job = listed["items"][0]["links"]["self"].as_str().unwrap();
    assert_eq!(ada.ended(job)["article"]["name"], "기사.txt");
}

#[test]
fn a_token_may_stand_in_the_address_of_a_job_s_events_and_nowhere_else() {
    let users = Users::of(&stack());
    let ada = users.somebody("in-an-address", "editor");
    let project =
        json!({"projectId": "api-address", "name": "News", "settings": {"model": "test.model-v1:0"}});
    let _ = ada.post("/api/projects", &project).expect(201);
    let card = json!({"title": "Headline", "content": "Write a headline."});
    let _ = ada.post("/api/projects/api-address/prompts", &card).expect(201);
    let article = json!({"text": "The bridge opens."});
    let taken = ada
        .post("/api/projects/api-address/articles", &article)
        .expect(202);
    let at = taken.header("location").unwrap();
    let _ = ada.ended(&at);
    let (nobody, token) = (ada.as_other(None), ada.token().unwrap());
    let by_address = nobody
        .get(&format!("{at}/events?access_token={token}"))
        .expect(200);
    assert_eq!(by_address.header("cache-control").as_deref(), Some("no-store"));
    assert_eq!(
        by_address.json(),
        ada.get(&format!("{at}/events")).expect(200).json()
    );
    let refused = nobody.get(&format!("{at}/events")).expect(401);
    assert_eq!(refused.code(), "Unauthorized", "by the function itself");
    for elsewhere in [&at, &format!("{at}/results"), "/api/me"] {
        let refused = nobody.get(&format!("{elsewhere}?access_token={token}"));
        assert_eq!(refused.status, 401, "{elsewhere}");
    }
}

#[test]
fn roles_and_memberships_count_behind_the_gateway_as_everywhere() {
    let users = Users::of(&stack());
    let (owner, viewer, stranger, admin) = (
        users.somebody("owner", "editor"),
        users.somebody("viewer", "viewer"),
        users.somebody("stranger", "editor"),
        users.somebody("admin", "admin"),
    );
    let subject = viewer.get("/api/me").expect(200).json()["subject"].clone();
    let at = "/api/projects/api-roles";
    let project = json!({"projectId": "api-roles", "name": "Roles", "members": [subject]});
    let _ = owner.post("/api/projects", &project).expect(201);
    let change = json!({"description": "changed"});
    assert_eq!(viewer.get(at).status, 200);
    assert_eq!(viewer.change(at, &change).status, 403);
    assert_eq!(stranger.get(at).status, 404);
    assert_eq!(admin.change(at, &change).status, 200);
    let mine = viewer.get("/api/projects").expect(200).json();
    assert_eq!(mine["items"].as_array().unwrap().len(), 1, "{mine}");
    assert_eq!(viewer.post("/api/projects", &json!({"name": "Mine"})).status, 403);

    let machine = users.machine("bedrock-diy/read");
    assert_eq!(machine.get("/api/me").expect(200).json()["role"], "viewer");
    let writing = users.machine("bedrock-diy/read bedrock-diy/write");
    assert_eq!(writing.get("/api/me").expect(200).json()["role"], "editor");
    let nobody = users.somebody("nobody", "");
    assert_eq!(nobody.get("/api/me").status, 401, "a user of no group is nobody");
}

#[test]
fn every_route_answers_every_kind_of_caller_as_the_table_says() {
    assert_eq!(departures(&Users::of(&stack())), Vec::<String>::new());
}

#[test]
fn a_sample_of_requests_is_answered_behind_the_gateway_as_the_document_says() {
    let users = Users::of(&stack());
    Schemathesis {
        url: &users.url(),
        token: &users.token("schemathesis", "editor"),
        examples: "8",
        operations: &[
            "readMe",
            "listProjects",
            "createProject",
            "readProject",
            "changeProject",
            "createPrompt",
            "listPrompts",
            "submitArticle",
            "listJobs",
            "readJob",
            "readResults",
            "createHook",
        ],
        // What the gateway has no route for is not there (404), be it a path or a method.
        without: &["unsupported_method"],
    }
    .run();
}

#[test]
fn a_token_that_was_not_issued_here_opens_nothing() {
    let users = Users::of(&stack());
    let good = users.token("forged", "admin");
    let parts: Vec<_> = good.split('.').collect();
    let decoded =
        |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let with = |name: &str, value: Value| {
        let mut claims = decoded(parts[1]);
        claims[name] = value;
        format!("{}.{}.{}", parts[0], encoded(&claims), parts[2])
    };
    let mut unsigned = decoded(parts[0]);
    unsigned["alg"] = json!("none");
    let mut symmetric = decoded(parts[0]);
    symmetric["alg"] = json!("HS256");
    assert_eq!(users.as_client(&good).get("/api/me").status, 200);
    for (what, token) in [
        ("another subject", with("sub", json!("somebody-else"))),
        ("another issuer", with("iss", json!("https://issuer.example.org"))),
        ("another client", with("client_id", json!("another"))),
        ("a later end", with("exp", json!(9_999_999_999_i64))),
        ("no signature", format!("{}.{}.", encoded(&unsigned), parts[1])),
        (
            "another algorithm",
            format!("{}.{}.{}", encoded(&symmetric), parts[1], parts[2]),
        ),
        ("half of it", good[..good.len() / 2].to_owned()),
        ("nothing", "x".to_owned()),
    ] {
        assert_eq!(users.as_client(&token).get("/api/projects").status, 401, "{what}");
    }
    let nobody = users.as_client("x").as_other(None);
    assert_eq!(nobody.get("/api/projects").status, 401);
    assert_eq!(nobody.get("/health").status, 200);
    assert_eq!(nobody.get("/openapi.json").status, 200);
}
