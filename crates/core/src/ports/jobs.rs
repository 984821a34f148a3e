use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    error::Result,
    event::Event,
    ids::{BatchId, JobId, ProjectId},
    job::{Change, Job, JobStatus},
    page::{Page, PageRequest},
    stage::StageRecord,
    time::Timestamp,
};

/// Jobs, their stages and their events.
///
/// Whoever has been told of a job's event, by whatever way, MUST NOT be shown the job or its stages as they were before it.
/// Where another process has stored the event it MAY take a second until that holds for those who have not read it here.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Accepts a job, once.
    ///
    /// MUST be one conditional write of the job with its first events. MUST return
    /// [`Accepted::Already`] with the job as it stands, and change nothing, when a job of that id is
    /// there already, however many callers try at once.
    ///
    /// MUST otherwise return [`Accepted::SessionBusy`] with the open job, and change nothing, when the job takes the
    /// turn in a session ([`Job::takes_turn_in`]) whose last job is another one and has not ended, however many
    /// callers try at once. Two projects' sessions of one name are two sessions.
    async fn accept(&self, change: Change) -> Result<Accepted>;

    /// The job as it stands.
    async fn read(&self, job: &JobId) -> Result<Option<Job>>;

    /// Makes a change.
    ///
    /// MUST write the job, its stage, events, output, memo entry and exchange all or nothing, durably
    /// before it returns; where that can't be one transaction, the output and memo entry MUST be
    /// durable before the job says that the stage is done. MUST return [`Applied::Stale`] with the
    /// job as it stands, and change nothing, when the stored job's version is not
    /// [`Change::expected_version`].
    async fn apply(&self, change: Change) -> Result<Applied>;

    /// The finished stages, in order. What is finished does not change, so adapters may share what they keep.
    async fn stages(&self, job: &JobId) -> Result<Arc<Vec<StageRecord>>>;

    /// Up to `limit` events after number `after`, in order.
    async fn events(&self, job: &JobId, after: u64, limit: usize) -> Result<Vec<Event>>;
}

/// Lists of jobs.
#[async_trait]
pub trait JobIndex: Send + Sync {
    /// A page of the jobs that a filter lets through, the newest first.
    ///
    /// MUST show each job that was there when the first page was asked for on exactly one page, however many are
    /// accepted meanwhile. MAY lag behind what [`Jobs`] has just written by a moment. MUST fail with
    /// `InvalidRequest` for a cursor that it did not give.
    async fn list(&self, filter: &JobFilter, page: &PageRequest) -> Result<Page<Job>>;
}

/// Which jobs to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFilter {
    /// Of this project.
    pub project: ProjectId,
    /// Of this batch.
    pub batch: Option<BatchId>,
    /// In this status.
    pub status: Option<JobStatus>,
    /// Accepted at this moment or later.
    pub from: Option<Timestamp>,
    /// Accepted before this moment.
    pub to: Option<Timestamp>,
}

impl JobFilter {
    /// All jobs of a project.
    #[must_use]
    pub fn of(project: ProjectId) -> Self {
        Self {
            project,
            batch: None,
            status: None,
            from: None,
            to: None,
        }
    }
}

/// What became of an acceptance.
#[derive(Debug, Clone, PartialEq)]
pub enum Accepted {
    /// This call made the job, with these events.
    New(Job, Vec<Event>),
    /// An earlier one did.
    Already(Job),
    /// Nothing was accepted: this is the session's last job, which has not ended.
    SessionBusy(Job),
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Applied {
    /// It was made; the job as it stands now, and the events that were written.
    Done(Job, Vec<Event>),
    /// Somebody else was faster; the job as it stands.
    Stale(Job),
}
