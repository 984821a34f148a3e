//! What errors are called in the domain: every row of the mapping is a case.

use crate::support::{Canned, LONG, bedrock, client, event, exception, request};
use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError, future};
use aws_sdk_bedrockruntime::{
    Client,
    config::{BehaviorVersion, Config, Credentials, Region},
};
use bedrock_diy_aws::Bedrock;
use bedrock_diy_core::{
    error::{Code, Failure},
    model::Message,
    ports::Model,
};
use serde_json::json;

async fn failure(reply: Canned) -> Failure {
    reply.asked(&request()).await.unwrap_err()
}

#[expect(
    clippy::too_many_lines,
    reason = "a table: every row of the mapping is a line or a few"
)]
#[tokio::test]
async fn errors_instead_of_an_answer_are_told_in_the_domains_terms() {
    let cases = [
        (
            429,
            "ThrottlingException",
            "Too many requests",
            Code::ModelThrottled,
        ),
        (
            400,
            "ThrottlingException",
            "Too many tokens, please wait",
            Code::ModelThrottled,
        ),
        (
            400,
            "ServiceQuotaExceededException",
            "Your quota exceeds it",
            Code::ModelThrottled,
        ),
        (429, "SomethingNewException", "Slow down", Code::ModelThrottled),
        (429, "", "", Code::ModelThrottled),
        (408, "ModelTimeoutException", "Timed out", Code::ModelTimeout),
        (408, "", "", Code::ModelTimeout),
        (500, "InternalServerException", "Oh", Code::ModelUnavailable),
        (500, "InternalFailure", "Oh", Code::ModelUnavailable),
        (
            503,
            "ServiceUnavailableException",
            "Later",
            Code::ModelUnavailable,
        ),
        (
            424,
            "ModelErrorException",
            "The model failed",
            Code::ModelUnavailable,
        ),
        (
            424,
            "ModelStreamErrorException",
            "The model failed",
            Code::ModelUnavailable,
        ),
        (429, "ModelNotReadyException", "Wait", Code::ModelUnavailable),
        (502, "", "", Code::ModelUnavailable),
        (599, "SomethingNewException", "Oh", Code::ModelUnavailable),
        (
            403,
            "AccessDeniedException",
            "You don't have access to the model",
            Code::ModelAccessDenied,
        ),
        (
            403,
            "UnrecognizedClientException",
            "The security token is invalid",
            Code::ModelAccessDenied,
        ),
        (
            403,
            "ExpiredTokenException",
            "The security token is expired",
            Code::ModelAccessDenied,
        ),
        (
            403,
            "InvalidSignatureException",
            "Signature expired",
            Code::ModelAccessDenied,
        ),
        (
            403,
            "MissingAuthenticationTokenException",
            "Missing",
            Code::ModelAccessDenied,
        ),
        (
            400,
            "ValidationException",
            "Operation not allowed",
            Code::ModelAccessDenied,
        ),
        (
            404,
            "ResourceNotFoundException",
            "Model use case details have not been submitted",
            Code::ModelAccessDenied,
        ),
        (401, "", "", Code::ModelAccessDenied),
        (
            404,
            "ResourceNotFoundException",
            "Could not resolve the foundation model",
            Code::ModelNotFound,
        ),
        (404, "", "", Code::ModelNotFound),
        (
            400,
            "ValidationException",
            "The provided model identifier is invalid.",
            Code::ModelNotFound,
        ),
        (
            400,
            "ValidationException",
            "Invocation of model ID x with on-demand throughput isn\u{2019}t supported.",
            Code::ModelNotFound,
        ),
        (
            400,
            "ValidationException",
            "Input is too long for requested model.",
            Code::ArticleTooLong,
        ),
        (
            400,
            "ValidationException",
            "prompt is too long: 208310 tokens > 200000 maximum",
            Code::ArticleTooLong,
        ),
        (
            400,
            "ValidationException",
            "input length and `max_tokens` exceed context limit: 199000 + 4096 > 200000",
            Code::ArticleTooLong,
        ),
        (
            400,
            "ValidationException",
            "This model's maximum context length is 8192 tokens.",
            Code::ArticleTooLong,
        ),
        (
            400,
            "ValidationException",
            "Too many input tokens. Max input tokens: 8192",
            Code::ArticleTooLong,
        ),
        (
            400,
            "ValidationException",
            "The text exceeds the limit",
            Code::ArticleTooLong,
        ),
        (413, "", "", Code::ArticleTooLong),
        (
            400,
            "ValidationException",
            "output_config.format.schema: a name exceeds 64 characters",
            Code::InvalidRequest,
        ),
        (
            400,
            "ValidationException",
            "The maximum tokens you requested exceeds the model limit of 4096.",
            Code::InvalidRequest,
        ),
        (
            400,
            "ValidationException",
            "Malformed input request",
            Code::InvalidRequest,
        ),
        (400, "SomethingNewException", "Not so", Code::InvalidRequest),
    ];
    for (status, name, message, expected) in cases {
        let failure = failure(Canned::error(status, name, message)).await;
        assert_eq!(failure.code, expected, "{status} {name} {message}: {failure}");
        assert!(failure.detail.contains(&request().model), "{failure}");
        assert!(failure.detail.contains(message), "{failure}");
        assert!(failure.detail.contains(name), "{failure}");
    }
}

#[tokio::test]
async fn exceptions_within_an_answer_mean_the_same() {
    let cases = [
        ("throttlingException", "Too many tokens", Code::ModelThrottled),
        ("modelTimeoutException", "Timed out", Code::ModelTimeout),
        ("internalServerException", "Oh", Code::ModelUnavailable),
        ("serviceUnavailableException", "Later", Code::ModelUnavailable),
        (
            "modelStreamErrorException",
            "The model failed",
            Code::ModelUnavailable,
        ),
        ("accessDeniedException", "No", Code::ModelAccessDenied),
        (
            "validationException",
            "Input is too long for requested model.",
            Code::ArticleTooLong,
        ),
        (
            "validationException",
            "Malformed input request",
            Code::InvalidRequest,
        ),
        ("somethingNewException", "Oh", Code::ModelUnavailable),
    ];
    for (name, message, expected) in cases {
        let delta = json!({"contentBlockIndex": 0, "delta": {"text": "Bridge"}});
        let reply = Canned::stream(&[event("contentBlockDelta", &delta), exception(name, message)]);
        let failure = failure(reply).await;
        assert_eq!(failure.code, expected, "{name} {message}: {failure}");
        assert!(failure.detail.contains(message), "{failure}");
        assert!(failure.detail.contains(name), "{failure}");
    }
}

#[tokio::test]
async fn when_to_come_back_is_passed_on() {
    let throttled = || Canned::error(429, "ThrottlingException", "Too many requests");
    assert_eq!(
        failure(throttled().header("retry-after", "17")).await.retry_after,
        Some(17)
    );
    assert_eq!(failure(throttled()).await.retry_after, None);
    let unavailable = Canned::error(503, "ServiceUnavailableException", "Later");
    assert_eq!(
        failure(unavailable.header("retry-after", "17")).await.retry_after,
        None
    );
}

#[tokio::test]
async fn a_proxys_error_page_is_judged_by_its_status() {
    for (status, expected) in [
        (403, Code::ModelAccessDenied),
        (429, Code::ModelThrottled),
        (502, Code::ModelUnavailable),
    ] {
        let failure = failure(Canned::page(status)).await;
        assert_eq!(failure.code, expected, "{status}: {failure}");
    }
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unavailable() {
    // Port 9 discards, where anybody listens at all.
    let bedrock = bedrock("http://127.0.0.1:9".into()).await;
    let failure = bedrock.converse(&request(), LONG, &mut |_| {}).await.unwrap_err();
    assert_eq!(failure.code, Code::ModelUnavailable, "{failure}");
}

#[tokio::test]
async fn an_endpoint_that_is_no_address_is_an_invalid_request() {
    let bedrock = bedrock("here:there:everywhere".into()).await;
    let failure = bedrock.converse(&request(), LONG, &mut |_| {}).await.unwrap_err();
    assert_eq!(failure.code, Code::InvalidRequest, "{failure}");
    assert!(!failure.detail.contains("Nordhafen"), "{failure}");
}

/// A chain of credential sources in which nothing was found.
#[derive(Debug)]
struct Nobody;

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded_no_source()))
    }
}

#[tokio::test]
async fn without_credentials_or_region_the_remedy_is_named() {
    let http = client("http://127.0.0.1:9".into()).await.config().http_client();
    let config = || {
        Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http.clone().unwrap())
    };
    let anywhere = config().region(Region::from_static("us-east-1"));
    let nobody = anywhere.credentials_provider(Nobody).build();
    let somebody = Credentials::new("id", "secret", None, None, "test");
    let nowhere = config().credentials_provider(somebody).build();
    for (config, code, remedy) in [
        (nobody, Code::ModelAccessDenied, "aws configure"),
        (nowhere, Code::InvalidRequest, "AWS_REGION"),
    ] {
        let bedrock = Bedrock::new(Client::from_conf(config));
        let failure = bedrock.converse(&request(), LONG, &mut |_| {}).await.unwrap_err();
        assert_eq!(failure.code, code, "{failure}");
        assert!(failure.detail.contains(remedy), "{failure}");
    }
}

#[tokio::test]
async fn no_failure_quotes_the_prompt() {
    let secret = "The council of Nordhafen voted on Monday to close the old bridge for repairs";
    let mut request = request();
    request.messages = vec![Message::user(format!("{secret} until spring."))];
    for message in [
        format!("Malformed input request: {secret}: that is no JSON"),
        format!("1 validation error detected: Value '{secret}' at 'messages.1' failed to satisfy constraint"),
        "1 validation error detected: Value 'Nordhafen' at 'messages.1' failed to satisfy constraint"
            .to_owned(),
        format!("{}{secret}", "x".repeat(290)),
    ] {
        let reply = Canned::error(400, "ValidationException", &message);
        let failure = reply.asked(&request).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidRequest, "{failure}");
        for word in ["Nordhafen", "voted on Monday", "old bridge"] {
            assert!(!failure.detail.contains(word), "{failure}");
        }
        assert!(failure.detail.chars().count() < 450, "{failure}");
    }
}
