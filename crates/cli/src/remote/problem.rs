//! What the API refuses, as a failure that says what to do.

use bedrock_diy_core::{Code, Failure, JobId};
use serde::Deserialize;

use crate::terminal::plain_lines;

/// Why a request came to nothing.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// The HTTP status; nothing where there was no answer.
    pub(crate) status: Option<u16>,
    /// What is said to whoever typed the command.
    pub(crate) failure: Failure,
    /// The job that stands in the way, where it is one.
    pub(crate) job: Option<JobId>,
}

impl Refusal {
    /// There was no answer, or none that could be understood.
    pub(super) fn unanswered(detail: impl Into<String>) -> Self {
        Self::from(Failure::new(Code::StorageUnavailable, detail))
    }

    /// What an answer of this status with this body says. `advice` is what to do about a token that is not good.
    pub(super) fn of(status: u16, body: &[u8], what: &str, advice: &str) -> Self {
        let told = Told::read(body);
        let mut lines = vec![told.sentence(status, what)];
        match status {
            401 => lines.push(advice.to_owned()),
            412 | 428 => lines[0] = stale(what),
            _ => lines.extend(told.faults()),
        }
        if let Some(id) = told.request_id {
            lines.push(format!("request {id}"));
        }
        let code = Code::from_name(&told.code).unwrap_or(match status {
            429 | 502..=599 => Code::StorageUnavailable,
            500..=501 => Code::InternalError,
            _ => Code::InvalidRequest,
        });
        let detail = plain_lines(&lines.join("\n  ")).into_owned();
        Self {
            status: Some(status),
            failure: Failure::new(code, detail),
            job: told.job_id.and_then(|job| JobId::new(job).ok()),
        }
    }

    /// Whether somebody else has changed it meanwhile.
    pub(crate) fn is_stale(&self) -> bool {
        matches!(self.status, Some(412 | 428))
    }

    /// Whether there is nothing of that name that the caller may know of.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status == Some(404)
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self {
            status: None,
            failure,
            job: None,
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        refusal.failure
    }
}

fn stale(what: &str) -> String {
    format!(
        "somebody else has changed it meanwhile, and nothing of theirs was overwritten ({what}): look at it again, and \
         repeat the command"
    )
}

/// A problem document (RFC 9457), or what API Gateway says in place of one.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Told {
    code: String,
    #[serde(alias = "message")]
    detail: String,
    request_id: Option<String>,
    job_id: Option<String>,
    faults: Vec<Fault>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fault {
    field: String,
    detail: String,
}

impl Told {
    fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    fn sentence(&self, status: u16, what: &str) -> String {
        if self.detail.is_empty() {
            format!(
                "{what} was answered with status {status} and no word: is this the address of a BedrockDiy API?"
            )
        } else {
            self.detail.clone()
        }
    }

    /// A line each; one that says what the sentence said already is none.
    fn faults(&self) -> Vec<String> {
        let news = self
            .faults
            .iter()
            .filter(|fault| self.faults.len() > 1 || !self.detail.contains(&fault.detail));
        news.map(|fault| match fault.field.as_str() {
            "" => fault.detail.clone(),
            field => format!("{field}: {}", fault.detail),
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(status: u16, body: &serde_json::Value) -> Refusal {
        Refusal::of(status, body.to_string().as_bytes(), "PATCH /x", "Get a token.")
    }

    #[test]
    fn every_fault_has_a_line_and_the_request_its_id() {
        let refusal = told(
            422,
            &json!({
                "code": "TemplateInvalid", "detail": "2 things are wrong: `faults` lists them.", "requestId": "01J",
                "faults": [{"field": "/title", "code": "InvalidRequest", "detail": "the card has no title"},
                           {"field": "/content", "code": "TemplateInvalid", "detail": "no \u{1b}[2Jsuch"}],
            }),
        );
        assert_eq!(refusal.failure.code, Code::TemplateInvalid);
        assert_eq!(
            refusal.failure.detail,
            "2 things are wrong: `faults` lists them.\n  /title: the card has no title\n  /content: no \u{fffd}[2Jsuch\n  \
             request 01J"
        );
    }

    #[test]
    fn who_is_not_known_is_told_how_to_be() {
        let refusal = told(401, &json!({"message": "Unauthorized"}));
        assert_eq!(refusal.failure.code, Code::InvalidRequest);
        assert_eq!(refusal.failure.detail, "Unauthorized\n  Get a token.");
    }

    #[test]
    fn what_time_heals_is_told_apart_from_what_it_does_not() {
        assert_eq!(
            told(429, &json!({"message": "Too Many Requests"})).failure.code,
            Code::StorageUnavailable
        );
        assert_eq!(
            told(503, &json!({"code": "StorageUnavailable"})).failure.code,
            Code::StorageUnavailable
        );
        let stale = told(412, &json!({"code": "PreconditionFailed", "detail": "x"}));
        assert!(stale.is_stale() && stale.failure.detail.starts_with("somebody else has changed it"));
        let page = Refusal::of(404, b"<html>", "GET /api/me", "");
        assert!(page.is_not_found() && page.failure.detail.contains("is this the address"));
    }
}
