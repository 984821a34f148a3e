//! Drops articles into the bucket, and follows them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use bedrock_diy_core::{
    JobId, ProjectId,
    article::{Bucket, ObjectRef},
    job::{Job, JobStatus},
    ports::{Jobs, Objects},
};

use crate::{Outcome, Stack};

/// Dropped articles: each job's id with the article's name.
#[derive(Debug, Clone, Default)]
pub struct Dropped {
    jobs: BTreeMap<JobId, String>,
}

/// How often is asked how the jobs stand.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// Drops a folder's files as a batch of a project, as anybody would who has only the bucket.
pub async fn drop_articles(
    stack: &Stack,
    project: &ProjectId,
    batch: &str,
    folder: &Path,
) -> Outcome<Dropped> {
    let objects = stack.objects()?;
    let mut dropped = Dropped::default();
    for path in files_in(folder)? {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let bytes =
            std::fs::read(&path).map_err(|error| format!("{} can't be read: {error}", path.display()))?;
        let key = format!("inbox/{project}/{batch}/{name}");
        let stored = objects
            .put(Bucket::Articles, &key, bytes)
            .await
            .map_err(|failure| failure.to_string())?;
        dropped.jobs.insert(job_of(project, &stored), name);
    }
    Ok(dropped)
}

impl Dropped {
    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Waits until every job has ended, and tells of each as it does.
    pub async fn follow(mut self, stack: &Stack, mut ended: impl FnMut(&str, &Job)) -> Outcome<bool> {
        let jobs = stack.jobs()?;
        let mut all_well = true;
        while !self.jobs.is_empty() {
            let mut still = BTreeMap::new();
            for (id, name) in self.jobs {
                match jobs.read(&id).await.map_err(|failure| failure.to_string())? {
                    Some(job) if job.status.is_terminal() => {
                        all_well &= job.status == JobStatus::Succeeded;
                        ended(&name, &job);
                    }
                    _ => {
                        still.insert(id, name);
                    }
                }
            }
            self.jobs = still;
            // They end when they do: nobody tells whoever has only the tables.
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(all_well)
    }
}

/// The job that a dropped object becomes.
fn job_of(project: &ProjectId, object: &ObjectRef) -> JobId {
    JobId::of_drop(
        project,
        &object.key,
        object.version.as_deref().unwrap_or_default(),
        None,
    )
}

fn files_in(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let failed = |error: std::io::Error| format!("{} can't be read: {error}", folder.display());
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let mut files: Vec<_> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()
        .map_err(failed)?;
    files.retain(|path| path.is_file());
    files.sort();
    Ok(files)
}
