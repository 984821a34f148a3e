//! What storage services have in common: what their errors mean.

use std::error::Error;

use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_smithy_runtime_api::{
    client::{orchestrator::HttpResponse, result::SdkError},
    http::StatusCode,
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use bedrock_diy_core::{Code, Failure};

/// Names that services give to a passing state of theirs, and that the SDK's own lists do not have
/// (API references of DynamoDB, EventBridge, Step Functions, Amazon S3, Amazon SQS and
/// AWS Systems Manager, 2026-11).
const PASSING: [&str; 12] = [
    "ConcurrentExecutionExceeded",
    "ConcurrentModificationException",
    "ExecutionLimitExceeded",
    "InternalError",
    "InternalException",
    "InternalFailure",
    "InternalServerError",
    "KmsThrottled",
    "LimitExceededException",
    "OperationAborted",
    "TooManyUpdates",
    "TransactionInProgressException",
];

/// The failure that an error of a storage service stands for; `what` was to be done.
///
/// Whatever may be better in a moment is [`Code::StorageUnavailable`]: throttles, the service's own
/// faults, an unreachable service. A request that the service will never take is [`Code::InternalError`]:
/// a missing permission or a missing table is a matter of the deployment, not of the article.
pub(crate) fn failure<E>(what: &str, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let SdkError::ServiceError(refused) = error else {
        return match error {
            SdkError::ConstructionFailure(_) => Failure::new(
                Code::InternalError,
                format!("{what}: the request can't be made ({})", root(error)),
            ),
            _ => unavailable(format!(
                "{what}: the service can't be reached or hung up ({})",
                root(error)
            )),
        };
    };
    let (name, status) = (refused.err().code().unwrap_or("no name"), refused.raw().status());
    let said = refused.err().message().unwrap_or("no reason given");
    let detail = format!("{what}: the service says {name}: {said}");
    if is_passing(name, status) {
        unavailable(detail)
    } else {
        Failure::new(Code::InternalError, detail)
    }
}

fn is_passing(name: &str, status: StatusCode) -> bool {
    status.is_server_error()
        || status.as_u16() == 429
        || [THROTTLING_ERRORS, TRANSIENT_ERRORS, &PASSING]
            .iter()
            .any(|names| names.contains(&name))
}

/// The failure of something that may succeed in a moment.
pub(crate) fn unavailable(detail: impl Into<String>) -> Failure {
    Failure::new(Code::StorageUnavailable, detail)
}

/// The failure of a stored document that is not what we wrote.
pub(crate) fn corrupt(what: &str, error: impl std::fmt::Display) -> Failure {
    Failure::new(
        Code::InternalError,
        format!("a stored {what} can't be read: {error}"),
    )
}

/// The error at the bottom, which says what happened.
fn root(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
