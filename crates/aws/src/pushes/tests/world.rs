//! As much of DynamoDB and of API Gateway's connections as telling needs, without a network.

use std::{
    collections::{BTreeMap, HashMap},
    fmt, future,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use aws_types::{SdkConfig, region::Region};
use bedrock_diy_core::{JobId, ProjectId, event::Event, ports::Clock, time::Timestamp};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    Buckets, Config, DynamoJobs, DynamoWatches, Pushes, S3Objects, Tables,
    dynamo::{self, text},
};

pub(super) fn job() -> JobId {
    JobId::new("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap()
}

pub(super) fn project() -> ProjectId {
    ProjectId::new("news").unwrap()
}

/// What a connection does with a message.
#[derive(Clone, Copy)]
pub(super) enum Taking {
    /// Takes it, after so long.
    After(Duration),
    /// Takes it at once; that this is known takes so long, the first time.
    Late(Duration),
    /// Neither takes it nor lets itself be cut off.
    Never,
}

/// Items by table and key, and what connections do and have heard.
#[derive(Clone, Default)]
pub(super) struct World(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    items: BTreeMap<[String; 3], Value>,
    taking: HashMap<String, Taking>,
    heard: HashMap<String, Vec<Value>>,
    cut: Vec<String>,
    dynamodb: Option<aws_sdk_dynamodb::Client>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("World")
    }
}

/// The time that the test has.
struct OwnTime(Instant);

impl Clock for OwnTime {
    fn now(&self) -> Timestamp {
        let millis = i64::try_from(self.0.elapsed().as_millis()).unwrap();
        Timestamp::from_millis(1_790_000_000_000 + millis)
    }
}

impl World {
    pub(super) fn new() -> (Self, Pushes) {
        let world = Self::default();
        let credentials = Credentials::new("test", "test", None, None, "test");
        let sdk = SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .endpoint_url("http://world.test")
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(SharedHttpClient::new(world.clone()))
            .build();
        let dynamodb = aws_sdk_dynamodb::Client::new(&sdk);
        world.0.lock().unwrap().dynamodb = Some(dynamodb.clone());
        let config = config();
        let clock: Arc<dyn Clock> = Arc::new(OwnTime(Instant::now()));
        let objects = S3Objects::new(aws_sdk_s3::Client::new(&sdk), config.buckets.clone());
        let pushes = Pushes::new(
            aws_sdk_apigatewaymanagement::Client::new(&sdk),
            dynamodb.clone(),
            &config,
            Arc::clone(&clock),
            Arc::new(DynamoJobs::new(dynamodb.clone(), objects, &config)),
            Arc::new(DynamoWatches::new(dynamodb, &config, clock)),
        );
        (world, pushes)
    }

    pub(super) fn set(&self, connection: &str, taking: Taking) {
        self.0
            .lock()
            .unwrap()
            .taking
            .insert(connection.to_owned(), taking);
    }

    /// Stores events of the job, as the stage does.
    pub(super) async fn store(&self, events: &[Event]) {
        let dynamodb = self.0.lock().unwrap().dynamodb.clone().unwrap();
        for event in events {
            let mut item = dynamo::item("event", event).unwrap();
            item.insert("jobId".into(), text(job().as_str()));
            item.insert("item".into(), text(format!("EVENT#{:08}", event.number)));
            let put = dynamodb.put_item().table_name("jobs").set_item(Some(item));
            put.send().await.unwrap();
        }
    }

    /// The messages that a connection has got.
    pub(super) fn heard(&self, connection: &str) -> Vec<Value> {
        let state = self.0.lock().unwrap();
        state.heard.get(connection).cloned().unwrap_or_default()
    }

    /// The numbers of the events in them.
    pub(super) fn numbers(&self, connection: &str) -> Vec<u64> {
        let messages = self.heard(connection);
        let items = messages
            .iter()
            .flat_map(|message| message["items"].as_array().unwrap());
        items.map(|item| item["number"].as_u64().unwrap()).collect()
    }

    pub(super) fn cut_off(&self) -> Vec<String> {
        self.0.lock().unwrap().cut.clone()
    }

    /// How many rows somebody holds.
    pub(super) fn held(&self) -> usize {
        let state = self.0.lock().unwrap();
        state
            .items
            .values()
            .filter(|item| item.get("heldBy").is_some())
            .count()
    }

    async fn answer(self, request: HttpRequest) -> HttpResponse {
        let operation = request.headers().get("x-amz-target").map(str::to_owned);
        if let Some(operation) = operation {
            let asked = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
            return self.0.lock().unwrap().dynamodb(&operation, &asked);
        }
        let connection = request
            .uri()
            .rsplit('/')
            .next()
            .unwrap()
            .split('?')
            .next()
            .unwrap()
            .to_owned();
        let taking = self.0.lock().unwrap().taking.get(&connection).copied();
        if request.method() == "DELETE" {
            self.0.lock().unwrap().cut.push(connection);
            if let Some(Taking::Never) = taking {
                future::pending::<()>().await;
            }
            return response(204, String::new());
        }
        let message = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let hears = || {
            let mut state = self.0.lock().unwrap();
            state.heard.entry(connection.clone()).or_default().push(message);
        };
        match taking {
            None => hears(),
            Some(Taking::After(time)) => {
                sleep(time).await;
                hears();
            }
            Some(Taking::Late(time)) => {
                hears();
                self.0.lock().unwrap().taking.remove(&connection);
                sleep(time).await;
            }
            Some(Taking::Never) => future::pending().await,
        }
        response(200, String::new())
    }
}

impl State {
    fn dynamodb(&mut self, operation: &str, asked: &Value) -> HttpResponse {
        let values = &asked["ExpressionAttributeValues"];
        let name = operation.rsplit('.').next().unwrap();
        match name {
            "PutItem" => {
                let item = asked["Item"].clone();
                self.items.insert(key(asked, &item), item);
                done(&json!({}))
            }
            "GetItem" => match self.items.get(&key(asked, &asked["Key"])) {
                Some(item) => done(&json!({ "Item": item })),
                None => done(&json!({})),
            },
            "DeleteItem" => {
                self.items.remove(&key(asked, &asked["Key"]));
                done(&json!({}))
            }
            "Query" => {
                let table = asked["TableName"].as_str().unwrap();
                let meant = |item: &&Value| match asked["KeyConditionExpression"].as_str().unwrap() {
                    "topic = :topic" => item["topic"] == values[":topic"],
                    "connectionId = :connection" => item["connectionId"] == values[":connection"],
                    "jobId = :job AND #item BETWEEN :after AND :last" => {
                        let at = item["item"]["S"].as_str().unwrap();
                        let ends = [":after", ":last"].map(|end| values[end]["S"].as_str().unwrap());
                        item["jobId"] == values[":job"] && (ends[0]..=ends[1]).contains(&at)
                    }
                    other => panic!("{other}"),
                };
                let items = self
                    .items
                    .iter()
                    .filter(|(key, _)| key[0] == table)
                    .map(|(_, item)| item);
                let found: Vec<_> = items.filter(meant).collect();
                done(&json!({ "Items": found, "Count": found.len() }))
            }
            "UpdateItem" => self.update(asked),
            other => panic!("{other}"),
        }
    }

    fn update(&mut self, asked: &Value) -> HttpResponse {
        let values = &asked["ExpressionAttributeValues"];
        let key = key(asked, &asked["Key"]);
        let number = |value: &Value| value["N"].as_str().and_then(|text| text.parse::<i64>().ok());
        let mut item = self.items.get(&key).cloned().unwrap_or(json!({}));
        let is_mine = item["heldBy"] == values[":hold"] && item.get("heldBy").is_some();
        let (is_allowed, change): (_, &[_]) = match asked["UpdateExpression"].as_str().unwrap() {
            "SET heldBy = :hold, heldUntil = :until" => {
                let is_free = item
                    .get("heldUntil")
                    .is_none_or(|until| number(until) < number(&values[":now"]));
                let change = &[("heldBy", Some(":hold")), ("heldUntil", Some(":until"))];
                (item.get("topic").is_some() && is_free, change)
            }
            "SET had = :had, heldUntil = :until" => {
                (is_mine, &[("had", Some(":had")), ("heldUntil", Some(":until"))])
            }
            "SET had = :had REMOVE heldBy, heldUntil" => (
                is_mine,
                &[("had", Some(":had")), ("heldBy", None), ("heldUntil", None)],
            ),
            other => panic!("{other}"),
        };
        if !is_allowed {
            let kind = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
            let stands = self.items.get(&key);
            return response(
                400,
                json!({ "__type": kind, "Item": stands.unwrap_or(&json!({})) }).to_string(),
            );
        }
        let attributes = item.as_object_mut().unwrap();
        for (name, value) in change {
            match value {
                Some(value) => drop(attributes.insert((*name).to_owned(), values[*value].clone())),
                None => drop(attributes.remove(*name)),
            }
        }
        self.items.insert(key, item.clone());
        done(&json!({ "Attributes": item }))
    }
}

/// The table, and the two parts of the key.
fn key(asked: &Value, item: &Value) -> [String; 3] {
    let table = asked["TableName"].as_str().unwrap();
    let names = if table == "jobs" {
        ["jobId", "item"]
    } else {
        ["topic", "connectionId"]
    };
    let [first, second] = names.map(|name| item[name]["S"].as_str().unwrap().to_owned());
    [table.to_owned(), first, second]
}

fn done(answer: &Value) -> HttpResponse {
    response(200, answer.to_string())
}

fn response(status: u16, body: String) -> HttpResponse {
    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))
}

impl HttpClient for World {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for World {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let world = self.clone();
        HttpConnectorFuture::new(async move { Ok(world.answer(request).await) })
    }
}

fn config() -> Config {
    let unused = || String::from("unused");
    Config {
        tables: Tables {
            projects: unused(),
            prompts: unused(),
            prompt_revisions: unused(),
            chat_history: unused(),
            jobs: "jobs".into(),
            stage_memo: unused(),
            model_quota: unused(),
            webhooks: unused(),
            connections: "connections".into(),
            deliveries: unused(),
        },
        buckets: Buckets {
            prompts: unused(),
            articles: unused(),
            results: unused(),
        },
        event_bus: unused(),
        secrets_path: unused(),
        retention_days: 30,
    }
}
