//! Bedrock's exceptions: HTTP status, `x-amzn-ErrorType`, and `{"message": …}`.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::json;

/// The exceptions that Bedrock Runtime names, and those that AWS's front door adds.
/// Statuses: the Amazon Bedrock Runtime API reference, "Errors" of each operation.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// 400: the request is not what it should be.
    Validation,
    /// 403: the caller may not use this model.
    AccessDenied,
    /// 403: the request carries no `Authorization`.
    MissingAuthenticationToken,
    /// 404: the resource behind an ARN isn't there.
    ResourceNotFound,
    /// 404: no operation is served at this path.
    UnknownOperation,
    /// 429: requests or tokens a minute are used up.
    Throttling,
    /// 400: a service quota is exceeded for good.
    ServiceQuotaExceeded,
    /// 408: the model took too long.
    ModelTimeout,
    /// 424: the model failed.
    ModelError,
    /// 424: the model failed while it was answering.
    ModelStreamError,
    /// 429: the model is still being made ready.
    ModelNotReady,
    /// 500: Bedrock failed.
    InternalServer,
    /// 503: Bedrock is unavailable for the moment.
    ServiceUnavailable,
}

impl ErrorKind {
    /// The exception's name, `ThrottlingException`.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.shape().1
    }

    /// The exception's HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        self.shape().0
    }

    /// The message that Bedrock sends with it.
    #[must_use]
    pub fn usual_message(self) -> &'static str {
        self.shape().2
    }

    /// The exception's name within a stream, `throttlingException`.
    #[must_use]
    pub fn stream_code(self) -> &'static str {
        match self {
            Self::Validation => "validationException",
            Self::AccessDenied => "accessDeniedException",
            Self::MissingAuthenticationToken => "missingAuthenticationTokenException",
            Self::ResourceNotFound => "resourceNotFoundException",
            Self::UnknownOperation => "unknownOperationException",
            Self::Throttling => "throttlingException",
            Self::ServiceQuotaExceeded => "serviceQuotaExceededException",
            Self::ModelTimeout => "modelTimeoutException",
            Self::ModelError => "modelErrorException",
            Self::ModelStreamError => "modelStreamErrorException",
            Self::ModelNotReady => "modelNotReadyException",
            Self::InternalServer => "internalServerException",
            Self::ServiceUnavailable => "serviceUnavailableException",
        }
    }

    fn shape(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::Validation => (
                400,
                "ValidationException",
                "Malformed input request, please reformat your input and try again.",
            ),
            Self::AccessDenied => (
                403,
                "AccessDeniedException",
                "You don't have access to the model with the specified model ID.",
            ),
            Self::MissingAuthenticationToken => (
                403,
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            ),
            Self::ResourceNotFound => (
                404,
                "ResourceNotFoundException",
                "Could not resolve the foundation model from the provided model identifier.",
            ),
            Self::UnknownOperation => (
                404,
                "UnknownOperationException",
                "The requested operation is not served here.",
            ),
            Self::Throttling => (
                429,
                "ThrottlingException",
                "Too many requests, please wait before trying again.",
            ),
            Self::ServiceQuotaExceeded => (
                400,
                "ServiceQuotaExceededException",
                "Your request exceeds the service quota for your account.",
            ),
            Self::ModelTimeout => (
                408,
                "ModelTimeoutException",
                "Model has timed out in processing the request. Try your request again.",
            ),
            Self::ModelError => (
                424,
                "ModelErrorException",
                "The system encountered an unexpected error during processing. Try your request again.",
            ),
            Self::ModelStreamError => (
                424,
                "ModelStreamErrorException",
                "The system encountered an unexpected error during processing. Try your request again.",
            ),
            Self::ModelNotReady => (
                429,
                "ModelNotReadyException",
                "Model is not ready for inference. Wait and try your request again.",
            ),
            Self::InternalServer => (
                500,
                "InternalServerException",
                "The system encountered an unexpected error during processing. Try your request again.",
            ),
            Self::ServiceUnavailable => (
                503,
                "ServiceUnavailableException",
                "Bedrock is unable to process your request.",
            ),
        }
    }
}

/// One of Bedrock's exceptions with its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceError {
    /// Which one.
    pub kind: ErrorKind,
    /// What the client is told.
    pub message: Cow<'static, str>,
}

impl ServiceError {
    /// An exception with a message of its own.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// A `ValidationException`.
    pub fn validation(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Validation, message)
    }

    /// The answer to a model id that isn't served.
    #[must_use]
    pub fn unknown_model() -> Self {
        Self::validation("The provided model identifier is invalid.")
    }

    /// The answer to a request that doesn't fit the model's context.
    #[must_use]
    pub fn input_too_long() -> Self {
        Self::validation("Input is too long for requested model.")
    }

    /// The answer when the requests of this minute are used up.
    #[must_use]
    pub fn too_many_requests() -> Self {
        ErrorKind::Throttling.into()
    }

    /// The answer when the tokens of this minute are used up.
    #[must_use]
    pub fn too_many_tokens() -> Self {
        Self::new(
            ErrorKind::Throttling,
            "Too many tokens, please wait before trying again.",
        )
    }

    /// The JSON body. `ModelErrorException` and `ModelStreamErrorException` also tell what the model said.
    pub(crate) fn body(&self) -> String {
        match self.kind {
            ErrorKind::ModelError => json!({
                "message": self.message, "originalStatusCode": 500, "resourceName": "model",
            }),
            ErrorKind::ModelStreamError => json!({
                "message": self.message, "originalStatusCode": 500, "originalMessage": self.message,
            }),
            _ => json!({ "message": self.message }),
        }
        .to_string()
    }
}

impl From<ErrorKind> for ServiceError {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind, kind.usual_message())
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.code(), self.message)
    }
}

impl std::error::Error for ServiceError {}
