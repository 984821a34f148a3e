//! What can go wrong, once and for all parts.
//!
//! A [`Code`] is the name that everybody uses: the state machine's `ErrorEquals`, the API's problem
//! `code`, an event's `error.code`. Whether trying again can help is a property of the code
//! ([`Class`]), decided here and nowhere else. An adapter maps what its service said to a
//! [`Failure`] in one function; nobody upstream looks at strings.

use serde::{Deserialize, Serialize};

/// The stable name of everything that can end or delay a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Code {
    /// The model service said "too many requests" or "too many tokens".
    ModelThrottled,
    /// The model did not finish within the stage's deadline.
    ModelTimeout,
    /// The model service failed, or its answer broke off or could not be understood.
    ModelUnavailable,
    /// A table, bucket, queue or bus could not be reached or refused for load.
    StorageUnavailable,
    /// The project does not exist.
    ProjectNotFound,
    /// The project is switched off.
    ProjectInactive,
    /// The project has no active prompt card.
    NoActiveCards,
    /// The article's object is not there (any more).
    ArticleNotFound,
    /// The file is larger than the limit in bytes.
    ArticleTooLarge,
    /// The text does not fit the model's context window.
    ArticleTooLong,
    /// A file format that is not read.
    UnsupportedFormat,
    /// A known format whose text can't be had.
    UnreadableArticle,
    /// A prompt card's template can't be rendered.
    TemplateInvalid,
    /// The model stopped at `max_tokens`.
    OutputTruncated,
    /// The answer does not satisfy the card's output schema, not even after the repair turn.
    SchemaMismatch,
    /// The model ended its answer without a word, or stopped for a reason that leaves no answer.
    OutputUnusable,
    /// A guardrail or the model's own filter stepped in.
    ContentBlocked,
    /// The caller may not use this model.
    ModelAccessDenied,
    /// The model service knows no such model.
    ModelNotFound,
    /// The session's last job has not ended.
    SessionBusy,
    /// Something that was asked for makes no sense.
    InvalidRequest,
    /// The project's budget for an article is spent.
    BudgetExceeded,
    /// Somebody cancelled the job.
    Cancelled,
    /// A fault of our own: a handler died or answered nonsense.
    InternalError,
}

/// Whether trying the same thing again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Time may heal it: the state machine retries.
    Retryable,
    /// Only a change (of the article, a card, a setting) can heal it.
    Terminal,
}

impl Code {
    /// Every code, in the order of their documentation.
    pub const ALL: [Self; 24] = [
        Self::ModelThrottled,
        Self::ModelTimeout,
        Self::ModelUnavailable,
        Self::StorageUnavailable,
        Self::ProjectNotFound,
        Self::ProjectInactive,
        Self::NoActiveCards,
        Self::ArticleNotFound,
        Self::ArticleTooLarge,
        Self::ArticleTooLong,
        Self::UnsupportedFormat,
        Self::UnreadableArticle,
        Self::TemplateInvalid,
        Self::OutputTruncated,
        Self::SchemaMismatch,
        Self::OutputUnusable,
        Self::ContentBlocked,
        Self::ModelAccessDenied,
        Self::ModelNotFound,
        Self::SessionBusy,
        Self::InvalidRequest,
        Self::BudgetExceeded,
        Self::Cancelled,
        Self::InternalError,
    ];

    /// The name as it stands in `ErrorEquals`, problem documents and events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ModelThrottled => "ModelThrottled",
            Self::ModelTimeout => "ModelTimeout",
            Self::ModelUnavailable => "ModelUnavailable",
            Self::StorageUnavailable => "StorageUnavailable",
            Self::ProjectNotFound => "ProjectNotFound",
            Self::ProjectInactive => "ProjectInactive",
            Self::NoActiveCards => "NoActiveCards",
            Self::ArticleNotFound => "ArticleNotFound",
            Self::ArticleTooLarge => "ArticleTooLarge",
            Self::ArticleTooLong => "ArticleTooLong",
            Self::UnsupportedFormat => "UnsupportedFormat",
            Self::UnreadableArticle => "UnreadableArticle",
            Self::TemplateInvalid => "TemplateInvalid",
            Self::OutputTruncated => "OutputTruncated",
            Self::SchemaMismatch => "SchemaMismatch",
            Self::OutputUnusable => "OutputUnusable",
            Self::ContentBlocked => "ContentBlocked",
            Self::ModelAccessDenied => "ModelAccessDenied",
            Self::ModelNotFound => "ModelNotFound",
            Self::SessionBusy => "SessionBusy",
            Self::InvalidRequest => "InvalidRequest",
            Self::BudgetExceeded => "BudgetExceeded",
            Self::Cancelled => "Cancelled",
            Self::InternalError => "InternalError",
        }
    }

    /// The code of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// Whether trying again can help.
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Self::ModelThrottled | Self::ModelTimeout | Self::ModelUnavailable | Self::StorageUnavailable => {
                Class::Retryable
            }
            _ => Class::Terminal,
        }
    }

    /// Whether it is the project that has nothing to run: an article that comes in is accepted all the same,
    /// and its job says why it failed.
    #[must_use]
    pub fn is_about_the_project(self) -> bool {
        matches!(
            self,
            Self::ProjectNotFound | Self::ProjectInactive | Self::NoActiveCards
        )
    }

    /// What a user can do about it, as a sentence.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::ModelThrottled => {
                "Ask for a higher Bedrock quota (on one machine you may also write the one you have as `quota` into a `models.toml` of your own), then retry the job."
            }
            Self::ModelTimeout => {
                "Raise the card's `timeoutSeconds` or ask for a shorter answer, then retry the job."
            }
            Self::ModelUnavailable => {
                "The model service is in trouble: retry the job later; finished stages are not paid again."
            }
            Self::StorageUnavailable => {
                "Look at the disk, or at the AWS service named here, then retry the job."
            }
            Self::ProjectNotFound => "Create the project first, or correct the project id.",
            Self::ProjectInactive => "Set the project's status to ACTIVE, then retry the job.",
            Self::NoActiveCards => "Add a prompt card to the project or set one active, then retry the job.",
            Self::ArticleNotFound => "Drop the article again: it was removed before it was worked.",
            Self::ArticleTooLarge => "Split the file, or raise the project's `limits.articleBytes`.",
            Self::ArticleTooLong => {
                "Split the article, or choose a model with a larger context window for this card."
            }
            Self::UnsupportedFormat => "Save the article as txt, md, html, pdf, docx, json or jsonl.",
            Self::UnreadableArticle => {
                "Open the file, save it again as UTF-8 text, docx or a PDF with text, and drop that."
            }
            Self::TemplateInvalid => "Correct the prompt card's template, then run the article again.",
            Self::OutputTruncated => "Raise the card's `maxTokens`, or ask for a shorter answer.",
            Self::SchemaMismatch => {
                "Simplify the card's `outputSchema`, say in the prompt what the answer looks like, or use a stronger model."
            }
            Self::OutputUnusable => {
                "Say in the prompt what the answer looks like, or use another model for this card, then retry the job."
            }
            Self::ContentBlocked => {
                "Look at the article and at the guardrail's settings: the answer was withheld."
            }
            Self::ModelAccessDenied => {
                "Grant `bedrock:InvokeModelWithResponseStream` on this model, and request access to it in the Bedrock console."
            }
            Self::ModelNotFound => {
                "Correct the model id; recent models need an inference profile's id, such as `us.` in front."
            }
            Self::SessionBusy => "Wait until that job has ended, or cancel it, then send this again.",
            Self::InvalidRequest => "Correct what is named here and send it again.",
            Self::BudgetExceeded => {
                "Raise the project's `limits.costPerArticle`, or use a cheaper model whose price is known."
            }
            Self::Cancelled => "Retry the job if this was not meant.",
            Self::InternalError => {
                "This is a fault of BedrockDiy: see the logs for the job id, and retry the job."
            }
        }
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something went wrong: its code, and what happened to which thing.
///
/// The detail is for people. It names things (ids, file names, limits, positions) and never holds
/// article text, prompts or secrets, because it ends in logs and events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{code}: {detail}")]
pub struct Failure {
    /// The stable name.
    pub code: Code,
    /// What happened, to which thing: a sentence.
    pub detail: String,
    /// For [`Code::ModelThrottled`]: what the service said about when to come back, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

impl Failure {
    /// A failure of this code.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            retry_after: None,
        }
    }

    /// The whole message for a user: what happened, and what to do.
    #[must_use]
    pub fn message(&self) -> String {
        let detail = self.detail.trim_end();
        let stop = if detail.ends_with(['.', '!', '?']) {
            ""
        } else {
            "."
        };
        format!("{detail}{stop} {}", self.code.remedy())
    }
}

/// What most of the domain returns.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_by_its_name_and_says_what_to_do() {
        for code in Code::ALL {
            assert_eq!(Code::from_name(code.as_str()), Some(code));
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!(code.remedy().ends_with('.'), "{code} has no sentence");
        }
    }

    #[test]
    fn only_time_heals_what_is_retryable() {
        let retryable: Vec<_> = Code::ALL
            .into_iter()
            .filter(|c| c.class() == Class::Retryable)
            .collect();
        assert_eq!(
            retryable,
            [
                Code::ModelThrottled,
                Code::ModelTimeout,
                Code::ModelUnavailable,
                Code::StorageUnavailable
            ]
        );
    }

    #[test]
    fn a_message_says_what_happened_and_what_to_do() {
        let failure = Failure::new(Code::ArticleNotFound, "inbox/p/b/a.txt is gone");
        assert_eq!(
            failure.message(),
            "inbox/p/b/a.txt is gone. Drop the article again: it was removed before it was worked."
        );
    }
}
