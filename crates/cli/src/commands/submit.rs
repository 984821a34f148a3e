//! `bedrock-diy submit`: from files on disk to jobs of an API, each article once.

mod article;
mod follow;
mod told;
mod waiting;

use std::path::Path;

use bedrock_diy_core::{Code, Failure, JobId, error::Result, job::JobStatus, limits, project::Project};
use futures_util::{StreamExt as _, stream};
use serde_json::json;

use self::{
    article::{Ready, Way},
    told::Told,
    waiting::Waiting,
};
use crate::{
    arguments::{Elsewhere, Submit, SubmitLane},
    exit::Exit,
    inputs::{self, Input},
    remote::{JobDocument, Refusal, Remote, Ticket},
};

/// Files that are on their way at once.
const AT_ONCE: usize = 8;

/// Jobs that are listed at once: as many as the API shows.
const PAGE: usize = 200;

/// What became of a file.
struct Submitted {
    /// What it is called here.
    name: String,
    jobs: Jobs,
}

enum Jobs {
    /// Its job, and whether an earlier command made it.
    One {
        id: JobId,
        status: JobStatus,
        before: bool,
    },
    /// It is uploaded under this name; so many jobs come of it. `before`: an earlier command uploaded it.
    Uploaded {
        name: String,
        records: usize,
        before: bool,
    },
    /// It can't be an article, or the API does not take it.
    Refused(Why),
}

/// Why a file came to nothing.
struct Why {
    code: Code,
    /// What happened and what to do.
    message: String,
}

impl From<Failure> for Why {
    fn from(failure: Failure) -> Self {
        Self {
            message: failure.message(),
            code: failure.code,
        }
    }
}

/// Submits the files.
pub(super) async fn submit(elsewhere: &Elsewhere, data: &Path, arguments: Submit) -> Result<Exit> {
    let remote = Remote::needed(elsewhere, data, "`submit`")?;
    let inputs = inputs::gather(&arguments.files, &[])?;
    let project: Project = remote
        .get(&format!("/api/projects/{}", arguments.project))
        .send()
        .await?
        .json()
        .await?;
    let submitting = Submitting {
        largest: project
            .settings
            .limits
            .article_bytes
            .unwrap_or(limits::ARTICLE_BYTES),
        uploaded: tokio::sync::OnceCell::new(),
        remote: &remote,
        arguments: &arguments,
    };
    let mut told = Told::new(&arguments);
    let mut waiting = Waiting::new(&remote, &arguments);
    // A session has one job at a time, and so have eyes.
    let one_by_one = arguments.session.is_some() || arguments.follow;
    let mut left = inputs.len();
    let mut submitted = stream::iter(inputs)
        .map(|input| submitting.file(input))
        .buffered(if one_by_one { 1 } else { AT_ONCE });
    while let Some(file) = submitted.next().await {
        let file = file?;
        left -= 1;
        let has_next = left > 0 && arguments.session.is_some();
        match &file.jobs {
            Jobs::Refused(_) => told.submitted(&file)?,
            _ if arguments.follow => follow::follow(&waiting, &mut told, file).await?,
            _ if arguments.wait || has_next => waiting.add(file),
            _ => told.submitted(&file)?,
        }
        if has_next {
            waiting.until_all_have_ended(&mut told).await?;
        }
    }
    waiting.until_all_have_ended(&mut told).await?;
    Ok(told.finish())
}

struct Submitting<'a> {
    remote: &'a Remote,
    arguments: &'a Submit,
    /// The largest file that the project takes, in bytes.
    largest: u64,
    /// The names of the batch's articles; listed once, where a file is to be uploaded.
    uploaded: tokio::sync::OnceCell<Vec<String>>,
}

impl Submitting<'_> {
    /// Submits a file. Fails where no other would fare better.
    async fn file(&self, input: Input) -> Result<Submitted> {
        let name = input.name.clone();
        let jobs = match self.jobs(input).await {
            // The API's own words say what to do.
            Err(refusal) if is_about_the_article(&refusal) => Jobs::Refused(Why {
                code: refusal.failure.code,
                message: refusal.failure.detail,
            }),
            jobs => jobs?,
        };
        Ok(Submitted { name, jobs })
    }

    async fn jobs(&self, input: Input) -> Result<Jobs, Refusal> {
        let largest = self.largest;
        let reading = tokio::task::spawn_blocking(move || article::ready(&input, largest));
        let ready = reading.await.map_err(|error| {
            let detail = format!("reading files ended early: {error}");
            Failure::new(Code::InternalError, detail)
        })?;
        match ready {
            Err(failure) => Ok(Jobs::Refused(failure.into())),
            Ok(ready) => match ready.way {
                Way::Inline { media_type } => self.inline(ready, media_type).await,
                Way::Upload { records } => self.upload(ready, records).await,
            },
        }
    }

    async fn inline(&self, ready: Ready, media_type: &str) -> Result<Jobs, Refusal> {
        let arguments = self.arguments;
        let lane = match arguments.lane {
            SubmitLane::Live => "live",
            SubmitLane::Bulk => "bulk",
        };
        let key = ready.key(&arguments.project, &arguments.batch);
        let mut call = self
            .remote
            .post(&format!("/api/projects/{}/articles", arguments.project))
            .header("Idempotency-Key", &key)
            .persistent()
            .query("name", &ready.name)
            .query("batch", arguments.batch.as_str())
            .query("lane", lane);
        if let Some(session) = &arguments.session {
            call = call.query("sessionId", session.as_str());
        }
        let answer = call.body(media_type, ready.bytes).send().await?;
        let before = answer.is_replay();
        let job: JobDocument = answer.json().await?;
        Ok(Jobs::One {
            id: job.job_id,
            status: job.status,
            before,
        })
    }

    async fn upload(&self, ready: Ready, records: usize) -> Result<Jobs, Refusal> {
        let arguments = self.arguments;
        if arguments.session.is_some() {
            let detail = format!(
                "{} has to be uploaded, and an upload belongs to no session",
                ready.name
            );
            return Ok(Jobs::Refused(Failure::new(Code::InvalidRequest, detail).into()));
        }
        // An upload has no idempotency key: its name says what it holds, and tells whether it is there.
        let name = ready.upload_name();
        let uploaded = self.uploaded.get_or_try_init(|| self.names()).await?;
        if uploaded.iter().any(|article| article::is_of(article, &name)) {
            return Ok(Jobs::Uploaded {
                name,
                records,
                before: true,
            });
        }
        let wanted = json!({ "name": name, "bytes": ready.bytes.len(), "batch": arguments.batch });
        let call = self
            .remote
            .post(&format!("/api/projects/{}/articles:upload", arguments.project));
        let ticket: Ticket = call.persistent().json(&wanted).send().await?.json().await?;
        let headers = ticket
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        self.remote.put(&ticket.url, headers, ready.bytes).await?;
        Ok(Jobs::Uploaded {
            name,
            records,
            before: false,
        })
    }

    async fn names(&self) -> Result<Vec<String>> {
        let jobs = waiting::of_batch(self.remote, self.arguments).all().await?;
        Ok(jobs.into_iter().map(|job| job.article.name).collect())
    }
}

/// Whether it is this file that the API does not take: the others may fare better.
fn is_about_the_article(refusal: &Refusal) -> bool {
    match refusal.status {
        Some(400 | 413 | 415 | 422) => true,
        Some(409) => !refusal.failure.code.is_about_the_project(),
        _ => false,
    }
}
