//! Intake: from a message in a queue to an accepted job and its execution.
//!
//! The same article delivered twice is one job: the job's id is derived from what was delivered,
//! accepting it is one conditional write, and its execution is named after it. Whatever dies
//! in between, the redelivery picks it up where it was left.

#[cfg(feature = "lambda")]
pub mod sqs;

use std::sync::Arc;

use bedrock_diy_articles as articles;
use bedrock_diy_core::{
    BatchId, Code, Failure, JobId, ProjectId,
    article::{self, Article, ArticleMeta, Bucket, ObjectRef, SubmittedPart},
    error::Result,
    intake::{Drop, IntakeMessage, Lane},
    job::{Job, JobStatus, NewJob, session_busy},
    limits,
    pipeline::PipelineRevision,
    ports::{Accepted, Bus, Clock, Executions, Jobs, Objects, Projects},
};
use futures_util::{StreamExt, TryStreamExt, stream};

/// What intake needs.
#[derive(Clone)]
pub struct Intake {
    /// Projects and cards.
    pub projects: Arc<dyn Projects>,
    /// Jobs.
    pub jobs: Arc<dyn Jobs>,
    /// Article files.
    pub objects: Arc<dyn Objects>,
    /// The state machine.
    pub executions: Arc<dyn Executions>,
    /// Who is told.
    pub bus: Arc<dyn Bus>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The model for projects that name none.
    pub default_model: String,
}

impl Intake {
    /// Handles one message: returns the jobs that it became (one, but for a file of many articles).
    ///
    /// Fails with a retryable code where the message should come again, and with a terminal one where
    /// it never will be of use.
    pub async fn handle(&self, lane: Lane, message: IntakeMessage) -> Result<Vec<JobId>> {
        match message {
            IntakeMessage::Drop(drop) => self.take_drop(lane, drop).await,
            IntakeMessage::Submission(submission) => {
                Ok(vec![self.accept(NewJob::submitted(lane, *submission)).await?])
            }
        }
    }

    /// Records on the job, where one can be derived, that its message could not be handled: the job
    /// says why, although nothing runs for it.
    pub async fn give_up(&self, lane: Lane, message: IntakeMessage, failure: &Failure) -> Result<()> {
        let new = match message {
            IntakeMessage::Submission(submission) => NewJob::submitted(lane, *submission),
            IntakeMessage::Drop(drop) => {
                let Ok((project_id, batch, name)) = parse_key(&drop.object.key) else {
                    return Ok(());
                };
                dropped(lane, &project_id, &batch, Article::new(name, drop.object.clone()))
            }
        };
        self.refuse(new, failure).await.map(|_| ())
    }

    async fn take_drop(&self, lane: Lane, drop: Drop) -> Result<Vec<JobId>> {
        let (project_id, batch, name) = parse_key(&drop.object.key)?;
        if articles::MediaType::from_name(name).is_some_and(articles::MediaType::holds_many) {
            return self
                .take_records(lane, &drop.object, &project_id, &batch, name)
                .await;
        }
        self.take_whole(lane, &drop.object, &project_id, &batch, name)
            .await
    }

    /// A JSON or JSON Lines file: each record is an article, with its text stored for itself.
    ///
    /// A record that is none becomes a job too: one that can't be read, and says why.
    async fn take_records(
        &self,
        lane: Lane,
        object: &ObjectRef,
        project_id: &ProjectId,
        batch: &BatchId,
        name: &str,
    ) -> Result<Vec<JobId>> {
        let limits = articles::Limits::for_files_of(self.article_bytes(project_id).await?);
        let bytes = if object.size > limits.max_bytes {
            Vec::new()
        } else {
            self.objects.get(object).await?
        };
        let records = match articles::records(name, &bytes, &limits) {
            Ok(records) if object.size <= limits.max_bytes => records,
            // The file as a whole is one article then, which fails when it is read, with the reason.
            _ => return self.take_whole(lane, object, project_id, batch, name).await,
        };
        let accepted = records.enumerate().map(|(index, record)| async move {
            let mut new = dropped(lane, project_id, batch, Article::new(name, object.clone()));
            new.job_id = JobId::of_drop(project_id, &object.key, version(object), Some(index));
            match record {
                Ok(record) => {
                    new.article = store_record(&*self.objects, project_id, &new.job_id, name, record).await?;
                    self.accept(new).await
                }
                Err(error) => {
                    new.article.name = format!("{name}#{}", index + 1);
                    new.article.record = Some(index);
                    self.refuse(new, &Failure::new(code_of(&error), error.to_string()))
                        .await
                }
            }
        });
        let jobs: Vec<_> = stream::iter(accepted)
            .buffered(RECORDS_AT_ONCE)
            .try_collect()
            .await?;
        if jobs.is_empty() {
            return self.take_whole(lane, object, project_id, batch, name).await;
        }
        Ok(jobs)
    }

    async fn take_whole(
        &self,
        lane: Lane,
        object: &ObjectRef,
        project_id: &ProjectId,
        batch: &BatchId,
        name: &str,
    ) -> Result<Vec<JobId>> {
        let new = dropped(lane, project_id, batch, Article::new(name, object.clone()));
        Ok(vec![self.accept(new).await?])
    }

    /// How large a file of the project may be.
    async fn article_bytes(&self, project_id: &ProjectId) -> Result<u64> {
        let project = self.projects.project(project_id).await?;
        let said = project.and_then(|project| project.settings.limits.article_bytes);
        Ok(said.unwrap_or(limits::ARTICLE_BYTES))
    }

    async fn accept(&self, new: NewJob) -> Result<JobId> {
        let pipeline = match self.pipeline(&new).await {
            // The article is not lost: its job says what is wrong with the project.
            Err(failure) if !failure.code.is_about_the_project() => return Err(failure),
            pipeline => pipeline,
        };
        let pipeline = pipeline.as_deref().map_err(Clone::clone);
        let change = Job::accept(new.clone(), pipeline, self.clock.now());
        match self.jobs.accept(change).await? {
            // Whoever sent the message asked nobody before. Its job says why it came to nothing, and can be retried;
            // in its turn later it would answer what nobody may want to know any more.
            Accepted::SessionBusy(open) => self.refuse(new, &session_busy(&open)).await,
            accepted => self.settle(accepted).await,
        }
    }

    /// The pipeline revision that a job runs under: the one that its id was derived with, or today's.
    async fn pipeline(&self, new: &NewJob) -> Result<Arc<PipelineRevision>> {
        match &new.pipeline {
            Some(hash) => self.projects.pipeline(&new.project_id, hash).await,
            None => PipelineRevision::current(&*self.projects, &new.project_id, &self.default_model)
                .await
                .map(Arc::new),
        }
    }

    async fn refuse(&self, new: NewJob, failure: &Failure) -> Result<JobId> {
        let change = Job::accept(new, Err(failure.clone()), self.clock.now());
        self.settle(self.jobs.accept(change).await?).await
    }

    async fn settle(&self, accepted: Accepted) -> Result<JobId> {
        let job = match accepted {
            Accepted::New(job, events) => {
                match &job.error {
                    None => {
                        tracing::info!(job_id = %job.job_id, project_id = %job.project_id, status = %job.status, "job accepted");
                    }
                    Some(error) => {
                        tracing::warn!(job_id = %job.job_id, project_id = %job.project_id, code = %error.code, "job refused");
                    }
                }
                self.bus.publish(&events).await?;
                job
            }
            Accepted::Already(job) => {
                tracing::debug!(job_id = %job.job_id, "delivered again, accepted already");
                // Whoever accepted it may have died before it said so or started it. What this delivery
                // would have made of it never happened: what is stored counts.
                let stored = self.jobs.events(&job.job_id, 0, ACCEPTANCE_EVENTS).await?;
                self.bus.publish(&stored).await?;
                job
            }
            Accepted::SessionBusy(open) => return Err(session_busy(&open)),
        };
        if job.status == JobStatus::Accepted {
            self.executions.start(&job.job_id, job.lane).await?;
        }
        Ok(job.job_id)
    }
}

/// Records of one file that are stored and accepted at once: they share the disk's syncs, or the way to AWS.
const RECORDS_AT_ONCE: usize = 32;

/// An acceptance writes `job.accepted`, and `job.failed` where there is nothing to be run.
const ACCEPTANCE_EVENTS: usize = 2;

/// Stores a record of a JSON or JSON Lines file as an article of its own: its text, and beside it what
/// else is known about it.
pub async fn store_record(
    objects: &dyn Objects,
    project_id: &ProjectId,
    job_id: &JobId,
    file: &str,
    record: articles::Record,
) -> Result<Article> {
    let name = record_name(file, &record);
    let key = |part| article::submitted_key(project_id, job_id, part);
    let source = objects
        .put(
            Bucket::Articles,
            &key(SubmittedPart::Text),
            record.text.into_bytes(),
        )
        .await?;
    let more = if record.metadata.is_empty() {
        None
    } else {
        let json = serde_json::Value::from(record.metadata).to_string();
        Some(
            objects
                .put(Bucket::Articles, &key(SubmittedPart::Metadata), json.into_bytes())
                .await?,
        )
    };
    let meta = ArticleMeta {
        title: record.title,
        language: record.language,
        media_type: Some(articles::MediaType::PlainText.as_str().to_owned()),
        more,
    };
    Ok(Article {
        text: Some(source.clone()),
        meta,
        ..Article::new(name, source)
    })
}

/// What an article is called that is a record of a file: by its id, else by its place there, from 1.
#[must_use]
pub fn record_name(file: &str, record: &articles::Record) -> String {
    match &record.id {
        Some(id) => format!("{file}#{id}"),
        None => format!("{file}#{}", record.index + 1),
    }
}

fn dropped(lane: Lane, project_id: &ProjectId, batch: &BatchId, article: Article) -> NewJob {
    NewJob {
        job_id: JobId::of_drop(project_id, &article.source.key, version(&article.source), None),
        project_id: project_id.clone(),
        batch: batch.clone(),
        lane,
        article,
        session_id: None,
        fresh: false,
        retry_of: None,
        pipeline: None,
    }
}

fn parse_key(key: &str) -> Result<(ProjectId, BatchId, &str)> {
    let (project, batch, name) = article::parse_inbox_key(key).ok_or_else(|| {
        Failure::new(
            Code::InvalidRequest,
            format!(
                "{key} is not where articles are dropped: that is inbox/{{projectId}}/{{batch}}/{{file}}"
            ),
        )
    })?;
    Ok((ProjectId::new(project)?, BatchId::new(batch)?, name))
}

fn version(object: &ObjectRef) -> &str {
    object.version.as_deref().unwrap_or_default()
}

fn code_of(error: &articles::ReadError) -> Code {
    Code::from_name(error.code()).unwrap_or(Code::UnreadableArticle)
}
