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

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};

use super::{http, loader};

/// The clients that a deployment's functions use. A clone shares their connections.
#[derive(Debug, Clone)]
pub struct Services {
    /// `DynamoDB`.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// `EventBridge`.
    pub eventbridge: aws_sdk_eventbridge::Client,
    /// S3.
    pub s3: aws_sdk_s3::Client,
    /// Step Functions.
    pub sfn: aws_sdk_sfn::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
}

const TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const CONNECT: Duration = Duration::from_secs(1);
const READ: Duration = Duration::from_secs(10);

/// Clients as the environment and the profile files say. Calls nobody; a client that is never used costs
/// nothing but its configuration.
pub async fn services() -> Services {
    let config = loader().retry_config(retries()).timeout_config(timeouts());
    clients(&config.load().await)
}

/// Clients of a local AWS at this `http://` address. It gets stand-in credentials, never real ones.
#[must_use]
pub fn local_services(endpoint: &str, region: &'static str) -> Services {
    let credentials = Credentials::new("test", "test", None, None, "local");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(region))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http::for_this_machine())
        .retry_config(retries())
        .timeout_config(timeouts())
        .build();
    clients(&config)
}

fn clients(config: &SdkConfig) -> Services {
    Services {
        dynamodb: aws_sdk_dynamodb::Client::new(config),
        eventbridge: aws_sdk_eventbridge::Client::new(config),
        s3: aws_sdk_s3::Client::new(config),
        sfn: aws_sdk_sfn::Client::new(config),
        sqs: aws_sdk_sqs::Client::new(config),
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
