//! What went wrong with a call, in the domain's terms.

use std::{error::Error, fmt::Debug};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_bedrockruntime::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http::endpoint::ResolveEndpointError as NoEndpoint;
use aws_smithy_runtime_api::client::{
    endpoint::error::ResolveEndpointError as NoUsableEndpoint, orchestrator::HttpResponse,
    result::ServiceError,
};
use aws_smithy_types::{event_stream::RawMessage, str_bytes::StrBytes};
use bedrock_diy_core::{
    error::{Code, Failure},
    model::ModelRequest,
};

use super::redact;

/// The failure that an error of the SDK stands for, whether it came instead of an answer or within one.
///
/// The names and statuses are those of `ConverseStream` and of the errors common to all operations
/// (Amazon Bedrock API reference, 2026-11). A name says more than a status, so it is asked first.
pub(super) fn failure<E, R>(error: &SdkError<E, R>, request: &ModelRequest) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
    R: Reply + Debug + 'static,
{
    let model = request.model.as_str();
    let (code, detail) = match error {
        SdkError::ServiceError(service) => return refused(service, request),
        SdkError::ResponseError(_) => (
            Code::ModelUnavailable,
            format!("the answer of {model} broke off or can't be read"),
        ),
        SdkError::TimeoutError(_) => (Code::ModelTimeout, format!("{model} took too long")),
        _ if is_caused_by::<CredentialsError>(error) => (
            Code::ModelAccessDenied,
            format!(
                "no usable AWS credentials were found for {model}: run `aws configure` or `aws sso login`, \
                 or set `AWS_PROFILE`"
            ),
        ),
        _ if is_caused_by::<NoEndpoint>(error) || is_caused_by::<NoUsableEndpoint>(error) => (
            Code::InvalidRequest,
            format!("where to call {model} is not clear: set `AWS_REGION`, and check the endpoint's address"),
        ),
        SdkError::ConstructionFailure(_) => {
            (Code::InvalidRequest, format!("the call of {model} can't be made"))
        }
        // Connecting is the only thing that the HTTP client gives up on by itself, so its timeouts mean
        // that nobody is there, not that a model is slow.
        _ => (
            Code::ModelUnavailable,
            format!("the service of {model} can't be reached or hung up"),
        ),
    };
    Failure::new(code, format!("{detail} ({})", root(error)))
}

/// Whether the service refused a call for its output format: it has none for this model
/// (`output_config.format: Extra inputs are not permitted`), or not for this schema (`The compiled grammar
/// is too large`).
pub(super) fn is_about_format(failure: &Failure) -> bool {
    let said = failure.detail.to_ascii_lowercase();
    let names = [
        "output_config",
        "outputconfig",
        "output_format",
        "response_format",
        "structured output",
        "schema",
        "grammar",
    ];
    failure.code == Code::InvalidRequest && names.iter().any(|name| said.contains(name))
}

/// The service answered, and says no.
fn refused<E, R>(error: &ServiceError<E, R>, request: &ModelRequest) -> Failure
where
    E: ProvideErrorMetadata,
    R: Reply,
{
    let reply = error.raw();
    let said = error.err().message().unwrap_or_default();
    let name = error.err().code().or_else(|| reply.exception());
    let code = name
        .and_then(|name| by_name(name, said))
        .unwrap_or_else(|| by_status(reply.status(), said));
    let said = redact::without_quotes(said, request);
    let mut failure = Failure::new(code, sentence(&request.model, name, reply.status(), &said));
    failure.retry_after = reply.retry_after().filter(|_| code == Code::ModelThrottled);
    failure
}

/// What is known about a reply besides the error that it holds.
pub(super) trait Reply {
    /// The HTTP status, where the error came instead of an answer.
    fn status(&self) -> Option<u16>;
    /// When to come back, in seconds.
    fn retry_after(&self) -> Option<u32>;
    /// The exception's name, where the error came within an answer.
    fn exception(&self) -> Option<&str>;
}

impl Reply for HttpResponse {
    fn status(&self) -> Option<u16> {
        Some(self.status().as_u16())
    }

    fn retry_after(&self) -> Option<u32> {
        self.headers().get("retry-after")?.trim().parse().ok()
    }

    fn exception(&self) -> Option<&str> {
        None
    }
}

impl Reply for RawMessage {
    fn status(&self) -> Option<u16> {
        None
    }

    fn retry_after(&self) -> Option<u32> {
        None
    }

    fn exception(&self) -> Option<&str> {
        let Self::Decoded(message) = self else {
            return None;
        };
        let header = message
            .headers()
            .iter()
            .find(|header| header.name().as_str() == ":exception-type")?;
        header.value().as_string().ok().map(StrBytes::as_str)
    }
}

/// `throttlingException` within an answer is `ThrottlingException` instead of one.
fn by_name(name: &str, said: &str) -> Option<Code> {
    let name = name.strip_suffix("Exception").unwrap_or(name);
    let code = match name.to_ascii_lowercase().as_str() {
        "throttling" | "throttled" | "toomanyrequests" | "servicequotaexceeded" | "limitexceeded" => {
            Code::ModelThrottled
        }
        "modeltimeout" | "requesttimeout" => Code::ModelTimeout,
        "internalserver"
        | "internalservererror"
        | "internalfailure"
        | "serviceunavailable"
        | "modelstreamerror"
        | "modelnotready"
        | "modelerror" => Code::ModelUnavailable,
        "accessdenied"
        | "notauthorized"
        | "optinrequired"
        | "unrecognizedclient"
        | "invalidclienttokenid"
        | "expiredtoken"
        | "requestexpired"
        | "invalidsignature"
        | "signaturedoesnotmatch"
        | "incompletesignature"
        | "missingauthenticationtoken" => Code::ModelAccessDenied,
        "resourcenotfound" => not_found(said),
        "validation" | "validationerror" => invalid(said),
        _ => return None,
    };
    Some(code)
}

fn by_status(status: Option<u16>, said: &str) -> Code {
    match status {
        Some(429) => Code::ModelThrottled,
        Some(408) => Code::ModelTimeout,
        Some(401 | 403) => Code::ModelAccessDenied,
        Some(404) => not_found(said),
        Some(413) => Code::ArticleTooLong,
        Some(400..=499) => invalid(said),
        _ => Code::ModelUnavailable,
    }
}

/// Bedrock hides models from accounts that have not yet told their provider what they are for.
fn not_found(said: &str) -> Code {
    if said.contains("use case") {
        Code::ModelAccessDenied
    } else {
        Code::ModelNotFound
    }
}

/// Bedrock tells everything that it refuses by one name, so its message decides.
fn invalid(said: &str) -> Code {
    let said = said.to_ascii_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| said.contains(phrase));
    if says(&["model identifier is invalid", "on-demand throughput"]) {
        Code::ModelNotFound
    } else if says(&["output_config", "outputconfig", "compiled grammar"]) {
        // Whatever is too much there is not the article.
        Code::InvalidRequest
    } else if says(&["operation not allowed"]) {
        Code::ModelAccessDenied
    } else if says(&[
        "context limit",
        "context length",
        "context window",
        "maximum context",
    ]) {
        Code::ArticleTooLong
    } else if says(&["maximum tokens you requested", "output tokens"]) {
        // These exceed something too, but a shorter article would not help.
        Code::InvalidRequest
    } else if says(&["too long", "exceeds", "input tokens", "input token"]) {
        Code::ArticleTooLong
    } else {
        Code::InvalidRequest
    }
}

/// What happened, and the name that people will look for.
fn sentence(model: &str, name: Option<&str>, status: Option<u16>, said: &str) -> String {
    let renew = matches!(
        name,
        Some(
            "ExpiredTokenException"
                | "UnrecognizedClientException"
                | "InvalidClientTokenId"
                | "InvalidSignatureException"
                | "RequestExpired"
        )
    );
    let what = match (name, status) {
        (Some(name), _) => name.to_owned(),
        (None, Some(status)) => format!("HTTP status {status}"),
        (None, None) => "an error without a name".to_owned(),
    };
    let advice = if renew {
        "; renew the AWS credentials, for example with `aws sso login`, and check this machine's clock"
    } else {
        ""
    };
    let colon = if said.is_empty() { "" } else { ": " };
    format!("the service of {model} answered {what}{colon}{said}{advice}")
}

/// The innermost cause. Those on the way to it may hold the whole request, prompts and all: the SDK
/// prints it where an endpoint can't be applied.
fn root(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

fn is_caused_by<C: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(<dyn Error>::is::<C>)
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
