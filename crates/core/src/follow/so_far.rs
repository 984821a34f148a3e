//! What has happened to the jobs of a batch or project before somebody began to follow it.

use super::{Topic, pushes_of_many};
use crate::{
    error::Result,
    ids::JobId,
    limits,
    page::PageRequest,
    ports::{JobFilter, JobIndex, Jobs},
};

/// Jobs that are listed at once, and events that are read at once.
const PAGE: usize = 200;

/// The jobs of a topic, the newest first; none where they are more than [`limits::JOBS_SO_FAR`].
pub async fn jobs_so_far(index: &dyn JobIndex, topic: &Topic) -> Result<Option<Vec<JobId>>> {
    let filter = match topic {
        Topic::Job(job) => return Ok(Some(vec![job.clone()])),
        Topic::Project(project) => JobFilter::of(project.clone()),
        Topic::Batch(project, batch) => JobFilter {
            batch: Some(batch.clone()),
            ..JobFilter::of(project.clone())
        },
    };
    let mut found = Vec::new();
    let mut page = PageRequest {
        limit: PAGE,
        cursor: None,
    };
    loop {
        let listed = index.list(&filter, &page).await?;
        found.extend(listed.items.into_iter().map(|job| job.job_id));
        if found.len() > limits::JOBS_SO_FAR {
            return Ok(None);
        }
        page.cursor = listed.next;
        if page.cursor.is_none() {
            return Ok(Some(found));
        }
    }
}

/// The messages that tell what has happened to a job after this event, without pieces of answers; and the number of
/// the last event that was read for them, 0 where there was none: whatever a job has not come to yet is still to be told.
pub async fn so_far(jobs: &dyn Jobs, job: &JobId, after: u64) -> Result<(Vec<String>, u64)> {
    let (mut messages, mut read) = (Vec::new(), 0);
    loop {
        let mut events = jobs.events(job, after.max(read), PAGE).await?;
        let is_page = events.len() == PAGE;
        if let Some(last) = events.last() {
            read = last.number;
        }
        events.retain(|event| event.fact.is_for_the_bus());
        messages.extend(pushes_of_many(job, events));
        if !is_page {
            return Ok((messages, read));
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::{
        article::{Article, Bucket, ObjectRef},
        error::{Code, Failure},
        ids::{BatchId, ProjectId},
        intake::Lane,
        job::{Job, NewJob},
        page::Page,
        time::Timestamp,
    };

    /// So many jobs, of any filter.
    struct Index(usize);

    #[async_trait]
    impl JobIndex for Index {
        async fn list(&self, filter: &JobFilter, page: &PageRequest) -> Result<Page<Job>> {
            let from = page.cursor.as_deref().map_or(0, |cursor| cursor.parse().unwrap());
            let to = self.0.min(from + page.limit);
            Ok(Page {
                items: (from..to).map(|number| job(filter, number)).collect(),
                next: (to < self.0).then(|| to.to_string()),
            })
        }
    }

    fn job(filter: &JobFilter, number: usize) -> Job {
        let source = ObjectRef {
            bucket: Bucket::Articles,
            key: "article".into(),
            version: None,
            size: 4,
        };
        let new = NewJob {
            job_id: JobId::of_submission("test", &filter.project, &number.to_string()),
            project_id: filter.project.clone(),
            batch: filter.batch.clone().unwrap(),
            lane: Lane::Bulk,
            article: Article::new("article", source),
            session_id: None,
            fresh: false,
            retry_of: None,
            pipeline: None,
        };
        let pipeline = Err(Failure::new(Code::NoActiveCards, "none"));
        Job::accept(new, pipeline, Timestamp::default()).job
    }

    #[tokio::test]
    async fn all_jobs_are_found_or_none_where_they_are_too_many() {
        let topic = Topic::Batch(ProjectId::new("news").unwrap(), BatchId::new("monday").unwrap());
        for (jobs, found) in [
            (0, Some(0)),
            (PAGE, Some(PAGE)),
            (limits::JOBS_SO_FAR, Some(limits::JOBS_SO_FAR)),
            (limits::JOBS_SO_FAR + 1, None),
        ] {
            let listed = jobs_so_far(&Index(jobs), &topic).await.unwrap();
            assert_eq!(listed.map(|listed| listed.len()), found);
        }
    }
}
