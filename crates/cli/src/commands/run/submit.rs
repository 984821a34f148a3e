//! From files on disk to messages in the queue, each article once.

use bedrock_diy_articles as articles;
use bedrock_diy_core::{
    BatchId, Failure, JobId, ProjectId,
    article::{self, Article, Bucket, ObjectRef, SubmittedPart},
    error::Result,
    intake::{IntakeMessage, Lane, Submission},
    job::JobStatus,
    pipeline::PipelineRevision,
    ports::{Jobs, Objects, Queue},
    text::sha256_hex,
};
use bedrock_diy_intake::{record_name, store_record};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    inputs::{self, Input, holds_many},
    machine::{Left, Machine},
};

/// One article of a run.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// What it is called in results.
    pub(super) name: String,
    /// Its job, or why it never became one.
    pub(super) job: Result<JobId>,
    /// Whether it had succeeded before this run.
    pub(super) done_before: bool,
}

/// Submits the files of a run.
pub(super) struct Submitter<'a> {
    pub(super) machine: &'a Machine,
    pub(super) project: &'a ProjectId,
    pub(super) batch: &'a BatchId,
    pub(super) pipeline: &'a PipelineRevision,
    /// What earlier runs did not finish, some of which may be these very articles.
    pub(super) left: &'a Left,
    /// Set where the memo is not to be asked: names this run, so that its jobs are new ones.
    pub(super) fresh: Option<String>,
}

/// An article that is ready to be submitted.
struct Ready {
    name: String,
    /// What makes it this article: the same contents in the same place.
    identity: String,
    body: Body,
}

enum Body {
    Bytes(Vec<u8>),
    /// One article of a file that holds many.
    Record {
        file: String,
        record: Box<articles::Record>,
    },
    /// Never read: the job will say that it is too large.
    TooLarge(u64),
}

/// Articles that are stored at once: they share the disk's syncs.
const AT_ONCE: usize = 64;

/// Files are read by the portion, for a thread of its own each: so many files at most, and no more than so
/// many bytes (a larger file is a portion of its own), so that few of them are in memory.
const PORTION_FILES: usize = 32;
const PORTION_BYTES: u64 = 1024 * 1024;
/// Portions that are in memory at once.
const PORTIONS: usize = 4;

impl Submitter<'_> {
    /// Submits everything, in order; `on_entry` hears of each article before its message is sent.
    pub(super) async fn submit(
        &self,
        inputs: Vec<Input>,
        mut on_entry: impl FnMut(&Entry),
    ) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut submitted = stream::iter(portions(inputs))
            .map(|portion| self.submit_portion(portion))
            .buffered(PORTIONS);
        while let Some(portion) = submitted.next().await {
            let mut messages = Vec::new();
            for (entry, message) in portion? {
                on_entry(&entry);
                entries.push(entry);
                messages.extend(message.map(Box::new).map(IntakeMessage::Submission));
            }
            if !messages.is_empty() {
                self.machine.queue.send(Lane::Bulk, messages).await?;
            }
        }
        Ok(entries)
    }

    async fn submit_portion(&self, inputs: Vec<Input>) -> Result<Vec<(Entry, Option<Submission>)>> {
        let limit = self
            .pipeline
            .settings
            .limits
            .article_bytes
            .unwrap_or(bedrock_diy_core::limits::ARTICLE_BYTES);
        let reading = move || inputs.iter().flat_map(|input| read(input, limit)).collect();
        let ready: Vec<_> = tokio::task::spawn_blocking(reading).await.map_err(|error| {
            Failure::new(
                bedrock_diy_core::Code::InternalError,
                format!("reading files ended early: {error}"),
            )
        })?;
        stream::iter(ready)
            .map(|article| async {
                match article {
                    Ok(ready) => self.submit_article(ready).await,
                    Err((name, failure)) => Ok((
                        Entry {
                            name,
                            job: Err(failure),
                            done_before: false,
                        },
                        None,
                    )),
                }
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    /// The article's entry, and its message where there is something to be done.
    async fn submit_article(&self, ready: Ready) -> Result<(Entry, Option<Submission>)> {
        let key = [
            &ready.identity,
            &self.pipeline.hash,
            self.fresh.as_deref().unwrap_or_default(),
        ]
        .join("\n");
        let first = JobId::of_submission("run", self.project, &key);
        let mut earlier = None;
        let mut job_id = first.clone();
        // A failed article is tried again, from the stage that failed on; so is a cancelled one.
        while let Some(job) = self.machine.jobs.read(&job_id).await? {
            match job.status {
                JobStatus::Failed | JobStatus::Cancelled => {
                    let next = JobId::of_retry(&job_id);
                    earlier = Some(std::mem::replace(&mut job_id, next));
                }
                status => {
                    let done_before = status == JobStatus::Succeeded;
                    if !done_before {
                        self.left.take_up_job(&job).await?;
                    }
                    return Ok((
                        Entry {
                            name: ready.name,
                            job: Ok(job_id),
                            done_before,
                        },
                        None,
                    ));
                }
            }
        }
        let name = ready.name.clone();
        let entry = Entry {
            name,
            job: Ok(job_id.clone()),
            done_before: false,
        };
        if self.left.take_up_message(&job_id).await? {
            return Ok((entry, None));
        }
        let submission = Submission {
            job_id,
            project_id: self.project.clone(),
            batch: self.batch.clone(),
            article: self.store(&first, ready).await?,
            session_id: None,
            fresh: self.fresh.is_some(),
            retry_of: earlier,
            pipeline: Some(self.pipeline.hash.clone()),
        };
        Ok((entry, Some(submission)))
    }

    async fn store(&self, job: &JobId, ready: Ready) -> Result<Article> {
        let key = article::submitted_key(self.project, job, SubmittedPart::Source);
        let objects = &self.machine.objects;
        let source = match ready.body {
            Body::Record { file, record } => {
                return store_record(objects, self.project, job, &file, *record).await;
            }
            Body::Bytes(bytes) => objects.put(Bucket::Articles, &key, bytes).await?,
            Body::TooLarge(size) => ObjectRef {
                bucket: Bucket::Articles,
                key,
                version: None,
                size,
            },
        };
        Ok(Article::new(ready.name, source))
    }
}

/// The inputs in order, cut into portions.
fn portions(inputs: Vec<Input>) -> Vec<Vec<Input>> {
    let mut portions: Vec<Vec<Input>> = Vec::new();
    let mut bytes = 0;
    for input in inputs {
        let size = input.size.as_ref().copied().unwrap_or_default();
        bytes += size;
        match portions.last_mut() {
            Some(portion) if portion.len() < PORTION_FILES && bytes <= PORTION_BYTES => portion.push(input),
            _ => {
                bytes = size;
                portions.push(vec![input]);
            }
        }
    }
    portions
}

/// Reads a file: one article, or many where it is JSON or JSON Lines.
fn read(input: &Input, limit: u64) -> Vec<Result<Ready, (String, Failure)>> {
    let failed = |failure: Failure| vec![Err((input.name.clone(), failure))];
    let size = match &input.size {
        Ok(size) => *size,
        Err(failure) => return failed(failure.clone()),
    };
    let place = std::path::absolute(&input.path).unwrap_or_else(|_| input.path.clone());
    let place = place.to_string_lossy();
    if size > limit {
        let identity = format!("{place}\n{size}");
        return vec![Ok(Ready {
            name: input.name.clone(),
            identity,
            body: Body::TooLarge(size),
        })];
    }
    let bytes = match inputs::read(&input.path) {
        Ok(bytes) => bytes,
        Err(failure) => return failed(failure),
    };
    if holds_many(&input.path)
        && let Ok(records) = articles::records(&input.name, &bytes, &articles::Limits::for_files_of(limit))
    {
        let ready: Vec<_> = records
            .enumerate()
            .map(|(index, record)| of_record(input, &place, index, record))
            .collect();
        if !ready.is_empty() {
            return ready;
        }
    }
    let identity = format!("{place}\n{}", sha256_hex(&bytes));
    vec![Ok(Ready {
        name: input.name.clone(),
        identity,
        body: Body::Bytes(bytes),
    })]
}

fn of_record(
    input: &Input,
    place: &str,
    index: usize,
    record: std::result::Result<articles::Record, articles::ReadError>,
) -> Result<Ready, (String, Failure)> {
    let record = record.map_err(|error| {
        let code = bedrock_diy_core::Code::from_name(error.code())
            .unwrap_or(bedrock_diy_core::Code::UnreadableArticle);
        (
            format!("{}#{}", input.name, index + 1),
            Failure::new(code, error.to_string()),
        )
    })?;
    // All of it goes into prompts: with another title it is another article.
    let contents = serde_json::json!([&record.text, &record.title, &record.language, &record.metadata]);
    Ok(Ready {
        name: record_name(&input.name, &record),
        identity: format!(
            "{place}\n{}\n{}",
            record.index,
            sha256_hex(contents.to_string().as_bytes())
        ),
        body: Body::Record {
            file: input.name.clone(),
            record: Box::new(record),
        },
    })
}
