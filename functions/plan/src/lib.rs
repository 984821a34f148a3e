//! Plan: reads the article as it came, keeps its text, and sets the job going.

use std::sync::Arc;

use bedrock_diy_articles as articles;
use bedrock_diy_core::{
    Code, Failure,
    article::{self, Article, ArticleMeta, Bucket, ObjectRef, SubmittedPart},
    cursor::Cursor,
    error::Result,
    job::{Job, JobStatus},
    limits,
    ports::{Applied, Bus, Clock, Jobs, Objects, Projects},
};

/// What planning needs.
#[derive(Clone)]
pub struct Plan {
    /// Projects and cards.
    pub projects: Arc<dyn Projects>,
    /// Jobs.
    pub jobs: Arc<dyn Jobs>,
    /// Article files.
    pub objects: Arc<dyn Objects>,
    /// Who is told.
    pub bus: Arc<dyn Bus>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// A start writes `job.started` and `stage.started`, after `job.accepted`.
const START_EVENTS: usize = 2;

impl Plan {
    /// Plans a job; for one that is planned already, says where it stands.
    pub async fn handle(&self, cursor: Cursor) -> Result<Cursor> {
        let job = self.jobs.read(&cursor.job_id).await?.ok_or_else(|| {
            Failure::new(
                Code::InternalError,
                format!("the job {} is not there", cursor.job_id),
            )
        })?;
        if job.status != JobStatus::Accepted {
            return self.planned_already(&job).await;
        }
        let hash = job.pipeline.as_deref().unwrap_or_default();
        let pipeline = self.projects.pipeline(&job.project_id, hash).await?;
        let limit = pipeline
            .settings
            .limits
            .article_bytes
            .unwrap_or(limits::ARTICLE_BYTES);
        let (text, meta) = self.read_article(&job, limit).await?;
        let change = job.start(text, meta, &pipeline, self.clock.now());
        match self.jobs.apply(change).await? {
            Applied::Done(job, events) => {
                self.bus.publish(&events).await?;
                Ok(Cursor::of(&job))
            }
            Applied::Stale(job) => self.planned_already(&job).await,
        }
    }

    /// Whoever planned it may have died before it said so.
    async fn planned_already(&self, job: &Job) -> Result<Cursor> {
        let stored = self.jobs.events(&job.job_id, 1, START_EVENTS).await?;
        self.bus.publish(&stored).await?;
        Ok(Cursor::of(job))
    }

    /// The article's text as an object, and what the file says about itself.
    async fn read_article(&self, job: &Job, limit: u64) -> Result<(ObjectRef, ArticleMeta)> {
        let Article {
            name,
            source,
            text,
            meta,
            ..
        } = &*job.article;
        if source.size > limit {
            return Err(Failure::new(
                Code::ArticleTooLarge,
                format!("{name} has {} bytes, {limit} are allowed", source.size),
            ));
        }
        if let Some(text) = text {
            return Ok((text.clone(), meta.clone()));
        }
        let bytes = self.objects.get(source).await?;
        let article = if is_quick(name, &bytes) {
            read(&job.article, &bytes, limit)
        } else {
            let article = job.article.clone();
            // Taking a PDF apart is work for milliseconds to seconds: not on a thread that serves others.
            tokio::task::spawn_blocking(move || read(&article, &bytes, limit))
                .await
                .map_err(|error| {
                    Failure::new(
                        Code::InternalError,
                        format!("reading the article ended early: {error}"),
                    )
                })?
        }
        .map_err(|error| {
            let code = Code::from_name(error.code()).unwrap_or(Code::UnreadableArticle);
            Failure::new(code, error.to_string())
        })?;
        let meta = ArticleMeta {
            title: meta.title.clone().or(article.title),
            language: meta.language.clone().or(article.language),
            media_type: meta
                .media_type
                .clone()
                .or_else(|| Some(article.media_type.as_str().to_owned())),
            more: meta.more.clone(),
        };
        let text = if article.same_as_source {
            source.clone()
        } else {
            let key = article::submitted_key(&job.project_id, &job.job_id, SubmittedPart::Text);
            self.objects
                .put(Bucket::Articles, &key, article.text.into_bytes())
                .await?
        };
        Ok((text, meta))
    }
}

/// Whether an article is read faster than it could be handed to another thread.
fn is_quick(name: &str, bytes: &[u8]) -> bool {
    use articles::MediaType::{Markdown, PlainText};
    bytes.len() <= 64 * 1024 && matches!(articles::MediaType::from_name(name), Some(PlainText | Markdown))
}

fn read(
    article: &Article,
    bytes: &[u8],
    limit: u64,
) -> std::result::Result<articles::Article, articles::ReadError> {
    let limits = articles::Limits::for_files_of(limit);
    let Some(index) = article.record else {
        return articles::read(&article.name, bytes, &limits);
    };
    // It could not be taken out of its file when that came in: this says once more why not.
    let file = article.source.key.rsplit('/').next().unwrap_or_default();
    match articles::records(file, bytes, &limits)?.nth(index) {
        Some(Err(error)) => Err(error),
        _ => Err(articles::ReadError::UnreadableArticle {
            name: article.name.clone(),
            reason:
                "its record could not be read when the file came in; drop the file again under another name"
                    .to_owned(),
        }),
    }
}
