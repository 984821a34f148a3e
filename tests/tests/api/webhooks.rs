//! Outbound webhooks, as their receivers know them.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use bedrock_diy_model_server::scripted::Script;
use bedrock_diy_tests::{Client, Nowhere, Posted, Program, Project, Receiver, Reply, ScriptedServer, Served};
use serde_json::{Value, json};

/// A newsroom whose webhooks may lead to this machine.
struct Newsroom {
    _model: ScriptedServer,
    _project: Project,
    served: Served,
}

impl Newsroom {
    async fn open() -> Self {
        Self::open_with(&["--webhooks-to-this-machine"]).await
    }

    async fn open_with(more: &[&str]) -> Self {
        let model = ScriptedServer::start(Script::default()).await;
        let project = Project::with_cards(1);
        let program = Program::new(&project.data(), &model.url());
        let served = Served::start_with(&project, &program, more);
        Self {
            _model: model,
            _project: project,
            served,
        }
    }
}

/// A webhook that was made, and who made it.
struct Made<'a> {
    owner: &'a Client,
    at: String,
    secret: String,
}

impl<'a> Made<'a> {
    fn of(owner: &'a Client, url: &str, events: &[&str]) -> Self {
        let new = json!({"name": "The desk", "url": url, "events": events});
        let made = owner.post("/api/projects/news/webhooks", &new).expect(201);
        let secret = made.json()["secret"].as_str().unwrap().to_owned();
        Self {
            owner,
            at: made.header("location").unwrap(),
            secret,
        }
    }

    fn read(&self) -> Value {
        self.owner.get(&self.at).expect(200).json()
    }

    fn ping(&self) -> String {
        self.ping_if_active().expect("it is not switched off")
    }

    fn ping_if_active(&self) -> Option<String> {
        let sent = self.owner.call("POST", &format!("{}:ping", self.at)).send();
        if sent.status == 409 {
            return None;
        }
        let sent = sent.expect(202).json();
        Some(sent["deliveryId"].as_str().unwrap().to_owned())
    }

    /// The log, the newest first.
    fn deliveries(&self) -> Vec<Value> {
        let page = self
            .owner
            .get(&format!("{}/deliveries?limit=200", self.at))
            .expect(200);
        page.json()["items"].as_array().unwrap().clone()
    }

    /// A delivery, once it stands so.
    fn when(&self, id: &str, ready: impl Fn(&Value) -> bool) -> Value {
        let at = format!("{}/deliveries/{id}", self.at);
        self.owner.when(&at, ready)
    }

    fn delivered(&self, id: &str) -> Value {
        self.when(id, |delivery| delivery["status"] == "DELIVERED")
    }

    fn tried(&self, id: &str) -> Value {
        self.when(id, |delivery| {
            !delivery["attempts"].as_array().unwrap().is_empty()
        })
    }
}

fn submit(owner: &Client, text: &str) -> String {
    let job = owner.post("/api/projects/news/articles", &json!({ "text": text }));
    let job = job.expect(202).json()["jobId"].as_str().unwrap().to_owned();
    format!("/api/jobs/{job}")
}

/// What the reference implementation of Standard Webhooks says of it.
fn verified(posted: &Posted, secret: &str) -> bool {
    let python = std::env::var_os("BEDROCK_DIY_TOOLS").expect("`cargo verify` says where the tools are");
    let python = std::path::PathBuf::from(python).join("python");
    let program = "import json, sys\n\
                   from standardwebhooks.webhooks import Webhook, WebhookVerificationError\n\
                   said = json.load(sys.stdin)\n\
                   try:\n    print(Webhook(said['secret']).verify(said['body'], said['headers'])['type'])\n\
                   except WebhookVerificationError as error:\n    print('refused:', error)\n";
    let said = json!({
        "secret": secret,
        "headers": posted.headers,
        "body": String::from_utf8(posted.body.clone()).unwrap(),
    });
    let mut verifier = Command::new(python)
        .args(["-B", "-c", program])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = verifier.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, said.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = verifier.wait_with_output().unwrap();
    assert!(output.status.success());
    let answer = String::from_utf8(output.stdout).unwrap();
    if answer.starts_with("refused:") {
        return false;
    }
    assert_eq!(answer.trim(), posted.event_type());
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_hears_what_it_asked_for_signed_as_the_reference_verifies_it() {
    let room = Newsroom::open().await;
    let receiver = Receiver::willing();
    tokio::task::block_in_place(|| {
        let ada = room.served.owner();
        let events = ["job.succeeded", "stage.completed"];
        let made = Made::of(&ada, &receiver.url("/news?key=a"), &events);
        assert!(
            !made.read().to_string().contains(&made.secret),
            "a secret is shown once"
        );
        let job = submit(&ada, "The bridge opens.");
        assert_eq!(ada.ended(&job)["status"], "SUCCEEDED");
        let posted = receiver.wait(|posted| posted.len() >= 2);
        let stored = ada.get(&format!("{job}/events")).expect(200).json();
        for one in &posted {
            assert_eq!(one.path, "/news?key=a");
            assert_eq!(one.header("content-type"), "application/json");
            assert!(verified(one, &made.secret), "{one:?}");
            assert!(!verified(
                one,
                "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
            ));
            let body = one.json();
            let mut data = body["data"].clone();
            let id = data.as_object_mut().unwrap().remove("id").unwrap();
            let number = data["number"].as_u64().unwrap();
            assert_eq!(
                id.as_str().unwrap(),
                format!("{}-{number}", data["jobId"].as_str().unwrap())
            );
            assert_eq!(body["timestamp"], data["at"]);
            let events = stored["items"]
                .as_array()
                .or(stored["events"].as_array())
                .unwrap();
            assert!(events.contains(&data), "{data} is not what is stored: {stored}");
            let logged = made.delivered(one.header("webhook-id"));
            assert_eq!(logged["attempts"][0]["status"], 200);
            assert_eq!(logged["attempts"][0]["answer"], "taken");
            assert_eq!(logged["body"].as_str().unwrap().as_bytes(), one.body);
        }
        assert_eq!(made.deliveries().len(), 2, "nothing else was asked for");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn two_secrets_overlap_until_the_next_change() {
    let room = Newsroom::open().await;
    let receiver = Receiver::willing();
    tokio::task::block_in_place(|| {
        let ada = room.served.owner();
        let made = Made::of(&ada, &receiver.url("/"), &["*"]);
        let rotate = |how: Value| {
            let rotated = ada.post(&format!("{}:rotate", made.at), &how).expect(200).json();
            rotated["secret"].as_str().unwrap().to_owned()
        };
        let newer = rotate(json!({}));
        let last = |count: usize| {
            made.ping();
            receiver.wait(|posted| posted.len() >= count).pop().unwrap()
        };
        let both = last(1);
        assert!(verified(&both, &made.secret) && verified(&both, &newer));
        let newest = rotate(json!({"only": true}));
        let one = last(2);
        assert!(verified(&one, &newest));
        assert!(!verified(&one, &newer) && !verified(&one, &made.secret));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_receiver_does_it_is_in_the_log_and_no_job_waits_for_it() {
    let room = Newsroom::open().await;
    let receiver = Receiver::start(|posted| match posted.path.as_str() {
        "/hangs" => Reply::Hang,
        "/resets" => Reply::Reset,
        "/fails" => Reply::Status(500, format!("{}다", "so ".repeat(1_000))),
        "/redirects" => Reply::Header(
            307,
            "location".to_owned(),
            "http://169.254.169.254/latest/meta-data/".to_owned(),
        ),
        "/endless-head" => Reply::EndlessHead,
        "/endless-body" => Reply::EndlessBody,
        other => panic!("nothing is sent to {other}"),
    });
    tokio::task::block_in_place(|| {
        let ada = room.served.owner();
        let hooks = [
            "hangs",
            "resets",
            "fails",
            "redirects",
            "endless-head",
            "endless-body",
        ]
        .map(|path| {
            (
                path,
                Made::of(&ada, &receiver.url(&format!("/{path}")), &["job.succeeded"]),
            )
        });
        let away = Nowhere::keep();
        let nowhere = Made::of(&ada, &format!("{}/", away.url()), &["job.succeeded"]);
        let job = submit(&ada, "The bridge opens.");
        assert_eq!(ada.ended(&job)["status"], "SUCCEEDED", "it waits for nobody");
        let of = |made: &Made<'_>| {
            let first = |deliveries: &[Value]| deliveries[0]["deliveryId"].as_str().unwrap().to_owned();
            let id = ada.when(&format!("{}/deliveries", made.at), |page| {
                !page["items"].as_array().unwrap().is_empty()
            });
            made.tried(&first(id["items"].as_array().unwrap()))
        };
        for (path, made) in &hooks {
            let delivery = of(made);
            let attempt = &delivery["attempts"][0];
            match *path {
                "hangs" => assert!(
                    attempt["error"].as_str().unwrap().contains("10 seconds"),
                    "{attempt}"
                ),
                "resets" | "endless-head" => assert!(attempt["error"].is_string(), "{attempt}"),
                "fails" => {
                    assert_eq!(attempt["status"], 500);
                    assert_eq!(attempt["answer"].as_str().unwrap().len(), 1_024);
                }
                "redirects" => assert_eq!(attempt["status"], 307),
                "endless-body" => {
                    assert_eq!(attempt["status"], 200);
                    assert_eq!(delivery["status"], "DELIVERED");
                    continue;
                }
                _ => unreachable!(),
            }
            assert_eq!(delivery["status"], "PENDING", "{path}: {delivery}");
            assert!(delivery["nextAttemptAt"].is_string(), "{path}");
        }
        let delivery = of(&nowhere);
        assert!(
            delivery["attempts"][0]["error"]
                .as_str()
                .unwrap()
                .contains("refused"),
            "{delivery}"
        );
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_comes_back_gets_everything_under_the_same_ids() {
    let room = Newsroom::open().await;
    let receiver = Receiver::hesitant();
    tokio::task::block_in_place(|| {
        let ada = room.served.owner();
        let made = Made::of(&ada, &receiver.url("/"), &["job.succeeded"]);
        let jobs = ["one", "two", "three"].map(|text| submit(&ada, text));
        for job in &jobs {
            assert_eq!(ada.ended(job)["status"], "SUCCEEDED");
        }
        let by_id = |posted: &[Posted]| {
            let mut bodies: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
            for one in posted {
                let id = one.header("webhook-id").to_owned();
                bodies.entry(id).or_default().push(one.body.clone());
            }
            bodies
        };
        // After some seconds, as the schedule has it.
        let posted = receiver.wait(|posted| {
            let twice = by_id(posted).into_values().filter(|bodies| bodies.len() >= 2);
            twice.count() >= jobs.len()
        });
        let by_id = by_id(&posted);
        assert_eq!(by_id.len(), jobs.len());
        for (id, bodies) in by_id {
            assert!(bodies.iter().all(|body| *body == bodies[0]), "{id}");
            let delivery = made.delivered(&id);
            let statuses: Vec<_> = delivery["attempts"]
                .as_array()
                .unwrap()
                .iter()
                .map(|attempt| attempt["status"].clone())
                .collect();
            assert_eq!(statuses, [503, 204]);
        }
        assert_eq!(made.read()["failuresInARow"], 0);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_or_fails_twenty_times_is_left_alone_until_somebody_switches_it_on() {
    let room = Newsroom::open().await;
    let receiver = Receiver::start(|posted| {
        let status = if posted.path == "/gone" { 410 } else { 500 };
        Reply::Status(status, String::new())
    });
    let watcher = Receiver::willing();
    tokio::task::block_in_place(|| {
        let ada = room.served.owner();
        let told = Made::of(&ada, &watcher.url("/"), &["webhook.disabled"]);
        let gone = Made::of(&ada, &receiver.url("/gone"), &["job.failed"]);
        let ended = gone.when(&gone.ping(), |delivery| delivery["status"] == "FAILED");
        assert_eq!(ended["failure"], "GONE");
        let stands = gone.read();
        assert_eq!(
            (&stands["isActive"], &stands["disabledReason"]),
            (&json!(false), &json!("GONE"))
        );

        let fails = Made::of(&ada, &receiver.url("/fails"), &["job.failed"]);
        // As many as are needed: what has failed is tried again meanwhile, which counts as well.
        let pings: Vec<_> = (0..20).map_while(|_| fails.ping_if_active()).collect();
        let stands = ada.when(&fails.at, |webhook| webhook["isActive"] == false);
        assert_eq!(stands["disabledReason"], "FAILURES");
        assert!(stands["failuresInARow"].as_u64().unwrap() >= 20);
        // What was still to be sent ends, once it is its turn.
        for id in &pings {
            let delivery = fails.when(id, |delivery| delivery["status"] == "FAILED");
            assert_eq!(delivery["failure"], "DISABLED", "{delivery}");
        }
        let calls = receiver.posted().len();
        let refused = ada.call("POST", &format!("{}:ping", fails.at)).send();
        assert_eq!(refused.expect(409).code(), "Conflict");
        assert_eq!(receiver.posted().len(), calls);

        let heard = watcher.wait(|posted| {
            let ids = posted.iter().map(|one| one.header("webhook-id"));
            ids.collect::<BTreeSet<_>>().len() >= 2
        });
        let schema: Value =
            serde_json::from_str(include_str!("../../../docs/events/webhook.disabled.json")).unwrap();
        for one in &heard {
            assert!(verified(one, &told.secret));
            let data = one.json()["data"].clone();
            assert!(jsonschema::is_valid(&schema, &data), "{data}");
        }
        // Their order is not promised.
        let reasons: BTreeSet<_> = heard
            .iter()
            .map(|one| one.json()["data"]["reason"].to_string())
            .collect();
        assert_eq!(
            reasons,
            BTreeSet::from(["\"FAILURES\"".to_owned(), "\"GONE\"".to_owned()])
        );

        receiver.reply(|_| Reply::Status(200, String::new()));
        let on = ada
            .change(&fails.at, &json!({"isActive": true}))
            .expect(200)
            .json();
        assert_eq!(on["failuresInARow"], 0);
        assert_eq!(on.get("disabledReason"), None);
        let again = format!("{}/deliveries/{}:redeliver", fails.at, pings[0]);
        let again = ada.call("POST", &again).send().expect(202).json();
        assert_eq!(
            (&again["deliveryId"], &again["status"]),
            (&json!(pings[0]), &json!("PENDING"))
        );
        let delivery = fails.delivered(&pings[0]);
        let attempts = delivery["attempts"].as_array().unwrap().len();
        assert!(attempts >= 2, "the log keeps what was before: {delivery}");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_never_a_way_inward() {
    let room = Newsroom::open_with(&[]).await;
    let receiver = Receiver::willing();
    tokio::task::block_in_place(|| {
        let ada = room.served.owner();
        let create = |url: &str| {
            let new = json!({"name": "In", "url": url, "events": ["*"]});
            ada.post("/api/projects/news/webhooks", &new)
        };
        for inward in [
            "https://169.254.169.254/latest/meta-data",
            "https://[fd00:ec2::254]/",
            "https://10.0.0.1/",
            "https://[::ffff:192.168.0.1]/",
            "https://localhost/",
            &receiver.url("/"),
            "http://example.org/",
            "https://user:password@example.org/",
            "ftp://example.org",
            "no address",
        ] {
            let refused = create(inward).expect(422).json();
            assert_eq!(refused["faults"][0]["field"], "/url", "{inward}: {refused}");
        }
        // A name that leads inward shows when it is looked up, however it looks.
        let inward = receiver
            .url("/")
            .replacen("http://127.0.0.1", "https://LOCALHOST", 1);
        let made = Made::of(&ada, &inward, &["*"]);
        let attempt = made.tried(&made.ping())["attempts"][0].clone();
        let error = attempt["error"].as_str().unwrap();
        assert!(error.contains("public internet"), "{error}");
        assert!(receiver.posted().is_empty());
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_to_a_deleted_webhook_ends() {
    let room = Newsroom::open().await;
    let receiver = Receiver::start(|_| Reply::Status(500, String::new()));
    tokio::task::block_in_place(|| {
        let ada = room.served.owner();
        let made = Made::of(&ada, &receiver.url("/"), &["job.succeeded"]);
        made.tried(&made.ping());
        let _ = ada
            .call("DELETE", &made.at)
            .header("If-Match", "*")
            .send()
            .expect(204);
        assert_eq!(ada.get(&made.at).status, 404);
        assert_eq!(ada.get(&format!("{}/deliveries", made.at)).status, 404);
        let job = submit(&ada, "The bridge opens.");
        assert_eq!(ada.ended(&job)["status"], "SUCCEEDED");
        // Another one hears of it; this one's time has passed then.
        let other = Receiver::willing();
        let after = Made::of(&ada, &other.url("/"), &["*"]);
        after.delivered(&after.ping());
        let told: BTreeSet<_> = receiver.posted().iter().map(Posted::event_type).collect();
        assert_eq!(
            told,
            BTreeSet::from(["ping".to_owned()]),
            "of the job it is told nothing"
        );
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_not_stale_because_failures_were_counted() {
    let room = Newsroom::open().await;
    let receiver = Receiver::start(|_| Reply::Status(500, String::new()));
    tokio::task::block_in_place(|| {
        let ada = room.served.owner();
        let made = Made::of(&ada, &receiver.url("/"), &["*"]);
        let etag = ada.get(&made.at).header("etag").unwrap();
        made.tried(&made.ping());
        assert!(made.read()["failuresInARow"].as_u64().unwrap() >= 1);
        let change = |etag: &str| {
            let call = ada.call("PATCH", &made.at).header("If-Match", etag);
            call.json(&json!({"name": "The other desk"})).send()
        };
        assert_eq!(change(&etag).expect(200).json()["name"], "The other desk");
        assert_eq!(change(&etag).status, 412);
    });
}
