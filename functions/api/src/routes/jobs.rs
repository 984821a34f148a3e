//! Jobs: list, read, cancel, retry, run again.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bedrock_diy_core::{
    BatchId, JobId, ProjectId,
    access::{Action, Caller},
    commands,
    intake::Lane,
    job::{Job, JobStatus},
    pipeline::PipelineRevision,
    ports::{JobFilter, Jobs},
    time::Timestamp,
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Api,
    body::{Json, written, written_json},
    caller::By,
    conditions::{IfNoneMatch, etag},
    documents::jobs::{JobDocument, JobSummary},
    page::{Asking, Page, PageQuery},
    problem::Problem,
    routes::{At, articles::accepted, projects::ProjectPath},
};

const TAG: &str = "Jobs";

/// When to ask again for a job that runs, in seconds: about what a stage takes.
pub(crate) const POLL_SECONDS: u32 = 2;

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(read))
        .routes(routes!(cancel))
        .routes(routes!(retry))
        .routes(routes!(rerun))
}

/// A job's place.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Path)]
pub(crate) struct JobPath {
    /// The job's id: 26 characters of Crockford's base 32.
    #[param(value_type = String)]
    pub(crate) job_id: JobId,
}

/// Which jobs to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those in this status.
    #[param(inline)]
    status: Option<JobStatus>,
    /// Only those of this batch.
    #[param(value_type = Option<String>, min_length = 1, max_length = 255, pattern = r"^[^/\\\x00-\x1f\x7f-\x9f]+$")]
    batch: Option<BatchId>,
    /// Only those that were accepted at this moment or later.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Only those that were accepted before this moment.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
}

/// How to run again.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct How {
    /// Asks the models again, also for what they have answered before.
    #[serde(default)]
    #[param(required = false)]
    fresh: bool,
}

/// List a project's jobs, the newest first
#[utoipa::path(
    get, path = "/api/projects/{projectId}/jobs", tag = TAG, operation_id = "listJobs",
    params(ProjectPath, Which, PageQuery), responses((status = OK, body = Page<JobSummary>))
)]
async fn list(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<ProjectPath>,
    Asking(which): Asking<Which>,
    Asking(page): Asking<PageQuery>,
) -> Result<Json<Page<JobSummary>>, Problem> {
    api.project(&caller, &at.project_id, Action::Read).await?;
    let filter = JobFilter {
        project: at.project_id,
        batch: which.batch,
        status: which.status,
        from: which.from,
        to: which.to,
    };
    let found = api.ports.job_index.list(&filter, &page.request()?).await?;
    Ok(Json(Page::of(found, JobSummary::from)))
}

/// Read a job with its finished stages. Send its `ETag` in `If-None-Match` to hear of changes only
#[utoipa::path(
    get, path = "/api/jobs/{jobId}", tag = TAG, operation_id = "readJob",
    params(JobPath, ("If-None-Match" = Option<String>, Header, description = "The `ETag` of what you have read before.")),
    responses(
        (status = OK, body = JobDocument<'_>, headers(("ETag" = String), ("Retry-After" = u32, description = "When to ask again, in seconds: where it has not ended."))),
        (status = NOT_MODIFIED, description = "It is as you have read it"),
    )
)]
async fn read(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<JobPath>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    if let Some(ended) = api.ended.get(&at.job_id) {
        api.may(&caller, &at.job_id, &ended.project_id, Action::Read)
            .await?;
        let etag = etag(ended.version);
        let mut response = if known.has(&etag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            written_json(ended.json)
        };
        response.headers_mut().insert(header::ETAG, etag);
        return Ok(response);
    }
    let job = api.job(&caller, &at.job_id, Action::Read).await?;
    let etag = etag(job.version);
    let runs = !job.status.is_terminal();
    let mut response = if known.has(&etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let stages = api.ports.jobs.stages(&job.job_id).await?;
        let json = written(&JobDocument::of(job.clone(), &stages))?;
        api.ended.keep(&job, &json);
        written_json(json)
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag);
    if runs {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(POLL_SECONDS));
    }
    Ok(response)
}

/// Cancel a job: nothing new is begun for it, and what it has is kept. One that has ended stays as it is
#[utoipa::path(
    post, path = "/api/jobs/{jobId}/~cancel", tag = TAG, operation_id = "cancelJob", params(JobPath),
    responses((status = OK, body = JobDocument<'_>, headers(("ETag" = String))))
)]
async fn cancel(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<JobPath>,
) -> Result<Response, Problem> {
    let job = api.job(&caller, &at.job_id, Action::Write).await?;
    let job = api.cancel(&caller, job).await?;
    let stages = api.ports.jobs.stages(&job.job_id).await?;
    let tag = [(header::ETAG, etag(job.version))];
    Ok((tag, Json(JobDocument::of(job, &stages))).into_response())
}

/// Try a failed or cancelled job again, from the stage that it ended at: finished ones are not paid again
#[utoipa::path(
    post, path = "/api/jobs/{jobId}/~retry", tag = TAG, operation_id = "retryJob", params(JobPath),
    responses(
        (status = ACCEPTED, body = JobDocument<'_>, description = "The job that tries it again", headers(("Location" = String), ("ETag" = String), ("Retry-After" = u32))),
        (status = CONFLICT, description = "It runs or has succeeded; or another job of its session runs"),
    )
)]
async fn retry(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<JobPath>,
) -> Result<impl IntoResponse, Problem> {
    let job = api.job(&caller, &at.job_id, Action::Write).await?;
    let submission = commands::retry(&*api.ports.jobs, job).await.map_err(refused)?;
    let job = api.begin(Lane::Live, submission).await?;
    Ok(accepted(job, false))
}

/// Run a job's article again with the prompt cards of today: only what has changed, and what comes after it, is paid
#[utoipa::path(
    post, path = "/api/jobs/{jobId}/~rerun", tag = TAG, operation_id = "rerunJob", params(JobPath, How),
    responses(
        (status = ACCEPTED, body = JobDocument<'_>, description = "The job that runs it again; the same one where nothing has changed since it was asked for last", headers(("Location" = String), ("ETag" = String), ("Retry-After" = u32))),
        (status = CONFLICT, description = "It runs, its project has nothing to run, or another job of its session runs"),
    )
)]
async fn rerun(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<JobPath>,
    Asking(how): Asking<How>,
) -> Result<impl IntoResponse, Problem> {
    let job = api.job(&caller, &at.job_id, Action::Write).await?;
    let today =
        PipelineRevision::current(&*api.ports.projects, &job.project_id, &api.settings.default_model).await?;
    let fresh = how.fresh.then(|| JobId::fresh(api.now(), rand::random()));
    let submission = commands::rerun(&job, &today, fresh).map_err(refused)?;
    let job = api.begin(Lane::Live, submission).await?;
    Ok(accepted(job, false))
}

fn unknown(job: &JobId) -> Problem {
    Problem::not_found(format!("There is no job {job} that you may see."))
}

/// What can't be done as the job stands.
fn refused(failure: bedrock_diy_core::Failure) -> Problem {
    match failure.code {
        bedrock_diy_core::Code::InvalidRequest => Problem::conflict(format!("{}.", failure.detail)),
        _ => failure.into(),
    }
}

impl Api {
    /// A job in a project in which the caller may do this. Fails with 404 where they may not know of it.
    pub(crate) async fn job(&self, caller: &Caller, id: &JobId, action: Action) -> Result<Job, Problem> {
        let job = self.ports.jobs.read(id).await?.ok_or_else(|| unknown(id))?;
        self.may(caller, id, &job.project_id, action).await?;
        Ok(job)
    }

    /// Cancels a job, as this caller.
    pub(crate) async fn cancel(&self, caller: &Caller, job: Job) -> Result<Job, Problem> {
        let ports = &self.ports;
        let with: (&dyn Jobs, _, _, _) = (&*ports.jobs, &*ports.executions, &*ports.bus, &*ports.clock);
        Ok(commands::cancel(with, job, &caller.subject).await?)
    }

    /// Whether the caller may do this in the project of this job. Fails with 404 where they may not know of it.
    async fn may(
        &self,
        caller: &Caller,
        job: &JobId,
        project: &ProjectId,
        action: Action,
    ) -> Result<(), Problem> {
        match self.project(caller, project, action).await {
            Ok(_) => Ok(()),
            Err(problem) if problem.status() == StatusCode::NOT_FOUND => Err(unknown(job)),
            Err(problem) => Err(problem),
        }
    }
}
