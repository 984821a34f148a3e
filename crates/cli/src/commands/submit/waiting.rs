//! Waits until the jobs of submitted files have ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use bedrock_diy_core::{Code, Failure, JobId, error::Result};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{AT_ONCE, Jobs, PAGE, Submitted, article, told::Told};
use crate::{
    arguments::Submit,
    remote::{JobDocument, Pages, Remote},
};

/// How long to wait before asking again, where the API does not say.
pub(super) const PAUSE: Duration = Duration::from_secs(2);

/// How long an upload may take to become a job.
const ARRIVAL: Duration = Duration::from_mins(10);

/// Jobs that are waited for.
pub(super) struct Waiting<'a> {
    pub(super) remote: &'a Remote,
    arguments: &'a Submit,
    /// Those that are known, with their files' names and whether they were before.
    jobs: BTreeMap<JobId, (String, bool)>,
    uploads: Vec<Upload>,
}

struct Upload {
    /// What the file is called here, and there.
    name: String,
    stored: String,
    before: bool,
    /// How many jobs come of it, and which have ended.
    records: usize,
    ended: BTreeSet<JobId>,
    since: Instant,
}

/// The jobs of the batch that is submitted to.
pub(super) fn of_batch<'a>(remote: &'a Remote, arguments: &Submit) -> Pages<'a, JobDocument> {
    let path = format!("/api/projects/{}/jobs", arguments.project);
    remote.list(
        &path,
        vec![
            ("limit", PAGE.to_string()),
            ("batch", arguments.batch.to_string()),
        ],
    )
}

impl<'a> Waiting<'a> {
    pub(super) fn new(remote: &'a Remote, arguments: &'a Submit) -> Self {
        Self {
            remote,
            arguments,
            jobs: BTreeMap::new(),
            uploads: Vec::new(),
        }
    }

    /// Also for these.
    pub(super) fn add(&mut self, file: Submitted) {
        match file.jobs {
            Jobs::One { id, before, .. } => {
                self.jobs.insert(id, (file.name, before));
            }
            Jobs::Uploaded {
                name,
                records,
                before,
            } => self.uploads.push(Upload {
                name: file.name,
                stored: name,
                before,
                records,
                ended: BTreeSet::new(),
                since: Instant::now(),
            }),
            Jobs::Refused(_) => {}
        }
    }

    /// Tells of each when it ends.
    pub(super) async fn until_all_have_ended(&mut self, told: &mut Told) -> Result<()> {
        loop {
            let pause = self.look(told).await?;
            self.look_at_uploads(told).await?;
            if self.jobs.is_empty() && self.uploads.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// The jobs that an upload has become so far, in the order of its records, each with what tells it from the others.
    pub(super) async fn of_upload(&self, stored: &str) -> Result<Vec<(JobId, String)>> {
        let mut jobs = Vec::new();
        let mut pages = of_batch(self.remote, self.arguments);
        while let Some(page) = pages.next().await? {
            let of_it = |job: &JobDocument| {
                // A job that tries another again is no further record.
                job.retry_of.is_none() && article::is_of(&job.article.name, stored)
            };
            jobs.extend(page.into_iter().filter(of_it).map(|job| {
                let record = job.article.name[stored.len()..].to_owned();
                (job.job_id, record)
            }));
        }
        // The newest come first.
        jobs.reverse();
        Ok(jobs)
    }

    /// Looks at every job that is known; answers how long to wait then.
    async fn look(&mut self, told: &mut Told) -> Result<Duration> {
        let remote = self.remote;
        let looks = stream::iter(self.jobs.keys().cloned()).map(|id| async move {
            let answer = remote.get(&format!("/api/jobs/{id}")).persistent().send().await?;
            let pause = answer.retry_after();
            Ok::<_, Failure>((answer.json::<JobDocument>().await?, pause))
        });
        let looked: Vec<_> = looks.buffered(AT_ONCE).try_collect().await?;
        let pause = looked.iter().filter_map(|(_, pause)| *pause).min();
        for (job, _) in looked {
            if job.status.is_terminal()
                && let Some((name, before)) = self.jobs.remove(&job.job_id)
            {
                told.ended(&name, &job.job_id, job.status, before)?;
            }
        }
        Ok(pause.unwrap_or(PAUSE))
    }

    /// An upload's jobs are known by their articles' names.
    async fn look_at_uploads(&mut self, told: &mut Told) -> Result<()> {
        if self.uploads.is_empty() {
            return Ok(());
        }
        let mut pages = of_batch(self.remote, self.arguments);
        while let Some(page) = pages.next().await? {
            for job in page.into_iter().filter(|job| job.status.is_terminal()) {
                let of = |upload: &&mut Upload| article::is_of(&job.article.name, &upload.stored);
                let Some(upload) = self.uploads.iter_mut().find(of) else {
                    continue;
                };
                // A job that tries another again is no further record.
                if job.retry_of.is_none() && upload.ended.insert(job.job_id.clone()) {
                    let record = &job.article.name[upload.stored.len()..];
                    let name = format!("{}{record}", upload.name);
                    told.ended(&name, &job.job_id, job.status, upload.before)?;
                }
            }
        }
        let mut lost = Vec::new();
        self.uploads.retain(|upload| {
            let is_late = upload.ended.is_empty() && is_late(upload.since);
            if is_late {
                lost.push(upload.name.clone());
            }
            upload.ended.len() < upload.records && !is_late
        });
        for name in lost {
            told.refused(&name, &late(&name, "ended").into())?;
        }
        Ok(())
    }
}

/// Whether what was uploaded then should have become a job long ago.
pub(super) fn is_late(uploaded: Instant) -> bool {
    uploaded.elapsed() > ARRIVAL
}

/// The failure of an upload whose jobs have not done this in all that time.
pub(super) fn late(name: &str, done: &str) -> Failure {
    let minutes = ARRIVAL.as_secs() / 60;
    let detail = format!(
        "no job of {name} has {done} {minutes} minutes after its upload: look at it with `bedrock-diy jobs list`"
    );
    Failure::new(Code::StorageUnavailable, detail)
}
