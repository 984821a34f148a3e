//! A batch's results as a table of any size.
//!
//! Where an answer may be of any size, the table is written while it is sent. Where it may not, one that is too
//! large becomes a download while it is written, and the answer says where it lies.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bedrock_diy_core::{
    Code, Failure,
    access::Action,
    commands,
    error::Result as Outcome,
    job::Job,
    ports::{Download, Downloads},
};
use bedrock_diy_tables::{Columns, Format, Row, Table};
use bytes::Bytes;
use futures_util::{future::try_join_all, stream};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Api,
    caller::By,
    page::Asking,
    problem::Problem,
    routes::{
        At,
        batches::{BatchPath, Pages, TAG, no_batch},
    },
};

/// Jobs whose outputs are read at once, and held in memory.
const READ_AT_ONCE: usize = 16;

/// What an answer holds where it may not be of any size, in bytes. Lambda streams 200 MB at most, and API Gateway
/// hands on 2 MB a second after the first 10 MB (AWS Lambda Developer Guide, "Response streaming"; Amazon API Gateway
/// Developer Guide, "Stream the integration response", 2026-11): a large table comes from S3 a good deal faster.
const IN_AN_ANSWER: usize = 8 * 1_024 * 1_024;

/// How long a download may be begun.
const READABLE_FOR: Duration = Duration::from_mins(15);

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(export))
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

/// Export a batch's results: a row a job that has ended, a column a card, and one a field where a card has an output schema
#[utoipa::path(
    get, path = "/api/projects/{projectId}/batches/{batch}/results", tag = TAG, operation_id = "exportBatch",
    params(BatchPath, As),
    responses(
        (status = OK, content(
            (String = "text/csv; charset=utf-8"), (String = "application/jsonl"), (Vec<u8> = "application/vnd.apache.parquet"),
        )),
        (status = SEE_OTHER, description = "The table is too large for an answer (on AWS, more than 8 MiB), and lies at `Location`, for a quarter of an hour", headers(
            ("location" = String, description = "Where to get it, without a token"),
        )),
    )
)]
async fn export(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<BatchPath>,
    Asking(wanted): Asking<As>,
) -> Result<Response, Problem> {
    api.project(&caller, &at.project_id, Action::Read).await?;
    let format = match wanted.format.unwrap_or(TableFormat::Csv) {
        TableFormat::Csv => Format::Csv,
        TableFormat::Jsonl => Format::Jsonl,
        TableFormat::Parquet => Format::Parquet,
    };
    let columns = columns(&api, &at).await?;
    let name = format!("{}-results.{}", at.project_id, format.extension());
    let table = Table::new(format, columns, Vec::new()).map_err(|_| Problem::internal())?;
    let mut export = Exporting {
        pages: Some(Pages::of(&at)),
        jobs: VecDeque::new(),
        table,
        api: api.clone(),
    };
    let body = match &api.ports.downloads {
        None => export.streamed(),
        Some(downloads) => match export.at_most(IN_AN_ANSWER).await? {
            Written::Whole(table) => Body::from(table),
            Written::Begun(begun) => {
                let link = export.into_download(&**downloads, &name, format, &begun).await?;
                return Ok((StatusCode::SEE_OTHER, [(header::LOCATION, link)]).into_response());
            }
        },
    };
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
    Ok((headers, body).into_response())
}

/// The columns of the cards that the batch's jobs ran with. Fails with 404 where it has no jobs.
async fn columns(api: &Api, at: &BatchPath) -> Result<Columns, Problem> {
    let projects = &*api.ports.projects;
    let (mut seen, mut pipelines) = (HashSet::new(), Vec::new());
    let mut pages = Pages::of(at);
    let mut has_jobs = false;
    while let Some(jobs) = pages.next(api).await? {
        has_jobs |= !jobs.is_empty();
        let mut ran = Vec::new();
        for job in jobs {
            ran.extend(job.pipeline.clone());
            ran.extend(told_by(api, job).await?.and_then(|job| job.pipeline));
        }
        for hash in ran {
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

/// A table that is written while it goes out.
struct Exporting {
    api: Arc<Api>,
    /// What is still to come; nothing once the table's end is written.
    pages: Option<Pages>,
    /// Those of a page that were not written yet.
    jobs: VecDeque<Job>,
    table: Table<Vec<u8>>,
}

/// How far a table came.
enum Written {
    /// All of it.
    Whole(Vec<u8>),
    /// The beginning: there is more.
    Begun(Vec<u8>),
}

impl Exporting {
    /// The next bytes; none after the last.
    async fn piece(&mut self) -> Outcome<Option<Bytes>> {
        let failed = |error: std::io::Error| {
            Failure::new(Code::InternalError, format!("a table can't be written: {error}"))
        };
        while let Some(pages) = &mut self.pages {
            if !self.jobs.is_empty() {
                let some = self.jobs.len().min(READ_AT_ONCE);
                for row in rows(&self.api, self.jobs.drain(..some)).await? {
                    self.table.write(&row).map_err(failed)?;
                }
            } else if let Some(jobs) = pages.next(&self.api).await? {
                self.jobs = jobs.into();
            } else {
                self.pages = None;
                self.table.finish().map_err(failed)?;
            }
            let bytes = std::mem::take(self.table.out_mut());
            if !bytes.is_empty() {
                return Ok(Some(bytes.into()));
            }
        }
        Ok(None)
    }

    /// What fails on the way breaks the transfer off: a table that ends is whole.
    fn streamed(self) -> Body {
        Body::from_stream(stream::try_unfold(self, |mut export| async move {
            let piece = export.piece().await.inspect_err(|error| {
                tracing::warn!(%error, "an export broke off");
            })?;
            Ok::<_, Failure>(piece.map(|piece| (piece, export)))
        }))
    }

    /// Writes until the table's end, or until it has more bytes than this.
    async fn at_most(&mut self, bytes: usize) -> Outcome<Written> {
        let mut written = Vec::new();
        while let Some(piece) = self.piece().await? {
            written.extend_from_slice(&piece);
            if written.len() > bytes {
                return Ok(Written::Begun(written));
            }
        }
        Ok(Written::Whole(written))
    }

    /// Writes the rest into a download that begins with this, and returns its address.
    async fn into_download(
        mut self,
        downloads: &dyn Downloads,
        name: &str,
        format: Format,
        begun: &[u8],
    ) -> Outcome<String> {
        let mut download = downloads.begin(name, format.media_type()).await?;
        if let Err(failure) = self.write_to(&mut *download, begun).await {
            if let Err(error) = download.abandon().await {
                tracing::warn!(%error, "an unfinished download stays until it expires");
            }
            return Err(failure);
        }
        download.finish(READABLE_FOR).await
    }

    async fn write_to(&mut self, download: &mut dyn Download, begun: &[u8]) -> Outcome<()> {
        download.write(begun).await?;
        while let Some(piece) = self.piece().await? {
            download.write(&piece).await?;
        }
        Ok(())
    }
}

/// The rows of a batch's jobs that have ended.
async fn rows(api: &Api, jobs: impl Iterator<Item = Job>) -> Outcome<Vec<Row>> {
    let ports = &api.ports;
    let rows = jobs.map(|job| async move {
        match told_by(api, job).await? {
            Some(job) => Row::of_job(&*ports.jobs, &*ports.objects, &job).await.map(Some),
            None => Ok(None),
        }
    });
    let rows = try_join_all(rows).await?;
    Ok(rows.into_iter().flatten().collect())
}

/// The job that tells how one of a batch has ended; none where that has a row of its own, or the job has not ended.
async fn told_by(api: &Api, job: Job) -> Outcome<Option<Job>> {
    if !job.status.is_terminal() {
        return Ok(None);
    }
    let batch = job.batch.clone();
    commands::told_by(&*api.ports.jobs, job, Some(&batch)).await
}
