//! Uploads: a ticket to put a larger or binary article where articles are dropped.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, http::StatusCode, response::IntoResponse};
use bedrock_diy_core::{
    BatchId, Code, Failure, access::Action, article, fault::Fault, limits, time::Timestamp,
};
use serde::{Deserialize, Serialize};
use ulid::Ulid;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Api,
    body::{Document, Json},
    caller::By,
    documents::jobs::segment,
    problem::Problem,
    routes::{At, projects::ProjectPath},
};

const TAG: &str = "Articles";

/// How long a ticket is good, in milliseconds: 50 MB over a slow line.
const LASTS: i64 = 15 * 60 * 1_000;

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(upload))
}

/// A file that is to be uploaded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewUpload {
    /// Its name, with the ending by which it is read: txt, md, html, pdf, docx, json or jsonl.
    #[schema(min_length = 1, max_length = 500, pattern = r"^[^/\\\x00-\x1f\x7f-\x9f]+$")]
    name: String,
    /// Its size.
    #[schema(minimum = 1, maximum = 5_000_000_000_u64)]
    bytes: u64,
    /// The batch that its jobs are listed in; one of its own where nothing is said.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255, pattern = r"^[^/\\\x00-\x1f\x7f-\x9f]+$", nullable = false)]
    #[serde(default)]
    batch: Option<BatchId>,
}

impl Document for NewUpload {}

/// A ticket for an upload.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Ticket {
    /// `PUT`.
    method: &'static str,
    /// Where to send the file: an address, or a path of this API.
    url: String,
    /// The headers to send along.
    headers: BTreeMap<String, String>,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    #[schema(value_type = String)]
    batch: BatchId,
    /// Where its jobs are listed, once it has arrived: one, or one a record of a JSON or JSON Lines file.
    jobs: String,
}

/// Ask for a ticket to upload a file of up to 50 MB, which is taken in as a dropped one is
#[utoipa::path(
    post, path = "/api/projects/{projectId}/articles/~upload", tag = TAG, operation_id = "uploadArticle",
    params(ProjectPath), request_body = NewUpload, responses((status = CREATED, body = Ticket))
)]
async fn upload(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<ProjectPath>,
    Json(new): Json<NewUpload>,
) -> Result<impl IntoResponse, Problem> {
    let project = api.project(&caller, &at.project_id, Action::Write).await?;
    if [".", ".."].contains(&new.name.trim()) {
        let fault = Fault::new(Code::InvalidRequest, "/name", "this is no file's name");
        return Err(Problem::invalid(vec![fault]));
    }
    let most = project
        .settings
        .limits
        .article_bytes
        .unwrap_or(limits::ARTICLE_BYTES);
    if new.bytes > most {
        let detail = format!("{} has {} bytes, {most} are allowed", new.name, new.bytes);
        return Err(Failure::new(Code::ArticleTooLarge, detail).into());
    }
    let now = api.now();
    let batch = if let Some(batch) = new.batch {
        batch
    } else {
        let millis = u64::try_from(now.millis()).unwrap_or_default();
        BatchId::new(format!("upload-{}", Ulid::from_parts(millis, rand::random())))?
    };
    let key = article::inbox_key(&at.project_id, &batch, &new.name);
    let uploads = &api.ports.uploads;
    let ticket = uploads
        .ticket(&key, new.bytes, now, now.plus_millis(LASTS))
        .await?;
    let jobs = format!(
        "/api/projects/{}/jobs?batch={}",
        at.project_id,
        segment(batch.as_str())
    );
    Ok((
        StatusCode::CREATED,
        Json(Ticket {
            method: "PUT",
            url: ticket.url,
            headers: ticket.headers.into_iter().collect(),
            expires_at: ticket.expires_at,
            batch,
            jobs,
        }),
    ))
}
