//! Errors as the API tells them: problem details (RFC 9457).

use std::borrow::Cow;

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bedrock_diy_core::{
    Class, Code, Failure, JobId,
    fault::Fault,
    job::{Job, session_busy},
};
use serde::Serialize;
use utoipa::{PartialSchema, ToSchema, openapi::Components};

/// The media type of problem details (RFC 9457, section 3).
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// How long to wait before asking again where a service is away, in seconds.
const RETRY_AFTER: u32 = 5;

/// What went wrong with a request.
///
/// As a response it is empty at first: the outermost layer writes its document, because that one knows the
/// request's id.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    faults: Vec<Fault>,
    job: Option<JobId>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Problem details (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument<'a> {
    /// `about:blank`: `code` says which problem it is.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The HTTP status in words.
    pub title: &'a str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// The stable name of the problem; those of jobs' errors are the same ones.
    pub code: &'a str,
    /// What happened, to which thing, and what to do about it.
    pub detail: &'a str,
    /// The path of the request.
    pub instance: &'a str,
    /// The request's id: name it when you ask for help.
    pub request_id: &'a str,
    /// Of `SessionBusy`: the job that has not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<&'a str>,
    /// Everything that is wrong with what was sent, where that is known in detail.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultDocument<'a>>,
}

/// Something that is wrong with what was sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Fault)]
pub(crate) struct FaultDocument<'a> {
    /// Where: a JSON Pointer (RFC 6901) into the body, or the name of a parameter.
    pub field: &'a str,
    /// The stable name of the fault.
    pub code: &'a str,
    /// What is wrong there.
    pub detail: &'a str,
}

impl Problem {
    /// A problem of the API itself, of this status.
    fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            faults: Vec::new(),
            job: None,
            headers: Vec::new(),
        }
    }

    /// What was sent can't be read at all.
    pub(crate) fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::InvalidRequest.as_str(), detail)
    }

    /// A parameter of the address makes no sense.
    pub(crate) fn parameter(name: &str, detail: impl Into<String>) -> Self {
        let fault = Fault::new(Code::InvalidRequest, name, detail);
        Self {
            faults: vec![fault.clone()],
            ..Self::malformed(format!("The parameter `{name}` can't be used: {}.", fault.detail))
        }
    }

    /// What was sent can be read and makes no sense: everything that is wrong with it.
    pub(crate) fn invalid(faults: Vec<Fault>) -> Self {
        let code = faults.first().map_or(Code::InvalidRequest, |fault| fault.code);
        let detail = match faults.as_slice() {
            [one] => one.detail.clone(),
            many => format!("{} things are wrong: `faults` lists them.", many.len()),
        };
        Self {
            faults,
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, code.as_str(), detail)
        }
    }

    /// Nobody said who asks, or what they showed is not good.
    pub(crate) fn unauthorized(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", detail)
            .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// The caller may know of it, and not do this to it.
    pub(crate) fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", detail)
    }

    /// There is no such thing, or none that the caller may know of.
    pub(crate) fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", detail)
    }

    /// The project is not there, or none that the caller may know of.
    pub(crate) fn no_project(project: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            Code::ProjectNotFound.as_str(),
            format!("There is no project {project} that you work on."),
        )
    }

    /// The path has no such method.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            "This can't be done here: the header `Allow` lists what can.",
        )
    }

    /// It can't be done as things stand.
    pub(crate) fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, "Conflict", detail)
    }

    /// This is the last job of the session, and has not ended.
    pub(crate) fn session_busy(open: &Job) -> Self {
        Self {
            job: Some(open.job_id.clone()),
            ..Self::from(session_busy(open))
        }
    }

    /// Somebody else has changed it since it was read.
    pub(crate) fn stale(etag: HeaderValue) -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "PreconditionFailed",
            "Somebody else has changed it since you read it: read it again, and send your change with the new `ETag`.",
        )
        .with(header::ETAG, etag)
    }

    /// A change has to say which version it was made from.
    pub(crate) fn unconditional() -> Self {
        Self::new(
            StatusCode::PRECONDITION_REQUIRED,
            "PreconditionRequired",
            "Send the `ETag` of what you have read in `If-Match`, so that nobody's change is lost; `*` changes it whatever it is.",
        )
    }

    /// The body is larger than it may be.
    pub(crate) fn too_large(limit: usize, remedy: &str) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::ArticleTooLarge.as_str(),
            format!("The body may have up to {limit} bytes. {remedy}"),
        )
    }

    /// The body is of a kind that is not read here.
    pub(crate) fn unsupported(accepted: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::UnsupportedFormat.as_str(),
            format!("Send {accepted}, and say so in `Content-Type`."),
        )
    }

    /// Nothing that can be answered is what the caller accepts.
    pub(crate) fn not_acceptable(offered: &str) -> Self {
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            "NotAcceptable",
            format!("This can be had as {offered}."),
        )
    }

    /// A fault of ours.
    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Code::InternalError.as_str(),
            "This is a fault of BedrockDiy. Its logs tell more under the request's id.",
        )
    }

    /// With a header more.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable name.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// Its document, for this request.
    pub(crate) fn document<'a>(&'a self, instance: &'a str, request_id: &'a str) -> ProblemDocument<'a> {
        ProblemDocument {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            instance,
            request_id,
            job_id: self.job.as_ref().map(JobId::as_str),
            faults: self
                .faults
                .iter()
                .map(|fault| FaultDocument {
                    field: &fault.field,
                    code: fault.code.as_str(),
                    detail: &fault.detail,
                })
                .collect(),
        }
    }

    /// The whole response to this request.
    pub(crate) fn response(&self, instance: &str, request_id: &str) -> Response {
        let document = self.document(instance, request_id);
        // Strings and numbers can always be written as JSON.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        response
    }
}

/// Adds the schema of problem details to a document's components.
pub(crate) fn describe(components: &mut Components) {
    for (name, schema) in [
        ("Problem", ProblemDocument::schema()),
        ("Fault", FaultDocument::schema()),
    ] {
        components.schemas.insert(name.to_owned(), schema);
    }
}

/// The one place where a failure becomes a status.
impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let status = match failure.code {
            Code::ProjectNotFound | Code::ArticleNotFound => StatusCode::NOT_FOUND,
            Code::ProjectInactive | Code::NoActiveCards | Code::SessionBusy | Code::Cancelled => {
                StatusCode::CONFLICT
            }
            Code::ArticleTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::UnsupportedFormat => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::InvalidRequest => StatusCode::BAD_REQUEST,
            Code::ModelThrottled => StatusCode::TOO_MANY_REQUESTS,
            Code::ModelTimeout => StatusCode::GATEWAY_TIMEOUT,
            Code::ModelUnavailable | Code::ModelAccessDenied => StatusCode::BAD_GATEWAY,
            Code::StorageUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::InternalError => {
                tracing::error!(code = %failure.code, error = %failure, "a request failed");
                return Self::internal();
            }
            Code::ArticleTooLong
            | Code::UnreadableArticle
            | Code::TemplateInvalid
            | Code::OutputTruncated
            | Code::SchemaMismatch
            | Code::OutputUnusable
            | Code::ContentBlocked
            | Code::ModelNotFound
            | Code::BudgetExceeded => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let problem = Self::new(status, failure.code.as_str(), failure.message());
        if failure.code.class() == Class::Retryable {
            tracing::warn!(code = %failure.code, error = %failure, "a request can't be answered now");
            let seconds = failure.retry_after.unwrap_or(RETRY_AFTER);
            return problem.with(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_status_and_what_time_heals_says_when_to_come_again() {
        for code in Code::ALL {
            let problem = Problem::from(Failure::new(code, "why"));
            assert!(problem.status.is_client_error() || problem.status.is_server_error());
            assert_eq!(problem.code, code.as_str());
            let says_when = problem
                .headers
                .iter()
                .any(|(name, _)| name == header::RETRY_AFTER);
            assert_eq!(says_when, code.class() == Class::Retryable, "{code}");
        }
    }

    #[test]
    fn a_fault_of_ours_tells_nothing_of_the_inside() {
        let problem = Problem::from(Failure::new(Code::InternalError, "table x has no row y"));
        assert!(!problem.detail.contains("table x"));
    }
}
