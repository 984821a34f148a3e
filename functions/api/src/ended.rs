//! Jobs that have ended, as they are shown: they don't change any more, and are asked for again and again.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bedrock_diy_core::{JobId, ProjectId, job::Job};
use bytes::Bytes;
use lru::LruCache;

/// Kept at once, each of up to so many bytes: some megabytes altogether.
const JOBS: NonZeroUsize = NonZeroUsize::new(1_024).unwrap();
const MOST_BYTES: usize = 8_192;

/// Those that were shown last.
#[derive(Debug)]
pub(crate) struct EndedJobs(Mutex<LruCache<JobId, Ended>>);

/// A job that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    /// Its project: who may see it, is asked each time.
    pub(crate) project_id: ProjectId,
    /// The number of its last event.
    pub(crate) version: u64,
    /// Its document.
    pub(crate) json: Bytes,
}

impl EndedJobs {
    pub(crate) fn get(&self, job: &JobId) -> Option<Ended> {
        self.lock().get(job).cloned()
    }

    /// Keeps a job's document, where it has ended.
    pub(crate) fn keep(&self, job: &Job, json: &Bytes) {
        if job.status.is_terminal() && json.len() <= MOST_BYTES {
            let ended = Ended {
                project_id: job.project_id.clone(),
                version: job.version,
                json: json.clone(),
            };
            self.lock().put(job.job_id.clone(), ended);
        }
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<JobId, Ended>> {
        // A panic leaves a cache that is as good as before.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for EndedJobs {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(JOBS)))
    }
}
