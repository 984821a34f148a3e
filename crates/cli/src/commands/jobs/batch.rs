//! A batch, followed until its last job has ended: by looking at its list, however many jobs it has.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bedrock_diy_core::{
    BatchId, Code, Failure, JobId, ProjectId,
    error::Result,
    job::{Job, JobStatus},
    model::Usage,
    page::PageRequest,
    ports::{JobFilter, JobIndex as _},
    time::Timestamp,
};
use serde_json::Value;

use super::{LOOK, cannot_print, elsewhere};
use crate::{
    exit::Exit,
    machine::Machine,
    remote::{JobDocument, Remote, understood},
    terminal::{plain, print, say},
    text::{dollars, grouped},
};

/// Between two looks at an API.
const PAUSE: Duration = Duration::from_secs(2);

/// Of the time, so much is spent with looking at most: one part in so many.
const SPARING: u32 = 5;

/// A job as far as it is told.
pub(super) struct Standing {
    id: JobId,
    name: String,
    status: JobStatus,
    error: Option<(String, String)>,
    usage: Usage,
    cost: Option<f64>,
    retry_of: Option<JobId>,
    accepted_at: Timestamp,
    /// As programs read it.
    document: Value,
}

/// Where a batch's jobs are listed.
#[async_trait]
pub(super) trait Listed {
    /// Shows `look` the batch's jobs that were accepted at a moment or later, the newest first.
    async fn each(&self, filter: JobFilter, look: &mut (dyn FnMut(Standing) + Send)) -> Result<()>;

    /// Between two looks, at least.
    fn pause(&self) -> Duration;
}

/// Follows until no job of the batch is open.
pub(super) async fn follow(
    listed: &impl Listed,
    project: &ProjectId,
    batch: &BatchId,
    as_json: bool,
) -> Result<Exit> {
    let mut filter = JobFilter {
        batch: Some(batch.clone()),
        ..JobFilter::of(project.clone())
    };
    let mut told = Told::new(as_json);
    loop {
        let began = Instant::now();
        let mut open_since: Option<Timestamp> = None;
        let mut look = |job: Standing| {
            if !job.status.is_terminal() {
                let since = open_since.map_or(job.accepted_at, |since| since.min(job.accepted_at));
                open_since = Some(since);
            }
            told.take(job);
        };
        listed.each(filter.clone(), &mut look).await?;
        told.tell()?;
        if told.jobs.is_empty() {
            let detail = format!("the project {project} has no job in a batch {batch} (yet)");
            return Err(Failure::new(Code::InvalidRequest, detail));
        }
        if open_since.is_none() {
            return Ok(told.finish());
        }
        // What was accepted before the oldest open one has ended, and stays so.
        filter.from = open_since;
        let pause = listed.pause().max(began.elapsed() * SPARING.saturating_sub(1));
        tokio::time::sleep(pause).await;
    }
}

/// What was told of a batch.
struct Told {
    as_json: bool,
    /// Each job, and how it ended; nothing where it is open.
    jobs: HashMap<JobId, Option<Ended>>,
    /// What has ended and is not told yet.
    news: Vec<Standing>,
    ended: usize,
}

struct Ended {
    status: JobStatus,
    code: Option<String>,
    usage: Usage,
    cost: Option<f64>,
    /// Whether another job tries it again.
    is_tried_again: bool,
}

impl Told {
    fn new(as_json: bool) -> Self {
        Self {
            as_json,
            jobs: HashMap::new(),
            news: Vec::new(),
            ended: 0,
        }
    }

    fn take(&mut self, job: Standing) {
        let known = self.jobs.entry(job.id.clone()).or_default();
        if job.status.is_terminal() && known.is_none() {
            self.news.push(job);
        }
    }

    /// Tells what has ended since the look before, the oldest first.
    fn tell(&mut self) -> Result<()> {
        for job in std::mem::take(&mut self.news).into_iter().rev() {
            self.ended += 1;
            if self.as_json {
                print(&job.document)?;
            } else {
                print(self.line(&job))?;
            }
            self.jobs.insert(
                job.id,
                Some(Ended {
                    status: job.status,
                    code: job.error.map(|(code, _)| code),
                    usage: job.usage,
                    cost: job.cost,
                    is_tried_again: false,
                }),
            );
            if let Some(earlier) = &job.retry_of
                && let Some(Some(earlier)) = self.jobs.get_mut(earlier)
            {
                earlier.is_tried_again = true;
            }
        }
        Ok(())
    }

    fn line(&self, job: &Standing) -> String {
        let how = match (&job.error, job.status) {
            (Some((code, message)), _) => format!("{code}: {message}"),
            (None, JobStatus::Cancelled) => "cancelled".to_owned(),
            (None, _) => {
                let tokens = grouped(job.usage.total());
                format!("succeeded, {tokens} tokens, {}", dollars(job.cost))
            }
        };
        let line = format!("[{}/{}] {}: {how}", self.ended, self.jobs.len(), job.name);
        plain(&line).into_owned()
    }

    /// Says how it went all in all.
    fn finish(self) -> Exit {
        let (mut succeeded, mut cancelled) = (0, 0);
        let mut failed: BTreeMap<String, u64> = BTreeMap::new();
        let (mut usage, mut cost) = (Usage::default(), Some(0.0));
        for job in self.jobs.into_values().flatten() {
            usage += job.usage;
            cost = cost.zip(job.cost).map(|(so_far, more): (f64, f64)| so_far + more);
            match job.status {
                _ if job.is_tried_again => {}
                JobStatus::Succeeded => succeeded += 1,
                JobStatus::Cancelled => cancelled += 1,
                _ => *failed.entry(job.code.unwrap_or_default()).or_default() += 1,
            }
        }
        let mut text = format!("{} succeeded", grouped(succeeded));
        for (code, count) in &failed {
            text += &format!(", {} failed with {}", grouped(*count), plain(code));
        }
        if cancelled > 0 {
            text += &format!(", {} cancelled", grouped(cancelled));
        }
        say(format_args!(
            "{text}; {} tokens, {}",
            grouped(usage.total()),
            dollars(cost)
        ));
        if failed.is_empty() && cancelled == 0 {
            Exit::Success
        } else {
            Exit::SomeFailed
        }
    }
}

#[async_trait]
impl Listed for Remote {
    async fn each(&self, filter: JobFilter, look: &mut (dyn FnMut(Standing) + Send)) -> Result<()> {
        let mut query = vec![("limit", elsewhere::PAGE.to_string())];
        query.extend(filter.batch.map(|batch| ("batch", batch.to_string())));
        query.extend(filter.from.map(|from| ("from", from.to_string())));
        let path = format!("/api/projects/{}/jobs", filter.project);
        let mut pages = self.list::<Value>(&path, query);
        while let Some(page) = pages.next().await? {
            for document in page {
                let job: JobDocument = understood(document.clone())?;
                look(Standing {
                    id: job.job_id,
                    name: job.article.name,
                    status: job.status,
                    error: job.error.map(|error| (error.code, error.message)),
                    usage: job.usage,
                    cost: job.cost,
                    retry_of: job.retry_of,
                    accepted_at: job.accepted_at,
                    document: elsewhere::as_here(document),
                });
            }
        }
        Ok(())
    }

    fn pause(&self) -> Duration {
        PAUSE
    }
}

#[async_trait]
impl Listed for Machine {
    async fn each(&self, filter: JobFilter, look: &mut (dyn FnMut(Standing) + Send)) -> Result<()> {
        let mut page = PageRequest {
            limit: super::PAGE,
            cursor: None,
        };
        loop {
            let found = self.jobs.list(&filter, &page).await?;
            for job in found.items {
                look(standing(job)?);
            }
            if found.next.is_none() {
                return Ok(());
            }
            page.cursor = found.next;
        }
    }

    fn pause(&self) -> Duration {
        LOOK
    }
}

fn standing(job: Job) -> Result<Standing> {
    Ok(Standing {
        document: serde_json::to_value(&job).map_err(|error| cannot_print(&error))?,
        id: job.job_id,
        name: job.article.name.clone(),
        status: job.status,
        error: job
            .error
            .map(|error| (error.code.as_str().to_owned(), error.message)),
        usage: job.usage,
        cost: job.cost,
        retry_of: job.retry_of,
        accepted_at: job.accepted_at,
    })
}
