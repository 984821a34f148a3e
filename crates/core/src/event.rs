//! Events: numbered facts about a job.

use serde::{Deserialize, Serialize};

use crate::{
    article::ObjectRef,
    error::Code,
    ids::{BatchId, JobId, ProjectId, PromptId},
    model::Usage,
    time::Timestamp,
};

/// The types of events that the bus tells of jobs: all but the pieces of answers.
pub const TYPES: [&str; 10] = [
    "job.accepted",
    "job.started",
    "stage.started",
    "stage.completed",
    "stage.failed",
    "stage.retrying",
    "job.waiting",
    "job.succeeded",
    "job.failed",
    "job.cancelled",
];

/// A numbered fact about a job. A job's numbers start at 1 and have no holes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The job.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub job_id: JobId,
    /// Its project.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub project_id: ProjectId,
    /// Counted from 1.
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub number: u64,
    /// When it happened.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub fact: Fact,
}

impl Event {
    /// The same for every delivery of the same event.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}-{}", self.job_id, self.number)
    }
}

/// What happened. Texts are by reference, but for pieces of answers of up to 4 KiB.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type")]
pub enum Fact {
    /// The article was accepted, once.
    #[serde(rename = "job.accepted", rename_all = "camelCase")]
    JobAccepted {
        /// Its batch.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        batch: BatchId,
        /// What its owner calls it.
        article: String,
    },
    /// The article was read and work begins.
    #[serde(rename = "job.started", rename_all = "camelCase")]
    JobStarted {
        /// How many stages it will pass.
        stages: u32,
    },
    /// A stage is next.
    #[serde(rename = "stage.started", rename_all = "camelCase")]
    StageStarted {
        /// Counted from 1.
        stage: u32,
        /// Its card.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        prompt_id: PromptId,
    },
    /// A piece of a stage's answer, while the model writes it: told only while somebody follows the job, and not on
    /// the bus. Those of one answer together are its text from the beginning, as far as it is told.
    #[serde(rename = "stage.delta", rename_all = "camelCase")]
    StageDelta(StageDelta),
    /// A stage's output is stored.
    #[serde(rename = "stage.completed", rename_all = "camelCase")]
    StageCompleted {
        /// Counted from 1.
        stage: u32,
        /// Its card.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        prompt_id: PromptId,
        /// Where the output lies.
        output: ObjectRef,
        /// Whether it came from the memo.
        memo_hit: bool,
        /// Tokens paid for.
        usage: Usage,
        /// Estimated US dollars.
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost: Option<f64>,
        /// The model's own time, in milliseconds.
        model_ms: u64,
    },
    /// A stage was answered, and the answer can't be an output: it is paid all the same.
    #[serde(rename = "stage.failed", rename_all = "camelCase")]
    StageFailed {
        /// Counted from 1.
        stage: u32,
        /// Its card.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        prompt_id: PromptId,
        /// Why.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        code: Code,
        /// Tokens paid for.
        usage: Usage,
        /// Estimated US dollars.
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost: Option<f64>,
    },
    /// A try of a stage came to nothing, for a reason that may pass. It is tried again, unless it has been tried as
    /// often as it may be; what was seen of its answer is void.
    #[serde(rename = "stage.retrying", rename_all = "camelCase")]
    StageRetrying {
        /// Counted from 1.
        stage: u32,
        /// Its card.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        prompt_id: PromptId,
        /// Why.
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        code: Code,
    },
    /// The job waits for model quota.
    #[serde(rename = "job.waiting", rename_all = "camelCase")]
    JobWaiting {
        /// The stage that waits.
        stage: u32,
        /// Why.
        reason: String,
        /// Until when.
        #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
        until: Timestamp,
    },
    /// Every stage is done.
    #[serde(rename = "job.succeeded", rename_all = "camelCase")]
    JobSucceeded {
        /// Where the result document lies.
        result: ObjectRef,
        /// Tokens paid for.
        usage: Usage,
        /// Estimated US dollars.
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost: Option<f64>,
    },
    /// The job can't go on.
    #[serde(rename = "job.failed", rename_all = "camelCase")]
    JobFailed {
        /// Why.
        error: JobError,
    },
    /// Somebody cancelled the job.
    #[serde(rename = "job.cancelled", rename_all = "camelCase")]
    JobCancelled {
        /// Who or what.
        by: String,
    },
}

impl Fact {
    /// Whether it is told on the bus: an answer's pieces are for those alone who follow its job.
    #[must_use]
    pub fn is_for_the_bus(&self) -> bool {
        !matches!(self, Self::StageDelta(_))
    }

    /// Whether nothing comes after it.
    #[must_use]
    pub fn is_last(&self) -> bool {
        matches!(
            self,
            Self::JobSucceeded { .. } | Self::JobFailed { .. } | Self::JobCancelled { .. }
        )
    }

    /// The event's type, such as `job.accepted`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::JobAccepted { .. } => "job.accepted",
            Self::JobStarted { .. } => "job.started",
            Self::StageStarted { .. } => "stage.started",
            Self::StageDelta(_) => "stage.delta",
            Self::StageCompleted { .. } => "stage.completed",
            Self::StageFailed { .. } => "stage.failed",
            Self::StageRetrying { .. } => "stage.retrying",
            Self::JobWaiting { .. } => "job.waiting",
            Self::JobSucceeded { .. } => "job.succeeded",
            Self::JobFailed { .. } => "job.failed",
            Self::JobCancelled { .. } => "job.cancelled",
        }
    }
}

/// Why a job failed, for people and programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct JobError {
    /// The stable name.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub code: Code,
    /// What happened and what to do.
    pub message: String,
    /// The stage that failed, counted from 1; 0 where none had begun.
    pub stage: u32,
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct StageDelta {
    /// Counted from 1.
    pub stage: u32,
    /// Its card.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub prompt_id: PromptId,
    /// Which answer it is a piece of: another one than before makes what was told of that one void. A stage has
    /// another one where it is tried again, and where an answer had to be mended.
    pub answer: String,
    /// How many characters (code points) of the answer come before it.
    pub offset: u64,
    /// The piece.
    pub text: String,
}

impl StageDelta {
    /// How many characters of the answer are told with it.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.offset + self.text.chars().count() as u64
    }

    /// What comes after this many characters of the answer; an empty piece where nothing does.
    #[must_use]
    pub fn after(&self, characters: u64) -> Self {
        let had = characters.saturating_sub(self.offset);
        let rest = self
            .text
            .chars()
            .skip(usize::try_from(had).unwrap_or(usize::MAX))
            .collect();
        Self {
            offset: self.offset + had.min(self.end() - self.offset),
            text: rest,
            ..self.clone()
        }
    }
}

/// What a model has written since a job's last event: it becomes one soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unstored {
    /// The number of that event.
    pub after: u64,
    /// What was written.
    pub delta: StageDelta,
}

/// A piece of an answer for whoever looks on at this process's work, job by job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveText {
    /// The job.
    pub job_id: JobId,
    /// The stage, counted from 1.
    pub stage: u32,
    /// The card.
    pub prompt_id: PromptId,
    /// The piece of text.
    pub text: String,
}
