//! Batches: how far one is.

use std::sync::Arc;

use axum::extract::State;
use bedrock_diy_core::{
    BatchId, ProjectId,
    access::Action,
    error::Result as Outcome,
    job::{Job, JobStatus},
    model::Usage,
    page::PageRequest,
    ports::JobFilter,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Api, body::Json, caller::By, documents::jobs::segment, problem::Problem, routes::At};

pub(super) const TAG: &str = "Batches";

/// Jobs that are listed at once.
const PAGE: usize = 200;

/// The rate is that of this long before the last job's end, in milliseconds.
const RATE_OVER: i64 = 5 * 60 * 1_000;

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(read))
}

/// A batch's place.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Path)]
pub(super) struct BatchPath {
    /// The project's id.
    #[param(value_type = String)]
    pub(super) project_id: ProjectId,
    /// The batch: the folder that the articles were dropped in, or what their submission said.
    #[param(value_type = String, min_length = 1, max_length = 255, pattern = r"^[^/\\\x00-\x1f\x7f-\x9f]+$")]
    pub(super) batch: BatchId,
}

/// How far a batch is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Batch)]
struct BatchDocument {
    #[schema(value_type = String)]
    project_id: ProjectId,
    #[schema(value_type = String)]
    batch: BatchId,
    /// How many jobs it has.
    jobs: u64,
    counts: Counts,
    /// Tokens paid for.
    usage: Usage,
    /// Estimated US dollars; not there where a model has no price.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    /// Stages whose answer was paid for before.
    memo_hits: u64,
    #[schema(value_type = String, format = DateTime)]
    first_accepted_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    last_ended_at: Option<Timestamp>,
    /// Jobs that ended in a minute, lately.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs_per_minute: Option<f64>,
    /// In how many seconds the rest has ended, at that rate; 0 where all have.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    eta_seconds: Option<u64>,
    /// Its results as a table.
    results: String,
}

/// How many jobs stand where.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Counts {
    accepted: u64,
    running: u64,
    succeeded: u64,
    failed: u64,
    cancelled: u64,
}

/// Read how far a batch is: counts, cost, rate, and when the rest will have ended
#[utoipa::path(
    get, path = "/api/projects/{projectId}/batches/{batch}", tag = TAG, operation_id = "readBatch",
    params(BatchPath), responses((status = OK, body = BatchDocument))
)]
async fn read(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<BatchPath>,
) -> Result<Json<BatchDocument>, Problem> {
    api.project(&caller, &at.project_id, Action::Read).await?;
    let mut tally = Tally::default();
    let mut pages = Pages::of(&at);
    while let Some(jobs) = pages.next(&api).await? {
        for job in &jobs {
            tally.count(job);
        }
    }
    let results = format!(
        "/api/projects/{}/batches/{}/results",
        at.project_id,
        segment(at.batch.as_str())
    );
    match tally.shown(at, results) {
        Ok(document) => Ok(Json(document)),
        Err(at) => Err(no_batch(&at)),
    }
}

pub(super) fn no_batch(at: &BatchPath) -> Problem {
    Problem::not_found(format!(
        "The project {} has no batch of that name.",
        at.project_id
    ))
}

/// The jobs of a batch, a page at a time, the newest first.
pub(super) struct Pages {
    filter: JobFilter,
    page: Option<PageRequest>,
}

impl Pages {
    pub(super) fn of(at: &BatchPath) -> Self {
        Self {
            filter: JobFilter {
                batch: Some(at.batch.clone()),
                ..JobFilter::of(at.project_id.clone())
            },
            page: Some(PageRequest {
                limit: PAGE,
                cursor: None,
            }),
        }
    }

    /// The next jobs; none after the last.
    pub(super) async fn next(&mut self, api: &Api) -> Outcome<Option<Vec<Job>>> {
        let Some(page) = self.page.take() else {
            return Ok(None);
        };
        let found = api.ports.job_index.list(&self.filter, &page).await?;
        self.page = found.next.map(|cursor| PageRequest {
            limit: PAGE,
            cursor: Some(cursor),
        });
        Ok(Some(found.items))
    }
}

/// What is counted of a batch.
#[derive(Default)]
struct Tally {
    counts: Counts,
    usage: Usage,
    cost: f64,
    has_no_price: bool,
    memo_hits: u64,
    first: Option<Timestamp>,
    ends: Vec<i64>,
}

impl Tally {
    fn count(&mut self, job: &Job) {
        let counts = &mut self.counts;
        *match job.status {
            JobStatus::Accepted => &mut counts.accepted,
            JobStatus::Running => &mut counts.running,
            JobStatus::Succeeded => &mut counts.succeeded,
            JobStatus::Failed => &mut counts.failed,
            JobStatus::Cancelled => &mut counts.cancelled,
        } += 1;
        self.usage += job.usage;
        self.cost += job.cost.unwrap_or_default();
        self.has_no_price |= job.cost.is_none();
        self.memo_hits += u64::from(job.memo_hits);
        self.first = Some(
            self.first
                .map_or(job.accepted_at, |first| first.min(job.accepted_at)),
        );
        self.ends.extend(job.ended_at.map(Timestamp::millis));
    }

    /// What it comes to; the place itself where there was nothing to count.
    fn shown(self, at: BatchPath, results: String) -> Result<BatchDocument, BatchPath> {
        let Some(first) = self.first else { return Err(at) };
        let counts = self.counts;
        let left = counts.accepted + counts.running;
        let last = self.ends.iter().max().copied();
        let rate = last.and_then(|last| {
            let since = (last - RATE_OVER).max(first.millis());
            let ended = self.ends.iter().filter(|end| **end >= since).count() as f64;
            let minutes = (last - since) as f64 / 60_000.0;
            (minutes > 0.0).then(|| ended / minutes)
        });
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of seconds: positive, and it saturates"
        )]
        let eta = match left {
            0 => Some(0),
            left => rate.map(|rate| (left as f64 / rate * 60.0).ceil() as u64),
        };
        Ok(BatchDocument {
            project_id: at.project_id,
            batch: at.batch,
            jobs: left + counts.succeeded + counts.failed + counts.cancelled,
            counts,
            usage: self.usage,
            cost: (!self.has_no_price).then_some(self.cost),
            memo_hits: self.memo_hits,
            first_accepted_at: first,
            last_ended_at: last.map(Timestamp::from_millis),
            jobs_per_minute: rate,
            eta_seconds: eta,
            results,
        })
    }
}
