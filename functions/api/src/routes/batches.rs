//! Batches: how far one is, and its results as a table of any size.

use std::{collections::HashSet, sync::Arc};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, header},
    response::IntoResponse,
};
use bedrock_diy_core::{
    BatchId, JobId, ProjectId,
    access::Action,
    error::Result as Outcome,
    job::{Job, JobStatus},
    model::Usage,
    page::PageRequest,
    ports::JobFilter,
    time::Timestamp,
};
use bedrock_diy_tables::{Columns, Format, Row, Table};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Api, body::Json, caller::By, documents::jobs::segment, page::Asking, problem::Problem, routes::At,
};

const TAG: &str = "Batches";

/// Jobs that are listed at once.
const PAGE: usize = 200;

/// Jobs whose outputs are read at once.
const READ_AT_ONCE: usize = 16;

/// The rate is that of this long before the last job's end, in milliseconds.
const RATE_OVER: i64 = 5 * 60 * 1_000;

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(read)).routes(routes!(export))
}

/// A batch's place.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Path)]
struct BatchPath {
    /// The project's id.
    #[param(value_type = String)]
    project_id: ProjectId,
    /// The batch: the folder that the articles were dropped in, or what their submission said.
    #[param(value_type = String, min_length = 1, max_length = 255, pattern = r"^[^/\\\x00-\x1f\x7f-\x9f]+$")]
    batch: BatchId,
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

/// As what to export.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct As {
    /// The table's format; CSV where nothing is said.
    #[param(inline)]
    format: Option<TableFormat>,
}

/// A table's format.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum TableFormat {
    /// Comma-separated values, for spreadsheets.
    Csv,
    /// One JSON document a line, for programs.
    Jsonl,
    /// Apache Parquet, for data tools.
    Parquet,
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

/// Export a batch's results: a row a job that has ended, a column a card, and one a field where a card has an output schema
#[utoipa::path(
    get, path = "/api/projects/{projectId}/batches/{batch}/results", tag = TAG, operation_id = "exportBatch",
    params(BatchPath, As),
    responses((status = OK, content(
        (String = "text/csv; charset=utf-8"), (String = "application/jsonl"), (Vec<u8> = "application/vnd.apache.parquet"),
    )))
)]
async fn export(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<BatchPath>,
    Asking(wanted): Asking<As>,
) -> Result<impl IntoResponse, Problem> {
    api.project(&caller, &at.project_id, Action::Read).await?;
    let format = match wanted.format.unwrap_or(TableFormat::Csv) {
        TableFormat::Csv => Format::Csv,
        TableFormat::Jsonl => Format::Jsonl,
        TableFormat::Parquet => Format::Parquet,
    };
    let columns = columns(&api, &at).await?;
    let name = format!("{}-results.{}", at.project_id, format.extension());
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static(format.media_type()),
        ),
        (
            header::CONTENT_DISPOSITION,
            disposition.unwrap_or(HeaderValue::from_static("attachment")),
        ),
    ];
    let table = Table::new(format, columns, Vec::new()).map_err(|_| Problem::internal())?;
    let export = Exporting {
        pages: Some(Pages::of(&at)),
        table,
        api,
    };
    // What fails on the way breaks the transfer off: a table that ends is whole.
    let pieces = stream::try_unfold(export, |mut export| async move {
        let piece = export.piece().await.inspect_err(|error| {
            tracing::warn!(%error, "an export broke off");
        })?;
        Ok::<_, std::io::Error>(piece.map(|piece| (piece, export)))
    });
    Ok((headers, Body::from_stream(pieces)))
}

/// The columns of the cards that the batch's jobs ran with. Fails with 404 where it has no jobs.
async fn columns(api: &Api, at: &BatchPath) -> Result<Columns, Problem> {
    let projects = &*api.ports.projects;
    let (mut seen, mut pipelines) = (HashSet::new(), Vec::new());
    let mut pages = Pages::of(at);
    let mut has_jobs = false;
    while let Some(jobs) = pages.next(api).await? {
        has_jobs |= !jobs.is_empty();
        for hash in jobs.into_iter().filter_map(|job| job.pipeline) {
            if !seen.contains(&hash) {
                pipelines.push(projects.pipeline(&at.project_id, &hash).await?);
                seen.insert(hash);
            }
        }
    }
    if !has_jobs {
        return Err(no_batch(at));
    }
    Ok(Columns::of_pipelines(projects, &at.project_id, &pipelines).await?)
}

fn no_batch(at: &BatchPath) -> Problem {
    Problem::not_found(format!(
        "The project {} has no batch of that name.",
        at.project_id
    ))
}

/// A table that is written while it is sent.
struct Exporting {
    api: Arc<Api>,
    /// What is still to come; nothing once the table's end is written.
    pages: Option<Pages>,
    table: Table<Vec<u8>>,
}

impl Exporting {
    /// The next bytes; none after the last.
    async fn piece(&mut self) -> std::io::Result<Option<Bytes>> {
        let failed = |failure: bedrock_diy_core::Failure| std::io::Error::other(failure.to_string());
        while let Some(pages) = &mut self.pages {
            if let Some(jobs) = pages.next(&self.api).await.map_err(failed)? {
                for row in rows(&self.api, jobs).await.map_err(failed)? {
                    self.table.write(&row)?;
                }
            } else {
                self.pages = None;
                self.table.finish()?;
            }
            let bytes = std::mem::take(self.table.out_mut());
            if !bytes.is_empty() {
                return Ok(Some(bytes.into()));
            }
        }
        Ok(None)
    }
}

/// The rows of the jobs that have ended. One that was tried again is told by the job that tries it.
async fn rows(api: &Api, jobs: Vec<Job>) -> Outcome<Vec<Row>> {
    let ports = &api.ports;
    let rows = stream::iter(jobs.into_iter().filter(|job| job.status.is_terminal())).map(|job| async move {
        if job.status != JobStatus::Succeeded
            && ports.jobs.read(&JobId::of_retry(&job.job_id)).await?.is_some()
        {
            return Ok(None);
        }
        Row::of_job(&*ports.jobs, &*ports.objects, &job).await.map(Some)
    });
    let rows: Vec<_> = rows.buffered(READ_AT_ONCE).try_collect().await?;
    Ok(rows.into_iter().flatten().collect())
}

/// The jobs of a batch, a page at a time, the newest first.
struct Pages {
    filter: JobFilter,
    page: Option<PageRequest>,
}

impl Pages {
    fn of(at: &BatchPath) -> Self {
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
    async fn next(&mut self, api: &Api) -> Outcome<Option<Vec<Job>>> {
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
