//! What lies in the intake queues: claims, never text.

use serde::{Deserialize, Serialize};

use crate::{
    article::{Article, ObjectRef},
    ids::{BatchId, JobId, ProjectId, SessionId},
};

/// Something that asks for jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum IntakeMessage {
    /// An object was created in the inbox.
    Drop(Drop),
    /// Somebody submitted an article.
    Submission(Box<Submission>),
}

/// An object in `inbox/{projectId}/{batch}/…`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drop {
    /// The object; its key says project, batch and name.
    pub object: ObjectRef,
}

/// An article that was submitted; its text is stored already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Submission {
    /// The job that it becomes, derived by whoever took the submission.
    pub job_id: JobId,
    /// The project.
    pub project_id: ProjectId,
    /// The batch.
    pub batch: BatchId,
    /// The stored article.
    pub article: Article,
    /// The conversation that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// Whether the memo is not to be asked.
    #[serde(default)]
    pub fresh: bool,
    /// The job that this one tries again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<JobId>,
    /// The hash of the kept pipeline revision that the job's id was derived with, where it was. Without one the job
    /// runs under what is current when it is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
}

/// Which queue something waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Articles by the hundred.
    Bulk,
    /// Somebody is looking.
    Live,
}

impl Lane {
    /// Every lane.
    pub const ALL: [Self; 2] = [Self::Bulk, Self::Live];

    /// The lane's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::Live => "live",
        }
    }
}
