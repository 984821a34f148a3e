//! Connections that stay open, on the deployed stack: API Gateway keeps them, and functions tell them.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use bedrock_diy_tests::{Client, Heard, Socket, everybody::hears_the_same, stack, users::Users, wait};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

/// A project of two cards, and somebody who may use it.
struct Newsroom {
    ada: Client,
    token: String,
    id: &'static str,
}

impl Newsroom {
    fn open(id: &'static str) -> Self {
        let users = Users::of(&stack());
        let token = users.token(id, "editor");
        let ada = users.as_client(&token);
        let project = json!({"projectId": id, "name": "Sockets", "settings": {"model": "test.model-v1:0"}});
        let _ = ada.post("/api/projects", &project).expect(201);
        for title in ["Facts", "Headline"] {
            let card = json!({"title": title, "content": "Write it."});
            let _ = ada
                .post(&format!("/api/projects/{id}/prompts"), &card)
                .expect(201);
        }
        Self { ada, token, id }
    }

    fn socket(&self) -> Socket {
        Socket::open(&address(), Some(&self.token))
    }

    fn submission(&self, text: &str, follow: bool) -> Value {
        json!({"type": "submit", "projectId": self.id, "follow": follow, "article": {"text": text}})
    }

    fn stored(&self, job: &str) -> Heard {
        let _ = self.ada.ended(&format!("/api/jobs/{job}"));
        let page = self
            .ada
            .get(&format!("/api/jobs/{job}/events"))
            .expect(200)
            .json();
        Heard::of(page["items"].as_array().unwrap().clone())
    }
}

fn address() -> String {
    let stack = stack();
    let api = stack.output("SocketApiId").unwrap();
    format!(
        "{}/_aws/execute-api/{api}/v1",
        stack.url.replace("http://", "ws://")
    )
}

fn id(reply: &Value) -> String {
    let id = reply["job"]["jobId"].as_str();
    assert!(id.is_some(), "{reply}");
    id.unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_a_token() {
    tokio::task::block_in_place(|| {
        let newsroom = Newsroom::open("sockets-doors");
        let status = |at: &str, token| match Socket::try_open(at, token) {
            Err(tungstenite::Error::Http(answer)) => answer.status().as_u16(),
            Err(error) => panic!("{error}"),
            Ok(_) => 101,
        };
        // Whether the function is asked where nothing is shown is the gateway's to say.
        assert!(matches!(status(&address(), None), 401 | 403));
        assert_eq!(status(&address(), Some("wrong")), 403);
        assert_eq!(status(&address(), Some(&newsroom.token)), 101);
        let shown = format!("{}?access_token={}", address(), newsroom.token);
        assert_eq!(status(&shown, None), 101);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_article_is_submitted_and_followed_over_one_connection() {
    tokio::task::block_in_place(|| {
        let newsroom = Newsroom::open("sockets-follow");
        let mut socket = newsroom.socket();
        assert_eq!(socket.ask(json!({"type": "ping"}))["type"], "pong");
        let submitted = socket.ask(newsroom.submission("CASE-SLOWLY: the bridge opens.", true));
        assert_eq!(submitted["type"], "submitted", "{submitted}");
        let mut heard = Heard::default();
        socket.hear(&mut heard, usize::MAX);
        let late = newsroom.stored(&id(&submitted));
        assert_eq!((&heard.events, &heard.answers), (&late.events, &late.answers));
        assert!(
            !heard.texts().is_empty(),
            "answers are told while they are written"
        );
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn however_a_job_is_followed_it_is_the_same() {
    tokio::task::block_in_place(|| {
        let newsroom = Newsroom::open("sockets-everybody");
        let article = "CASE-SLOWLY: the bridge opens.";
        let heard = hears_the_same(&newsroom.ada, &address(), newsroom.id, article);
        assert!(
            !heard.texts().is_empty(),
            "answers are told while they are written"
        );
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_a_connection_is_cut_the_next_goes_on() {
    tokio::task::block_in_place(|| {
        let newsroom = Newsroom::open("sockets-cut");
        let random = &mut StdRng::seed_from_u64(5);
        let mut cuts = 0;
        while cuts < 100 {
            let mut socket = newsroom.socket();
            let job = id(&socket.ask(newsroom.submission("CASE-SLOWLY: the bridge opens.", true)));
            let mut heard = Heard::default();
            loop {
                socket.hear(&mut heard, random.random_range(1..=2));
                if heard.has_ended() {
                    break;
                }
                socket = newsroom.socket();
                let follow = json!({"type": "follow", "jobId": job, "after": heard.last});
                assert_eq!(socket.ask(follow)["type"], "following");
                cuts += 1;
            }
            let late = newsroom.stored(&job);
            assert_eq!((&heard.events, &heard.answers), (&late.events, &late.answers));
        }
        println!("{cuts} cuts");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_a_project_hears_of_each_of_its_jobs() {
    tokio::task::block_in_place(|| {
        let newsroom = Newsroom::open("sockets-project");
        let (mut of_project, mut of_batch) = (newsroom.socket(), newsroom.socket());
        let follow = json!({"type": "follow", "projectId": newsroom.id});
        assert_eq!(of_project.ask(follow)["type"], "following");
        let follow = json!({"type": "follow", "projectId": newsroom.id, "batch": "api"});
        assert_eq!(of_batch.ask(follow)["type"], "following");
        let submit = || {
            id(&newsroom
                .socket()
                .ask(newsroom.submission("The bridge opens.", false)))
        };
        let first = newsroom.stored(&submit());
        for socket in [&mut of_project, &mut of_batch] {
            hears(socket, std::slice::from_ref(&first), 0);
        }
        // Whoever comes late hears what has happened, and goes on.
        let mut late = newsroom.socket();
        let follow = json!({"type": "follow", "projectId": newsroom.id, "batch": "api", "after": "2"});
        assert_eq!(late.ask(follow)["type"], "following");
        hears(&mut late, std::slice::from_ref(&first), 2);
        let second = newsroom.stored(&submit());
        hears(&mut late, &[second], 0);
    });
}

/// Hears everything that has happened to these jobs after this number of an event. The bus tells in any order, and may
/// tell twice.
fn hears(socket: &mut Socket, jobs: &[Heard], after: u64) {
    let which = |event: &Value| {
        let number = event["number"].as_u64().unwrap();
        (event["jobId"].as_str().unwrap().to_owned(), number)
    };
    let events = jobs.iter().flat_map(|job| &job.events).map(which);
    let wanted: BTreeSet<_> = events.filter(|(_, number)| *number > after).collect();
    let mut heard = BTreeSet::new();
    while !heard.is_superset(&wanted) {
        heard.extend(socket.pushed_of_many().iter().map(which));
    }
    assert!(heard.iter().all(|(_, number)| *number > after), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_connection_followed_is_forgotten_with_it() {
    let newsroom = tokio::task::block_in_place(|| Newsroom::open("sockets-gone"));
    let (services, config) = (stack().services(), stack().config().unwrap());
    let rows = async |job: &str| {
        let query = services.dynamodb.query().table_name(&config.tables.connections);
        let query = query
            .key_condition_expression("topic = :topic")
            .consistent_read(true);
        let topic = AttributeValue::S(format!("job/{job}"));
        query
            .expression_attribute_values(":topic", topic)
            .send()
            .await
            .unwrap()
            .count
    };
    let (socket, job) = tokio::task::block_in_place(|| {
        let mut socket = newsroom.socket();
        let job = id(&socket.ask(newsroom.submission("CASE-HANG: the bridge opens.", true)));
        (socket, job)
    });
    assert_eq!(rows(&job).await, 1);
    drop(socket);
    wait::asked(async || (rows(&job).await == 0).then_some(())).await;
    let _ = tokio::task::block_in_place(|| {
        newsroom
            .ada
            .post(&format!("/api/jobs/{job}:cancel"), &Value::Null)
            .expect(200)
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_gone_is_forgotten_when_it_is_told_something() {
    let newsroom = tokio::task::block_in_place(|| Newsroom::open("sockets-410"));
    let (services, config) = (stack().services(), stack().config().unwrap());
    let key = |topic: &str| {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        HashMap::from([
            ("topic".to_owned(), text(topic)),
            ("connectionId".to_owned(), text("Z29uZQ==")),
        ])
    };
    let topic = format!("project/{}", newsroom.id);
    let rows = [key(&topic), key("anybody")];
    // Long after this test.
    let until = 32_503_680_000_000_i64;
    for (mut row, connection) in rows.into_iter().zip(["Z29uZQ==", "anybody"]) {
        row.insert(
            "connectionId".to_owned(),
            AttributeValue::S(connection.to_owned()),
        );
        row.insert("had".to_owned(), AttributeValue::S("0".to_owned()));
        row.insert("until".to_owned(), AttributeValue::N(until.to_string()));
        let put = services
            .dynamodb
            .put_item()
            .table_name(&config.tables.connections);
        put.set_item(Some(row)).send().await.unwrap();
    }
    let there = async || {
        let get = services
            .dynamodb
            .get_item()
            .table_name(&config.tables.connections);
        let got = get.set_key(Some(key(&topic))).consistent_read(true).send().await;
        got.unwrap().item.is_some()
    };
    assert!(there().await);
    let article = json!({"text": "The bridge opens."});
    let at = format!("/api/projects/{}/articles", newsroom.id);
    let job = tokio::task::block_in_place(|| {
        let taken = newsroom.ada.post(&at, &article).expect(202);
        newsroom.ada.ended(&taken.header("location").unwrap())
    });
    assert_eq!(job["status"], "SUCCEEDED", "nobody waits for who is gone");
    wait::asked(async || (!there().await).then_some(())).await;
}
