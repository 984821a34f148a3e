//! What a deployment calls its resources: read from the environment once, as `template.yaml` sets it.

use bedrock_diy_core::{Code, Failure, article::Bucket, error::Result};

/// The DynamoDB tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// `PROJECTS_TABLE`: projects, by `projectId`, and who is a member of them.
    pub projects: String,
    /// `PROMPTS_TABLE`: cards as they stand today, by `projectId` and `promptId`.
    pub prompts: String,
    /// `PROMPT_REVISIONS_TABLE`: what was ever saved, by `card` and `revision`; pipeline revisions, too.
    pub prompt_revisions: String,
    /// `CHAT_HISTORY_TABLE`: exchanges, by `sessionId` and `timestamp`, and the sessions that they are of.
    pub chat_history: String,
    /// `JOBS_TABLE`: jobs with their stages and events, by `jobId` and `item`.
    pub jobs: String,
    /// `STAGE_MEMO_TABLE`: answers that were paid for, by `memoKey`.
    pub stage_memo: String,
    /// `MODEL_QUOTA_TABLE`: the line before each model, by `model` and `holder`.
    pub model_quota: String,
    /// `WEBHOOKS_TABLE`: inbound hooks and outbound webhooks, by `projectId` and `webhookId`.
    pub webhooks: String,
    /// `CONNECTIONS_TABLE`: what WebSocket connections follow, by `topic` and `connectionId`.
    pub connections: String,
    /// `DELIVERIES_TABLE`: what was sent to outbound webhooks, by `webhookId` and `deliveryId`.
    pub deliveries: String,
}

/// The S3 buckets, all of them versioned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buckets {
    /// `PROMPTS_BUCKET`: what cards say, a revision a version.
    pub prompts: String,
    /// `ARTICLES_BUCKET`: articles as they came, and their text.
    pub articles: String,
    /// `RESULTS_BUCKET`: outputs and result documents.
    pub results: String,
}

/// Everything that a deployment names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The tables.
    pub tables: Tables,
    /// The buckets.
    pub buckets: Buckets,
    /// `EVENT_BUS`: the EventBridge bus.
    pub event_bus: String,
    /// `SECRETS_PATH`: what the names of its parameters in the Parameter Store begin with.
    pub secrets_path: String,
    /// `RETENTION_DAYS`: how long jobs, memo entries and history are kept.
    pub retention_days: u32,
}

/// What whoever takes articles in needs besides: the queues, the state machine, and what runs where nothing is
/// said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryConfig {
    /// `BULK_QUEUE_URL`.
    pub bulk_queue: String,
    /// `LIVE_QUEUE_URL`.
    pub live_queue: String,
    /// `STATE_MACHINE_ARN`.
    pub state_machine: String,
    /// `DEFAULT_MODEL`: for projects that name none.
    pub default_model: String,
}

/// What intake needs besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntakeConfig {
    /// The queues and the state machine.
    pub entry: EntryConfig,
    /// `MAX_RECEIVES`: how often the queues hand a message out before it goes to the dead-letter queue.
    pub max_receives: u32,
}

/// Whose tokens are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerConfig {
    /// `OIDC_ISSUER`: whose tokens are taken.
    pub issuer: String,
    /// `OIDC_AUDIENCES`, with commas between them: whom tokens are for.
    pub audiences: Vec<String>,
    /// Where the issuer's keys are, where that is not where its documents say: with Cognito under another
    /// address, as `AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER` or `AWS_ENDPOINT_URL` tell the SDKs.
    pub keys_url: Option<String>,
}

/// Where connections that stay open are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketConfig {
    /// `SOCKET_ENDPOINT`: the address of the WebSocket API's stage, by `https`.
    pub endpoint: String,
}

/// What the API needs besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiConfig {
    /// The queues and the state machine.
    pub entry: EntryConfig,
    /// `CORS_ORIGINS`, with commas between them: the web origins whose pages may ask; may be empty.
    pub cors_origins: Vec<String>,
}

/// What whoever has to do with deliveries to webhooks needs besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveriesConfig {
    /// `DELIVERIES_QUEUE_URL`: the queue of those that are to be made.
    pub queue: String,
    /// `DELIVERIES_DEAD_LETTERS_QUEUE_URL`: those that nobody has taken for a day. Only deliver is told.
    pub dead_letters: String,
    /// `WEBHOOKS_TO_THIS_MACHINE`: whether webhooks may lead to this machine, as on a local AWS for tests. No deployment
    /// on AWS says so, and one that did would not start.
    pub to_this_machine: bool,
}

impl Config {
    /// As the function's environment says.
    pub fn from_environment() -> Result<Self> {
        Self::read(&Variables(&variable))
    }

    fn read(said: &Variables<'_>) -> Result<Self> {
        said.check(&[
            "PROJECTS_TABLE",
            "PROMPTS_TABLE",
            "PROMPT_REVISIONS_TABLE",
            "CHAT_HISTORY_TABLE",
            "JOBS_TABLE",
            "STAGE_MEMO_TABLE",
            "MODEL_QUOTA_TABLE",
            "WEBHOOKS_TABLE",
            "CONNECTIONS_TABLE",
            "DELIVERIES_TABLE",
            "PROMPTS_BUCKET",
            "ARTICLES_BUCKET",
            "RESULTS_BUCKET",
            "EVENT_BUS",
            "SECRETS_PATH",
            "RETENTION_DAYS",
        ])?;
        Ok(Self {
            tables: Tables {
                projects: said.text("PROJECTS_TABLE"),
                prompts: said.text("PROMPTS_TABLE"),
                prompt_revisions: said.text("PROMPT_REVISIONS_TABLE"),
                chat_history: said.text("CHAT_HISTORY_TABLE"),
                jobs: said.text("JOBS_TABLE"),
                stage_memo: said.text("STAGE_MEMO_TABLE"),
                model_quota: said.text("MODEL_QUOTA_TABLE"),
                webhooks: said.text("WEBHOOKS_TABLE"),
                connections: said.text("CONNECTIONS_TABLE"),
                deliveries: said.text("DELIVERIES_TABLE"),
            },
            buckets: Buckets {
                prompts: said.text("PROMPTS_BUCKET"),
                articles: said.text("ARTICLES_BUCKET"),
                results: said.text("RESULTS_BUCKET"),
            },
            event_bus: said.text("EVENT_BUS"),
            secrets_path: said.text("SECRETS_PATH"),
            retention_days: said.number("RETENTION_DAYS")?,
        })
    }
}

impl IntakeConfig {
    /// As the function's environment says.
    pub fn from_environment() -> Result<Self> {
        Self::read(&Variables(&variable))
    }

    fn read(said: &Variables<'_>) -> Result<Self> {
        said.check(&[EntryConfig::NAMES, &["MAX_RECEIVES"]].concat())?;
        Ok(Self {
            entry: EntryConfig::read(said),
            max_receives: said.number("MAX_RECEIVES")?,
        })
    }
}

impl DeliveriesConfig {
    /// As the function's environment says.
    pub fn from_environment() -> Result<Self> {
        Self::read(&Variables(&variable))
    }

    fn read(said: &Variables<'_>) -> Result<Self> {
        said.check(&["DELIVERIES_QUEUE_URL"])?;
        let to_this_machine = match said.text("WEBHOOKS_TO_THIS_MACHINE").as_str() {
            "" => false,
            "local-aws" if is_on_this_machine(&said.text("AWS_ENDPOINT_URL")) => true,
            _ => {
                return Err(Failure::new(
                    Code::InternalError,
                    "the environment says WEBHOOKS_TO_THIS_MACHINE, which is for a local AWS alone",
                ));
            }
        };
        Ok(Self {
            queue: said.text("DELIVERIES_QUEUE_URL"),
            dead_letters: said.text("DELIVERIES_DEAD_LETTERS_QUEUE_URL"),
            to_this_machine,
        })
    }
}

/// Whether a service's address is this machine's.
fn is_on_this_machine(url: &str) -> bool {
    ["http://127.0.0.1:", "http://localhost:"]
        .iter()
        .any(|here| url.starts_with(here))
}

impl EntryConfig {
    const NAMES: &[&str] = &[
        "BULK_QUEUE_URL",
        "LIVE_QUEUE_URL",
        "STATE_MACHINE_ARN",
        "DEFAULT_MODEL",
    ];

    fn read(said: &Variables<'_>) -> Self {
        Self {
            bulk_queue: said.text("BULK_QUEUE_URL"),
            live_queue: said.text("LIVE_QUEUE_URL"),
            state_machine: said.text("STATE_MACHINE_ARN"),
            default_model: said.text("DEFAULT_MODEL"),
        }
    }
}

impl IssuerConfig {
    /// As the function's environment says.
    pub fn from_environment() -> Result<Self> {
        Self::read(&Variables(&variable))
    }

    fn read(said: &Variables<'_>) -> Result<Self> {
        said.check(&["OIDC_ISSUER", "OIDC_AUDIENCES"])?;
        let issuer = said.text("OIDC_ISSUER");
        let elsewhere = ["AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", "AWS_ENDPOINT_URL"];
        let elsewhere = elsewhere
            .map(|name| said.text(name))
            .into_iter()
            .find(|url| !url.is_empty());
        Ok(Self {
            audiences: said.list("OIDC_AUDIENCES"),
            keys_url: elsewhere.and_then(|url| {
                let pool = issuer.rsplit('/').next()?;
                Some(format!(
                    "{}/{pool}/.well-known/jwks.json",
                    url.trim_end_matches('/')
                ))
            }),
            issuer,
        })
    }
}

impl SocketConfig {
    /// As the function's environment says.
    pub fn from_environment() -> Result<Self> {
        let said = Variables(&variable);
        said.check(&["SOCKET_ENDPOINT"])?;
        Ok(Self {
            endpoint: said.text("SOCKET_ENDPOINT"),
        })
    }
}

impl ApiConfig {
    /// As the function's environment says.
    pub fn from_environment() -> Result<Self> {
        Self::read(&Variables(&variable))
    }

    fn read(said: &Variables<'_>) -> Result<Self> {
        said.check(EntryConfig::NAMES)?;
        Ok(Self {
            entry: EntryConfig::read(said),
            cors_origins: said.list("CORS_ORIGINS"),
        })
    }
}

impl Buckets {
    /// What a bucket of the domain is called here.
    pub(crate) fn name(&self, bucket: Bucket) -> &str {
        match bucket {
            Bucket::Articles => &self.articles,
            Bucket::Results => &self.results,
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// An environment.
struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    /// Fails with everything that is missing, not with the first.
    fn check(&self, names: &[&str]) -> Result<()> {
        let missing: Vec<_> = names
            .iter()
            .filter(|name| self.text(name).is_empty())
            .copied()
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Failure::new(
            Code::InternalError,
            format!(
                "the environment does not say {}: `template.yaml` sets them for each function",
                missing.join(", ")
            ),
        ))
    }

    fn text(&self, name: &str) -> String {
        self.0(name).unwrap_or_default().trim().to_owned()
    }

    fn list(&self, name: &str) -> Vec<String> {
        let said = self.text(name);
        let parts = said.split(',').map(|part| part.trim().to_owned());
        parts.filter(|part| !part.is_empty()).collect()
    }

    fn number(&self, name: &str) -> Result<u32> {
        let said = self.text(name);
        said.parse().map_err(|_| {
            Failure::new(
                Code::InternalError,
                format!("the environment says {name}={said}, which is no number"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_missing_is_named_at_once() {
        let said = |name: &str| (name != "JOBS_TABLE" && name != "EVENT_BUS").then(|| "7".to_owned());
        let failure = Config::read(&Variables(&said)).unwrap_err();
        assert!(failure.detail.contains("JOBS_TABLE, EVENT_BUS:"), "{failure}");
    }

    #[test]
    fn webhooks_lead_to_this_machine_on_a_local_aws_alone() {
        let read = |allowed: &str, endpoint: &str| {
            let said = |name: &str| match name {
                "WEBHOOKS_TO_THIS_MACHINE" => Some(allowed.to_owned()),
                "AWS_ENDPOINT_URL" => Some(endpoint.to_owned()),
                _ => Some("https://sqs/queue".to_owned()),
            };
            DeliveriesConfig::read(&Variables(&said)).map(|config| config.to_this_machine)
        };
        assert_eq!(read("", ""), Ok(false));
        assert_eq!(read("local-aws", "http://127.0.0.1:4566"), Ok(true));
        for (allowed, endpoint) in [
            ("local-aws", ""),
            ("local-aws", "https://vpce-1.sqs.us-east-1.vpce.amazonaws.com"),
            ("yes", "http://127.0.0.1:4566"),
        ] {
            read(allowed, endpoint).unwrap_err();
        }
    }

    #[test]
    fn a_number_that_is_none_is_named() {
        let said = |_: &str| Some("many".to_owned());
        let failure = IntakeConfig::read(&Variables(&said)).unwrap_err();
        assert!(failure.detail.contains("MAX_RECEIVES=many"), "{failure}");
    }
}
