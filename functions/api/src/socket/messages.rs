//! What is said over a connection that stays open.

use bedrock_diy_core::{BatchId, JobId, ProjectId, follow::Topic};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    body::Document,
    documents::{articles::NewArticle, jobs::JobSummary},
    problem::{Problem, ProblemDocument},
};

/// The longest name of a message, in bytes.
pub(crate) const REQUEST_ID_BYTES: usize = 100;

/// What every message to the API has.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Message)]
pub(crate) struct Asked {
    /// What you call this message: its reply has the same.
    #[expect(
        dead_code,
        reason = "checked here, and read before: the reply to what can't be understood has it, too"
    )]
    #[serde(default)]
    #[schema(max_length = 100, nullable = false)]
    request_id: Option<String>,
    /// What is asked for.
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MessageType)]
pub(crate) enum Kind {
    /// [`Follow`].
    Follow,
    /// [`Unfollow`].
    Unfollow,
    /// [`Submit`].
    Submit,
    /// [`Cancel`].
    Cancel,
    /// Are you there? A connection on which nothing is said for ten minutes may be closed.
    Ping,
}

/// Tell me what happens to a job, or to all jobs of a batch or project.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Follow {
    #[serde(flatten)]
    pub(crate) target: Target,
    /// What you have had. Of a job: the `position` of its last `events`, or the number of an event; everything from the
    /// first event on where nothing is said. Of a batch or project of up to a thousand jobs: the number of an event, after
    /// which each job's events are told, job by job, and then what happens; `0` tells everything. Only what happens from now
    /// on where nothing is said. There is no position in a batch or project: their events may come in any order, and twice.
    #[serde(default)]
    #[schema(nullable = false, max_length = 100)]
    pub(crate) after: Option<String>,
}

/// Tell me no more of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Unfollow {
    #[serde(flatten)]
    pub(crate) target: Target,
}

/// Submit an article, as `POST /api/projects/{projectId}/articles` does.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Submit {
    /// The project.
    #[schema(value_type = String)]
    pub(crate) project_id: ProjectId,
    /// The article.
    pub(crate) article: NewArticle,
    /// Names this submission: sent again under the same key, it is the same job.
    #[serde(default)]
    #[schema(nullable = false, min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    pub(crate) idempotency_key: Option<String>,
    /// Tell me what happens to its job, from the first event on.
    #[serde(default)]
    #[schema(required = false)]
    pub(crate) follow: bool,
}

/// Cancel a job.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cancel {
    /// The job.
    #[schema(value_type = String)]
    pub(crate) job_id: JobId,
}

impl Document for Asked {}
impl Document for Follow {}
impl Document for Unfollow {}
impl Document for Submit {}
impl Document for Cancel {}

/// What can be followed: a job by its `jobId`; a batch by its `projectId` and `batch`; a project by its `projectId`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Target {
    /// The job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    job_id: Option<JobId>,
    /// The project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    project_id: Option<ProjectId>,
    /// One of its batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, min_length = 1, max_length = 255)]
    batch: Option<BatchId>,
}

impl Target {
    /// What is meant. Fails with 400 where that can't be told.
    pub(crate) fn topic(self) -> Result<Topic, Problem> {
        match (self.job_id, self.project_id, self.batch) {
            (Some(job), None, None) => Ok(Topic::Job(job)),
            (None, Some(project), Some(batch)) => Ok(Topic::Batch(project, batch)),
            (None, Some(project), None) => Ok(Topic::Project(project)),
            _ => Err(Problem::malformed(
                "Say what to follow: `jobId`; or `projectId`, and `batch` where it is only one.",
            )),
        }
    }

    pub(crate) fn of(topic: Topic) -> Self {
        let (job_id, project_id, batch) = match topic {
            Topic::Job(job) => (Some(job), None, None),
            Topic::Batch(project, batch) => (None, Some(project), Some(batch)),
            Topic::Project(project) => (None, Some(project), None),
        };
        Self {
            job_id,
            project_id,
            batch,
        }
    }
}

/// The reply to a message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reply<'a> {
    /// What you called the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) request_id: Option<&'a str>,
    #[serde(flatten)]
    pub(crate) answer: &'a Answer<'a>,
}

/// What became of a message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(crate) enum Answer<'a> {
    /// You are told of it from now on.
    Following {
        #[serde(flatten)]
        target: Target,
    },
    /// You are told of it no more.
    Unfollowed {
        #[serde(flatten)]
        target: Target,
    },
    /// The article was taken; its job runs from now on.
    #[serde(rename_all = "camelCase")]
    Submitted {
        job: Box<JobSummary>,
        /// Whether an earlier submission of the same key made the job.
        is_replay: bool,
    },
    /// The job is cancelled, or had ended before.
    Cancelled {
        /// As it stands.
        job: Box<JobSummary>,
    },
    /// I am here.
    Pong {},
    /// It can't be done, and why. Where that would be too long for a message, its texts are cut, and the last faults left
    /// out.
    Problem { problem: ProblemDocument<'a> },
}
