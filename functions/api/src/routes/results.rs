//! Results of a job: what its stages put out, as text or as JSON.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use bedrock_diy_core::{JobId, PromptId, access::Action, article::ObjectRef, stage::StageRecord};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Api,
    body::Json,
    caller::By,
    conditions::{IfNoneMatch, etag},
    problem::Problem,
    routes::{At, jobs::JobPath},
};

const TAG: &str = "Jobs";

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(all)).routes(routes!(one))
}

/// A stage's place.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Path)]
struct StagePath {
    /// The job's id.
    #[param(value_type = String)]
    job_id: JobId,
    /// The stage's number, counted from 1, or its card's id.
    stage: String,
}

/// What a job's stages have put out.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Results {
    #[schema(value_type = String)]
    job_id: JobId,
    /// Those of finished stages, in order.
    outputs: Vec<Output>,
}

/// A stage's output.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Output {
    /// Counted from 1.
    stage: u32,
    #[schema(value_type = String)]
    prompt_id: PromptId,
    /// The card's title.
    title: String,
    /// The output as the model wrote it.
    text: String,
    /// The output as a document, where it is a JSON object or list.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<Value>,
}

/// Read the outputs of a job's finished stages
#[utoipa::path(
    get, path = "/api/jobs/{jobId}/results", tag = TAG, operation_id = "readResults", params(JobPath),
    responses(
        (status = OK, body = Results, headers(("ETag" = String))),
        (status = NOT_MODIFIED, description = "They are as you have read them"),
    )
)]
async fn all(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<JobPath>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let job = api.job(&caller, &at.job_id, Action::Read).await?;
    let tag = [(header::ETAG, etag(job.version))];
    if known.has(&tag[0].1) {
        return Ok((StatusCode::NOT_MODIFIED, tag).into_response());
    }
    let stages = api.ports.jobs.stages(&job.job_id).await?;
    let outputs = stages.iter().map(|stage| async {
        let text = api.output(stage).await?;
        Ok::<_, Problem>(Output {
            stage: stage.stage,
            prompt_id: stage.prompt_id.clone(),
            title: stage.title.clone(),
            json: document(&text),
            text,
        })
    });
    let results = Results {
        job_id: job.job_id,
        outputs: try_join_all(outputs).await?,
    };
    Ok((tag, Json(results)).into_response())
}

/// Read the output of one stage: as the model wrote it, or as JSON where that is what you accept
#[utoipa::path(
    get, path = "/api/jobs/{jobId}/results/{stage}", tag = TAG, operation_id = "readResult",
    params(StagePath, ("Accept" = Option<String>, Header, description = "`application/json` for a document, where the output is one.")),
    responses(
        (status = OK, content((String = "text/plain"), (Value = "application/json"))),
        (status = NOT_ACCEPTABLE, description = "The output is no JSON document"),
    )
)]
async fn one(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<StagePath>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let job = api.job(&caller, &at.job_id, Action::Read).await?;
    let stages = api.ports.jobs.stages(&job.job_id).await?;
    let number = at.stage.parse::<u32>().ok();
    let stage = stages
        .iter()
        .find(|stage| Some(stage.stage) == number || stage.prompt_id.as_str() == at.stage)
        .ok_or_else(|| {
            Problem::not_found(format!(
                "The job {} has no output of such a stage (yet).",
                job.job_id
            ))
        })?;
    let text = api.output(stage).await?;
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok());
    if !wants_json(accept.unwrap_or_default()) {
        return Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response());
    }
    match document(&text) {
        Some(document) => Ok(Json(document).into_response()),
        None => Err(Problem::not_acceptable("text/plain; it is no JSON document")),
    }
}

/// Whether JSON is asked for, and text is not.
fn wants_json(accept: &str) -> bool {
    let named = |kinds: &[&str]| {
        accept.split(',').any(|kind| {
            let kind = kind.split(';').next().unwrap_or_default().trim();
            kinds.iter().any(|name| kind.eq_ignore_ascii_case(name))
        })
    };
    named(&["application/json"]) && !named(&["text/plain", "text/*"])
}

/// A text as the JSON document that it is.
pub(crate) fn document(text: &str) -> Option<Value> {
    match serde_json::from_str(text) {
        Ok(document @ (Value::Object(_) | Value::Array(_))) => Some(document),
        _ => None,
    }
}

impl Api {
    /// A finished stage's output.
    pub(crate) async fn output(&self, stage: &StageRecord) -> Result<String, Problem> {
        self.stored_text(&stage.output).await
    }

    /// A text that was stored.
    pub(crate) async fn stored_text(&self, object: &ObjectRef) -> Result<String, Problem> {
        let bytes = self.ports.objects.get(object).await?;
        String::from_utf8(bytes).map_err(|_| {
            tracing::error!(key = object.key, "a stored text is no UTF-8");
            Problem::internal()
        })
    }
}
