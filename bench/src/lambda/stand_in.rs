//! The AWS services that the functions call, answering at once.
//!
//! Each service has an address of its own, as on AWS: a function opens a connection, and where it is by
//! TLS shakes hands, with each of them.

mod dynamodb;
mod s3;

use std::{io::Write, sync::Arc};

use bedrock_diy_aws::{
    Buckets, Config, Tables,
    clients::{Services, local_services},
};
use bedrock_diy_model_server::{
    ModelServer, Settings,
    scripted::{Reply, Rule, Script, ScriptedModel},
};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::{
    Outcome,
    calls::{Call, Journal},
    server::{Certificate, Server},
};

use self::{dynamodb::DynamoDb, s3::S3};

/// The model that is asked; the catalogue does not know it, so nothing is known of its quota.
const MODEL: &str = "test.model-v1:0";

const REGION: &str = "us-east-1";

/// Where this machine keeps the root certificates that it trusts.
const ROOTS: [&str; 2] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

/// The services.
pub(crate) struct StandIn {
    servers: Vec<(&'static str, Server)>,
    model: ModelServer<ScriptedModel>,
    model_calls: u64,
    journal: Journal,
    /// Where the bench itself puts things.
    own: Server,
    /// The root certificates that functions trust.
    roots: tempfile::NamedTempFile,
}

impl StandIn {
    pub(crate) async fn start(tls: bool) -> Outcome<Self> {
        let certificate = tls.then(Certificate::new).transpose()?;
        let roots = roots(certificate.as_ref())?;
        let journal = Journal::default();
        let services = Arc::new(Inner {
            journal: journal.clone(),
            dynamodb: DynamoDb::default(),
            s3: S3::default(),
        });
        let handle = move |request| {
            let services = Arc::clone(&services);
            async move { services.answer(&request) }
        };
        let mut servers = Vec::new();
        for name in ["DYNAMODB", "EVENTBRIDGE", "S3", "SFN", "SQS"] {
            servers.push((name, Server::http(certificate.as_ref(), handle.clone()).await?));
        }
        // Each answer depends on what was asked: none comes from the memo.
        let reply = format!("${{hash}} {}", "The council has opened the bridge. ".repeat(8));
        let script = Script::default().rule(Rule::reply(Reply::template(reply).chunks(8)));
        let model = ModelServer::start_with(ScriptedModel::new(script)?, Settings::lean()).await?;
        let before = Server::before(certificate.as_ref(), model.address()).await?;
        servers.push(("BEDROCK_RUNTIME", before));
        Ok(Self {
            servers,
            model,
            model_calls: 0,
            journal,
            own: Server::http(None, handle).await?,
            roots,
        })
    }

    /// Clients for the bench itself.
    pub(crate) fn clients(&self) -> Services {
        local_services(&self.own.url(), REGION)
    }

    /// The calls since this was last asked.
    pub(crate) fn calls(&mut self) -> Vec<Call> {
        let mut calls = self.journal.take();
        let asked = self.model.counters().calls;
        for _ in self.model_calls..asked {
            calls.push(Call {
                operation: "ConverseStream".to_owned(),
                place: MODEL.to_owned(),
            });
        }
        self.model_calls = asked;
        calls
    }

    /// A function's environment: as `template.yaml` and Lambda set it, and where the services are.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let Config {
            tables,
            buckets,
            event_bus,
            secrets_path,
            retention_days,
        } = config();
        let retention_days = retention_days.to_string();
        let fixed = [
            ("AWS_REGION", REGION),
            ("AWS_DEFAULT_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", "ASIABENCHBENCHBENCH0"),
            (
                "AWS_SECRET_ACCESS_KEY",
                "bench/bench/bench/bench/bench/bench/benc",
            ),
            // As long as a role's is.
            ("AWS_SESSION_TOKEN", &"bench".repeat(200)),
            // One file, as on Lambda; some systems have them in a folder besides, where reading takes longer.
            ("SSL_CERT_FILE", &self.roots.path().to_string_lossy()),
            ("ENVIRONMENT", "bench"),
            ("RUST_LOG", "warn,bedrock_diy=info"),
            ("PROJECTS_TABLE", &tables.projects),
            ("PROMPTS_TABLE", &tables.prompts),
            ("PROMPT_REVISIONS_TABLE", &tables.prompt_revisions),
            ("CHAT_HISTORY_TABLE", &tables.chat_history),
            ("JOBS_TABLE", &tables.jobs),
            ("STAGE_MEMO_TABLE", &tables.stage_memo),
            ("MODEL_QUOTA_TABLE", &tables.model_quota),
            ("WEBHOOKS_TABLE", &tables.webhooks),
            ("CONNECTIONS_TABLE", &tables.connections),
            ("DELIVERIES_TABLE", &tables.deliveries),
            ("PROMPTS_BUCKET", &buckets.prompts),
            ("ARTICLES_BUCKET", &buckets.articles),
            ("RESULTS_BUCKET", &buckets.results),
            ("EVENT_BUS", &event_bus),
            ("SECRETS_PATH", &secrets_path),
            ("RETENTION_DAYS", &retention_days),
            (
                "BULK_QUEUE_URL",
                "https://sqs.us-east-1.amazonaws.com/123456789012/bulk",
            ),
            (
                "LIVE_QUEUE_URL",
                "https://sqs.us-east-1.amazonaws.com/123456789012/live",
            ),
            (
                "DELIVERIES_QUEUE_URL",
                "https://sqs.us-east-1.amazonaws.com/123456789012/deliveries",
            ),
            (
                "STATE_MACHINE_ARN",
                "arn:aws:states:us-east-1:123456789012:stateMachine:article",
            ),
            (
                "SOCKET_ENDPOINT",
                "https://bench.execute-api.us-east-1.amazonaws.com/v1",
            ),
            ("DEFAULT_MODEL", MODEL),
            ("MAX_RECEIVES", "5"),
        ];
        let endpoints = self
            .servers
            .iter()
            .map(|(name, server)| (format!("AWS_ENDPOINT_URL_{name}"), server.url()));
        fixed
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .chain(endpoints)
            .collect()
    }
}

/// The deployment's names.
pub(crate) fn config() -> Config {
    let named = str::to_owned;
    Config {
        tables: Tables {
            projects: named("BedrockDiyProjects-bench"),
            prompts: named("BedrockDiyPrompts-bench"),
            prompt_revisions: named("BedrockDiyPromptRevisions-bench"),
            chat_history: named("BedrockDiyChatHistory-bench"),
            jobs: named("BedrockDiyJobs-bench"),
            stage_memo: named("BedrockDiyStageMemo-bench"),
            model_quota: named("BedrockDiyModelQuota-bench"),
            webhooks: named("BedrockDiyWebhooks-bench"),
            connections: named("BedrockDiyConnections-bench"),
            deliveries: named("BedrockDiyDeliveries-bench"),
        },
        buckets: Buckets {
            prompts: named("bedrock-diy-prompts-123456789012-us-east-1-bench"),
            articles: named("bedrock-diy-articles-123456789012-us-east-1-bench"),
            results: named("bedrock-diy-results-123456789012-us-east-1-bench"),
        },
        event_bus: named("bedrock-diy-bench"),
        secrets_path: named("/bedrock-diy/bench"),
        retention_days: 365,
    }
}

/// The root certificates of this machine, which a function has to read on AWS too, and the stand-ins' own.
fn roots(certificate: Option<&Certificate>) -> Outcome<tempfile::NamedTempFile> {
    let found = ROOTS.iter().find_map(|path| std::fs::read(path).ok());
    let found = found.ok_or("this machine has no bundle of root certificates: install ca-certificates")?;
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(&found)?;
    if let Some(certificate) = certificate {
        file.write_all(certificate.pem.as_bytes())?;
    }
    Ok(file)
}

struct Inner {
    journal: Journal,
    dynamodb: DynamoDb,
    s3: S3,
}

impl Inner {
    fn answer(&self, request: &Request<Bytes>) -> Response<Full<Bytes>> {
        let target = request.headers().get("x-amz-target");
        let Some(target) = target.and_then(|target| target.to_str().ok()) else {
            return self.s3.answer(&self.journal, request);
        };
        let (service, operation) = target.split_once('.').unwrap_or_default();
        let said: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let answer = if service == "DynamoDB_20120810" {
            self.journal.note(operation, dynamodb::table(&said));
            self.dynamodb.answer(operation, &said)
        } else {
            self.journal.note(operation, "");
            other(operation, &said)
        };
        match answer {
            Ok(answer) => json(StatusCode::OK, &answer),
            Err(Refused { code, why }) => {
                json(StatusCode::BAD_REQUEST, &json!({"__type": code, "message": why}))
            }
        }
    }
}

/// Why a stand-in does not do something.
struct Refused {
    code: &'static str,
    why: String,
}

impl Refused {
    /// What was asked for is more than the stand-in knows: it must learn it, or the function is wrong.
    fn unknown(why: impl Into<String>) -> Self {
        Self {
            code: "ValidationException",
            why: why.into(),
        }
    }
}

fn other(operation: &str, said: &Value) -> Result<Value, Refused> {
    match operation {
        "PutEvents" => {
            let events = said["Entries"].as_array().map_or(0, Vec::len);
            let entries = vec![json!({"EventId": "11710aed-b79e-4468-a20b-bb3c0c3b4860"}); events];
            Ok(json!({"FailedEntryCount": 0, "Entries": entries}))
        }
        "StartExecution" => {
            let machine = said["stateMachineArn"].as_str().unwrap_or_default();
            let arn = machine.replacen(":stateMachine:", ":execution:", 1);
            let name = said["name"].as_str().unwrap_or_default();
            Ok(json!({"executionArn": format!("{arn}:{name}"), "startDate": 1_795_000_000.123}))
        }
        _ => Err(Refused::unknown(format!("the stand-ins don't know {operation}"))),
    }
}

fn json(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(value.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        "content-type",
        hyper::header::HeaderValue::from_static("application/x-amz-json-1.0"),
    );
    headers.insert(
        "x-amzn-requestid",
        hyper::header::HeaderValue::from_static("BENCH"),
    );
    response
}
