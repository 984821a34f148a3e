//! Intake: from a message in a queue to an accepted job and its execution.
//!
//! The same article delivered twice is one job: the job's id is derived from what was delivered,
//! accepting it is one conditional write, and its execution is named after it. Whatever dies
//! in between, the redelivery picks it up where it was left.

use std::sync::Arc;

use bedrock_diy_articles as articles;
use bedrock_diy_core::{
    BatchId, Code, Failure, JobId, ProjectId,
    article::{self, Article, ArticleMeta, Bucket, ObjectRef},
    error::Result,
    intake::{Drop, IntakeMessage, Lane, Submission},
    job::{Job, JobStatus, NewJob},
    limits,
    pipeline::PipelineRevision,
    ports::{Accepted, Bus, Clock, Executions, Jobs, Objects, Projects},
};

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
                Ok(vec![self.accept(submitted(lane, *submission)).await?])
            }
        }
    }

    /// Records on the job, where one can be derived, that its message could not be handled: the job
    /// says why, although nothing runs for it.
    pub async fn give_up(&self, lane: Lane, message: IntakeMessage, failure: &Failure) -> Result<()> {
        let new = match message {
            IntakeMessage::Submission(submission) => submitted(lane, *submission),
            IntakeMessage::Drop(drop) => {
                let Ok((project_id, batch, name)) = parse_key(&drop.object.key) else {
                    return Ok(());
                };
                let job_id = JobId::of_drop(&project_id, &drop.object.key, version(&drop.object), None);
                let name = name.to_owned();
                let article = Article {
                    name,
                    source: drop.object,
                    text: None,
                    meta: ArticleMeta::default(),
                };
                new_job(job_id, &project_id, &batch, lane, article)
            }
        };
        self.refuse(new, failure).await.map(|_| ())
    }

    async fn take_drop(&self, lane: Lane, drop: Drop) -> Result<Vec<JobId>> {
        let (project_id, batch, name) = parse_key(&drop.object.key)?;
        if is_many(name) {
            return self
                .take_records(lane, &drop.object, &project_id, &batch, name)
                .await;
        }
        let job_id = JobId::of_drop(&project_id, &drop.object.key, version(&drop.object), None);
        let article = Article {
            name: name.to_owned(),
            source: drop.object,
            text: None,
            meta: ArticleMeta::default(),
        };
        Ok(vec![
            self.accept(new_job(job_id, &project_id, &batch, lane, article))
                .await?,
        ])
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
        let bytes = if object.size > limits::ARTICLE_BYTES {
            Vec::new()
        } else {
            self.objects.get(object).await?
        };
        let limits = articles::Limits::default();
        let records = match articles::records(name, &bytes, &limits) {
            Ok(records) if object.size <= limits::ARTICLE_BYTES => records,
            // The file as a whole is one article then, which fails when it is read, with the reason.
            _ => return self.take_whole(lane, object, project_id, batch, name).await,
        };
        let mut jobs = Vec::new();
        for (index, record) in records.enumerate() {
            let job_id = JobId::of_drop(project_id, &object.key, version(object), Some(index));
            let article = match record {
                Ok(record) => self.store_record(project_id, &job_id, name, record).await?,
                Err(error) => {
                    let name = format!("{name}#{}", index + 1);
                    let failure = Failure::new(code_of(&error), error.to_string());
                    let article = Article {
                        name,
                        source: object.clone(),
                        text: None,
                        meta: ArticleMeta::default(),
                    };
                    jobs.push(
                        self.refuse(new_job(job_id, project_id, batch, lane, article), &failure)
                            .await?,
                    );
                    continue;
                }
            };
            jobs.push(
                self.accept(new_job(job_id, project_id, batch, lane, article))
                    .await?,
            );
        }
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
        let job_id = JobId::of_drop(project_id, &object.key, version(object), None);
        let article = Article {
            name: name.to_owned(),
            source: object.clone(),
            text: None,
            meta: ArticleMeta::default(),
        };
        Ok(vec![
            self.accept(new_job(job_id, project_id, batch, lane, article))
                .await?,
        ])
    }

    async fn store_record(
        &self,
        project_id: &ProjectId,
        job_id: &JobId,
        file: &str,
        record: articles::Record,
    ) -> Result<Article> {
        let name = match &record.id {
            Some(id) => format!("{file}#{id}"),
            None => format!("{file}#{}", record.index + 1),
        };
        let key = article::submitted_key(project_id, job_id, "record.txt");
        let source = self
            .objects
            .put(Bucket::Articles, &key, record.text.into_bytes())
            .await?;
        let meta = ArticleMeta {
            title: record.title,
            language: record.language,
            media_type: None,
            other: record.metadata,
        };
        Ok(Article {
            name,
            source,
            text: None,
            meta,
        })
    }

    async fn accept(&self, new: NewJob) -> Result<JobId> {
        let pipeline = match self.pipeline(&new).await {
            Ok(pipeline) => Ok(pipeline),
            Err(failure) if is_about_the_project(failure.code) => Err(failure),
            Err(failure) => return Err(failure),
        };
        self.settle(Job::accept(
            new,
            pipeline.as_ref().map_err(Clone::clone),
            self.clock.now(),
        ))
        .await
    }

    async fn refuse(&self, new: NewJob, failure: &Failure) -> Result<JobId> {
        self.settle(Job::accept(new, Err(failure.clone()), self.clock.now()))
            .await
    }

    async fn settle(&self, change: bedrock_diy_core::job::Change) -> Result<JobId> {
        let events = change.events.clone();
        let job = match self.jobs.accept(change).await? {
            Accepted::New(job) => {
                tracing::info!(job_id = %job.job_id, project_id = %job.project_id, status = %job.status, "job accepted");
                job
            }
            Accepted::Already(job) => {
                tracing::debug!(job_id = %job.job_id, "delivered again, accepted already");
                // Whoever accepted it may have died before it said so or started it.
                if job.status != JobStatus::Accepted {
                    return Ok(job.job_id);
                }
                job
            }
        };
        self.bus.publish(&events).await?;
        if !job.status.is_terminal() {
            self.executions.start(&job.job_id).await?;
        }
        Ok(job.job_id)
    }

    /// The pipeline revision of a new job: today's, or for a retry the one of the job that failed
    /// (where it had one).
    async fn pipeline(&self, new: &NewJob) -> Result<PipelineRevision> {
        if let Some(earlier) = &new.retry_of
            && let Some(job) = self.jobs.read(earlier).await?
            && let Some(hash) = &job.pipeline
        {
            return Ok(PipelineRevision::clone(
                &*self.projects.pipeline(&new.project_id, hash).await?,
            ));
        }
        let project = self.projects.project(&new.project_id).await?.ok_or_else(|| {
            Failure::new(
                Code::ProjectNotFound,
                format!("there is no project {}", new.project_id),
            )
        })?;
        let cards = self.projects.cards(&new.project_id).await?;
        let pipeline = PipelineRevision::pin(&project, &cards, &self.default_model)?;
        self.projects.keep_pipeline(&pipeline).await?;
        Ok(pipeline)
    }
}

fn new_job(job_id: JobId, project_id: &ProjectId, batch: &BatchId, lane: Lane, article: Article) -> NewJob {
    NewJob {
        job_id,
        project_id: project_id.clone(),
        batch: batch.clone(),
        lane,
        article,
        session_id: None,
        fresh: false,
        retry_of: None,
    }
}

fn submitted(lane: Lane, submission: Submission) -> NewJob {
    let article = Article {
        name: submission.name,
        source: submission.object,
        text: None,
        meta: submission.meta,
    };
    NewJob {
        job_id: submission.job_id,
        project_id: submission.project_id,
        batch: submission.batch,
        lane,
        article,
        session_id: submission.session_id,
        fresh: submission.fresh,
        retry_of: submission.retry_of,
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

fn is_many(name: &str) -> bool {
    matches!(
        articles::MediaType::from_name(name),
        Some(articles::MediaType::Json | articles::MediaType::JsonLines)
    )
}

fn version(object: &ObjectRef) -> &str {
    object.version.as_deref().unwrap_or_default()
}

fn is_about_the_project(code: Code) -> bool {
    matches!(
        code,
        Code::ProjectNotFound | Code::ProjectInactive | Code::NoActiveCards
    )
}

fn code_of(error: &articles::ReadError) -> Code {
    Code::from_name(error.code()).unwrap_or(Code::UnreadableArticle)
}
