//! Articles come in: as text or JSON in the request.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bedrock_diy_core::{
    BatchId, Code, JobId, ProjectId,
    access::{Action, Caller},
    article::{self, Article, ArticleMeta, Bucket, ObjectRef, SubmittedPart},
    commands::{self, Submitted},
    fault::Fault,
    follow::Had,
    hook::TextType,
    intake::{Lane, Submission},
    job::Job,
    pipeline::PipelineRevision,
};
use serde_json::{Map, Value};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Api,
    body::{self, Document, Json},
    caller::By,
    conditions::etag,
    documents::{
        articles::{AboutText, INLINE_BYTES, NewArticle, media_type, text_type},
        jobs::{JobDocument, place},
    },
    page::Asking,
    problem::Problem,
    routes::{
        At,
        events::{StreamedEvent, stream_of, wants_stream},
        located,
        projects::ProjectPath,
    },
};

const TAG: &str = "Articles";

/// What names a submission, so that sending it again makes no second job (the IETF's draft
/// "The Idempotency-Key HTTP Header Field").
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Says that the job was there already.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The longest idempotency key, in bytes.
const LONGEST_KEY: usize = 255;

/// The batch of articles that come one by one.
const BATCH: &str = "api";

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(submit))
}

/// Submit an article: text of up to 5 MB, as JSON with what is known about it, or as the whole body; and follow its job
/// at once, where `Accept` says `text/event-stream`
#[utoipa::path(
    post, path = "/api/projects/{projectId}/articles", tag = TAG, operation_id = "submitArticle",
    params(
        crate::routes::projects::ProjectPath, AboutText,
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
         description = "Names this submission: sent again under the same key, it is the same job."),
    ),
    request_body(content(
        (NewArticle = "application/json"), (serde_json::Value = "text/plain"), (serde_json::Value = "text/markdown"), (serde_json::Value = "text/html"),
    )),
    responses(
        (status = ACCEPTED, body = JobDocument<'_>, description = "Its job, which runs from now on",
         headers(("Location" = String), ("ETag" = String), ("Retry-After" = u32))),
        (status = OK, content_type = "text/event-stream", body = StreamedEvent, description = "Where `Accept` says `text/event-stream`: the job's events from the first, as `/api/jobs/{jobId}/events` streams them", headers(("Location" = String))),
        (status = CONFLICT, description = "The project is inactive or has no active card; or `SessionBusy`: the session's last job, `jobId`, has not ended"),
    )
)]
async fn submit(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<ProjectPath>,
    Asking(about): Asking<AboutText>,
    request: Request,
) -> Result<Response, Problem> {
    api.project(&caller, &at.project_id, Action::Write).await?;
    let key = idempotency_key(request.headers())?;
    let streams = wants_stream(request.headers());
    let new = read(request, about).await?;
    let taken = api.submit(&caller, at.project_id, new, key).await?;
    if streams {
        let place = [(header::LOCATION, located(&place(&taken.job.job_id)))];
        return Ok((place, stream_of(&api, taken.job.job_id, Had::up_to(0))).into_response());
    }
    Ok(accepted(taken.job, taken.is_replay).into_response())
}

/// A submission that was taken.
pub(crate) struct Taken {
    pub(crate) job: Job,
    /// Whether an earlier request with the same key made it.
    pub(crate) is_replay: bool,
}

/// The answer to whoever began a job.
pub(crate) fn accepted(job: Job, is_replay: bool) -> impl IntoResponse + use<> {
    let mut headers = HeaderMap::new();
    headers.insert(header::LOCATION, located(&place(&job.job_id)));
    headers.insert(header::ETAG, etag(job.version));
    headers.insert(
        header::RETRY_AFTER,
        HeaderValue::from(crate::routes::jobs::POLL_SECONDS),
    );
    if is_replay {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    (StatusCode::ACCEPTED, headers, Json(JobDocument::of(job, &[])))
}

/// The key that names a submission. Fails with 400 for one that can't be one.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let wrong = || {
        let rule = format!("it must be 1 to {LONGEST_KEY} visible ASCII characters");
        Problem::parameter("Idempotency-Key", rule)
    };
    let key = key.to_str().map_err(|_| wrong())?.trim();
    if key.is_empty() || key.len() > LONGEST_KEY {
        return Err(wrong());
    }
    Ok(Some(key.to_owned()))
}

/// The article that a request brings.
async fn read(request: Request, about: AboutText) -> Result<NewArticle, Problem> {
    let remedy = "Larger articles go through `articles:upload`, or into the inbox.";
    if body::is_json(request.headers()) {
        let bytes = body::read(request, NewArticle::MAX_BYTES, remedy).await?;
        return body::parse(&bytes);
    }
    let kind = body::media_type(request.headers()).and_then(|kind| text_type(&kind));
    let kind = kind.ok_or_else(|| {
        Problem::unsupported("application/json, text/plain, text/markdown or text/html in UTF-8")
    })?;
    let bytes = body::read(request, INLINE_BYTES, remedy).await?;
    let text = String::from_utf8(bytes.into()).map_err(|error| {
        let position = error.utf8_error().valid_up_to();
        Problem::malformed(format!(
            "The body is not UTF-8 at byte {position}. Files of other encodings go through `articles:upload`."
        ))
    })?;
    Ok(NewArticle {
        text,
        media_type: Some(kind),
        name: about.name,
        title: about.title,
        language: about.language,
        metadata: Map::new(),
        session_id: about.session_id,
        batch: about.batch,
        lane: about.lane,
        fresh: about.fresh.unwrap_or_default(),
    })
}

impl Api {
    /// Takes an article: stores it, and begins its job. `key` names the submission among the caller's.
    pub(crate) async fn submit(
        &self,
        caller: &Caller,
        project: ProjectId,
        new: NewArticle,
        key: Option<String>,
    ) -> Result<Taken, Problem> {
        sound(&new)?;
        let job_id = match &key {
            Some(key) => JobId::of_submission(&caller.subject, &project, key),
            None => JobId::fresh(self.now(), rand::random()),
        };
        if key.is_some()
            && let Some(job) = self.ports.jobs.read(&job_id).await?
        {
            self.is_the_same(&job, &new).await?;
            commands::send_on(&*self.ports.queue, &job).await?;
            return Ok(Taken { job, is_replay: true });
        }
        // What can't run is said before anything is stored.
        let default_model = &self.settings.default_model;
        PipelineRevision::current(&*self.ports.projects, &project, default_model).await?;
        let batch = match new.batch.clone() {
            Some(batch) => batch,
            None => BatchId::new(BATCH)?,
        };
        let submission = Submission {
            article: self.store(&project, &job_id, &new).await?,
            job_id,
            project_id: project,
            batch,
            session_id: new.session_id,
            fresh: new.fresh,
            retry_of: None,
            pipeline: None,
        };
        let job = self.begin(new.lane.unwrap_or(Lane::Live), submission).await?;
        Ok(Taken {
            job,
            is_replay: false,
        })
    }

    /// Begins a job whose article is stored. Fails with 409 where its session's last job has not ended.
    pub(crate) async fn begin(&self, lane: Lane, submission: Submission) -> Result<Job, Problem> {
        let ports = &self.ports;
        let ports = (&*ports.projects, &*ports.jobs, &*ports.queue, &*ports.clock);
        match commands::submit(ports, lane, submission, &self.settings.default_model).await? {
            Submitted::Taken(job) => Ok(job),
            Submitted::SessionBusy(open) => Err(Problem::session_busy(&open)),
        }
    }

    async fn store(&self, project: &ProjectId, job: &JobId, new: &NewArticle) -> Result<Article, Problem> {
        let kind = new.media_type.unwrap_or(TextType::Plain);
        let objects = &self.ports.objects;
        let put = |part, bytes| {
            let key = article::submitted_key(project, job, part);
            async move { objects.put(Bucket::Articles, &key, bytes).await }
        };
        let source = put(SubmittedPart::Source, new.text.clone().into_bytes()).await?;
        let more = if new.metadata.is_empty() {
            None
        } else {
            let json = Value::from(new.metadata.clone()).to_string();
            Some(put(SubmittedPart::Metadata, json.into_bytes()).await?)
        };
        let name = new.name.as_deref().or(new.title.as_deref()).unwrap_or("article");
        Ok(Article {
            meta: ArticleMeta {
                title: new.title.clone(),
                language: new.language.clone(),
                media_type: Some(media_type(kind).to_owned()),
                more,
            },
            // Text in UTF-8 is what it is already; a page is read by intake as a file would be.
            text: (kind != TextType::Html).then(|| source.clone()),
            ..Article::new(with_extension(name, kind), source)
        })
    }

    /// A key names one submission: another text under it is a mistake that must not be lost silently.
    async fn is_the_same(&self, job: &Job, new: &NewArticle) -> Result<(), Problem> {
        let source = &job.article.source;
        let is_same =
            source.size == new.text.len() as u64 && self.text_of(source).await? == new.text.as_bytes();
        if is_same {
            return Ok(());
        }
        Err(Problem::conflict(format!(
            "The job {} was submitted under this `Idempotency-Key` with another text: use a new key.",
            job.job_id
        )))
    }

    async fn text_of(&self, object: &ObjectRef) -> Result<Vec<u8>, Problem> {
        Ok(self.ports.objects.get(object).await?)
    }
}

fn sound(new: &NewArticle) -> Result<(), Problem> {
    let mut faults = Vec::new();
    if new.text.trim().is_empty() {
        faults.push(Fault::new(Code::InvalidRequest, "/text", "the text is blank"));
    }
    if new
        .name
        .as_deref()
        .is_some_and(|name| name.trim().is_empty() || name.chars().any(char::is_control))
    {
        faults.push(Fault::new(
            Code::InvalidRequest,
            "/name",
            "the name is blank or has control characters",
        ));
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(faults))
    }
}

/// Intake reads a file as what its name says.
fn with_extension(name: &str, kind: TextType) -> String {
    let extension = format!(".{}", kind.extension());
    if name.to_ascii_lowercase().ends_with(&extension) {
        name.to_owned()
    } else {
        format!("{name}{extension}")
    }
}
