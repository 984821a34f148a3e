//! How the SDK's clients are made: once for each process, and then cloned. A clone shares its
//! connections, credentials and endpoint.
//!
//! What is set here, and why:
//!
//! | setting | value | reason |
//! | --- | --- | --- |
//! | retries | none | a model call is paid for; the stage decides about paying again, and the state machine about waiting |
//! | connect timeout | 3.1 s | a service that can't be reached should not use the stage's deadline up; one lost SYN packet (sent again after 1 s, then after 2 s) still passes |
//! | read and operation timeouts | none | a model may think for minutes; the stage's deadline bounds the whole call |
//! | stalled-stream protection | off | for the same reason: a silence is no fault, and the deadline bounds it |
//! | idle connections | kept for 20 s, any number | opening one costs a round trip and a TLS handshake; a service that closes first costs a call |
//! | TLS | rustls with ring, the system's root certificates | no C toolchain; a company's own root certificate works |
//!
//! # What a call costs
//!
//! Processor time of a call with 11 kB of text and an answer of eight deltas, client and scripted server
//! together (`examples/overhead.rs`, November 2026; the least of six runs each, on two busy cores):
//!
//! | variant | µs |
//! | --- | --- |
//! | access key, SDK's defaults otherwise | 179 |
//! | … without the identity cache | 167 |
//! | bearer token instead | 156 |
//! | … and no clock skew correction (it parses each reply's `Date`) | 132 |
//! | … or plain HTTP without the layer for TLS | 142 |
//!
//! The local server gets all three. Stalled-stream protection, retries, the connect timeout and the
//! identity cache of a token make no difference beyond the noise; endpoints are resolved once by the
//! SDK's own cache. With Bedrock itself an access key must sign, and the clock must be right.

mod credentials;
mod http;
#[cfg(feature = "services")]
mod services;

use std::time::Duration;

use aws_config::{
    BehaviorVersion, ConfigLoader, environment::EnvironmentVariableRegionProvider,
    meta::region::RegionProviderChain, profile::ProfileFileRegionProvider, retry::RetryConfig,
    timeout::TimeoutConfig,
};
use aws_sdk_bedrockruntime::{
    Client,
    config::{Builder, Config, Region, StalledStreamProtectionConfig, Token},
};

pub use self::credentials::credentials_found;
#[cfg(feature = "services")]
pub use self::services::{Services, gateway_of_lambda, local_gateway, local_services, services};

/// Where Bedrock Runtime is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BedrockConfig {
    /// As the AWS command line would find it: region, profile, single sign-on, `credential_process`,
    /// keys and roles, `AWS_BEARER_TOKEN_BEDROCK`, `AWS_ENDPOINT_URL_BEDROCK_RUNTIME`.
    FromEnvironment,
    /// A local model server at this `http://` address. It gets stand-in credentials, never real ones.
    LocalServer(String),
}

/// A client for Bedrock Runtime. Reads the environment and the profile files where the configuration
/// says so, and calls nobody; credentials are fetched when they are first needed.
pub async fn bedrock(config: BedrockConfig) -> Client {
    let config = match config {
        BedrockConfig::FromEnvironment => from_environment().await,
        BedrockConfig::LocalServer(endpoint) => local_server(endpoint),
    };
    Client::from_conf(config)
}

/// A client for Bedrock Runtime as Lambda's environment says.
#[cfg(feature = "services")]
#[must_use]
pub fn bedrock_of_lambda() -> Client {
    Client::from_conf(common(Builder::from(&services::of_lambda().build())))
}

/// Everything that every client has in common.
fn common(builder: Builder) -> Config {
    builder
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).build())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build()
}

const CONNECT: Duration = Duration::from_millis(3_100);

async fn from_environment() -> Config {
    common(Builder::from(&loader().load().await))
}

/// The shared configuration, as the AWS command line would find it.
fn loader() -> ConfigLoader {
    let loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http::for_services());
    if credentials::on_ec2() {
        return loader;
    }
    // The default chain would ask EC2's metadata service, and wait a second for nobody to answer.
    let chain = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new());
    loader.region(chain.or_else(ProfileFileRegionProvider::new()))
}

/// A bearer token and not an access key: a signature takes a sixth of what a call costs this machine, and
/// nobody looks at it there. Where nothing is signed, no clock can be wrong.
fn local_server(endpoint: String) -> Config {
    let builder = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(endpoint)
        .bearer_token(Token::new("local", None))
        .disable_clock_skew_correction(true)
        .http_client(http::for_this_machine());
    common(builder)
}
