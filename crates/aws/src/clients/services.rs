//! Clients of everything but Bedrock.
//!
//! | setting | value | reason |
//! | --- | --- | --- |
//! | tries | 3 | most faults are over at the second try; what lasts longer is for the state machine and the queue, which wait without a function that is paid for waiting |
//! | first pause | up to 100 ms | the SDK's second is made for people's machines, and a function is paid by the millisecond |
//! | connect timeout | 1 s | the services are in the same Region; a lost SYN packet is tried again |
//! | read timeout | 10 s | no answer takes so long but an upload of 50 MB from a slow network |
//! | stalled-stream protection | on | a download that stands still is given up, not waited for until the function ends |
//! | connections | shared by all clients of a process, kept for 20 s | opening one costs more than most calls |

use std::time::Duration;

use aws_config::{
    BehaviorVersion, Region, SdkConfig, environment::EnvironmentVariableCredentialsProvider,
    retry::RetryConfig, stalled_stream_protection::StalledStreamProtectionConfig, timeout::TimeoutConfig,
};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use super::http;

/// The clients that a deployment's functions use. A clone shares their connections.
#[derive(Debug, Clone)]
pub struct Services {
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// EventBridge.
    pub eventbridge: aws_sdk_eventbridge::Client,
    /// S3.
    pub s3: aws_sdk_s3::Client,
    /// Step Functions.
    pub sfn: aws_sdk_sfn::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// The Parameter Store of Systems Manager.
    pub ssm: aws_sdk_ssm::Client,
}

const TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const CONNECT: Duration = Duration::from_secs(1);
const READ: Duration = Duration::from_secs(10);

/// How long a local AWS may take: it is one process on a machine that it shares with all that it starts.
const PATIENCE: Duration = Duration::from_mins(1);

/// Clients as Lambda's environment says: Region, the role's credentials, and endpoints where there are others
/// than the services' own. Calls nobody; a client that is never used costs nothing but its configuration.
#[must_use]
pub fn services() -> Services {
    clients(
        &of_lambda()
            .retry_config(retries())
            .timeout_config(timeouts())
            .build(),
    )
}

/// A client for the connections of the WebSocket API at this address, as Lambda's environment says.
#[must_use]
pub fn gateway_of_lambda(endpoint: &str) -> aws_sdk_apigatewaymanagement::Client {
    let config = of_lambda()
        .retry_config(retries())
        .timeout_config(timeouts())
        .build();
    // Here it counts before what the environment says of all services' addresses.
    let config = aws_sdk_apigatewaymanagement::config::Builder::from(&config).endpoint_url(endpoint);
    aws_sdk_apigatewaymanagement::Client::from_conf(config.build())
}

/// What all clients of a function have in common. A function has no profile files and no other source of
/// credentials; what would look for them is a seventh of its binary, and a millisecond of its start.
pub(super) fn of_lambda() -> aws_types::sdk_config::Builder {
    let region = std::env::var("AWS_REGION").ok().map(Region::new);
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(region)
        .credentials_provider(SharedCredentialsProvider::new(
            EnvironmentVariableCredentialsProvider::new(),
        ))
        .http_client(http::for_services())
        .service_config(Variables)
}

/// `AWS_ENDPOINT_URL_{SERVICE}`, else `AWS_ENDPOINT_URL`.
#[derive(Debug)]
struct Variables;

impl LoadServiceConfig for Variables {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace(' ', "_");
        let of_service = std::env::var(format!("{}_{service}", key.env()));
        of_service.or_else(|_| std::env::var(key.env())).ok()
    }
}

/// Clients of a local AWS at this `http://` address, with more patience than AWS itself needs. It gets stand-in
/// credentials, never real ones.
#[must_use]
pub fn local_services(endpoint: &str, region: &'static str) -> Services {
    clients(&local(endpoint, region))
}

/// A client for the connections of a WebSocket API that a local AWS has at this `http://` address.
#[must_use]
pub fn local_gateway(endpoint: &str, region: &'static str) -> aws_sdk_apigatewaymanagement::Client {
    aws_sdk_apigatewaymanagement::Client::new(&local(endpoint, region))
}

fn local(endpoint: &str, region: &'static str) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "local");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(region))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http::for_this_machine())
        .retry_config(retries())
        .timeout_config(patience())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build()
}

fn clients(config: &SdkConfig) -> Services {
    Services {
        dynamodb: aws_sdk_dynamodb::Client::new(config),
        eventbridge: aws_sdk_eventbridge::Client::new(config),
        s3: aws_sdk_s3::Client::new(config),
        sfn: aws_sdk_sfn::Client::new(config),
        sqs: aws_sdk_sqs::Client::new(config),
        ssm: aws_sdk_ssm::Client::new(config),
    }
}

fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(TRIES)
        .with_initial_backoff(FIRST_PAUSE)
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(READ)
        .build()
}

fn patience() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(PATIENCE)
        .read_timeout(PATIENCE)
        .build()
}
