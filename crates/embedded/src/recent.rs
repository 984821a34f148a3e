//! What was written or read lately, kept in memory: a connection that reads forgets its pages at every
//! commit of another, and an article's next stage reads what its last one wrote.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bedrock_diy_core::{JobId, article::ObjectRef, job::Job, stage::StageRecord};
use lru::LruCache;

/// Objects that do not change any more: versions of articles, outputs of stages.
#[derive(Debug, Clone)]
pub(crate) struct RecentObjects(Arc<Mutex<Objects>>);

#[derive(Debug)]
struct Objects {
    kept: LruCache<String, Arc<[u8]>>,
    bytes: usize,
}

/// Kept altogether: the texts of some hundred articles that are being worked.
const OBJECT_BYTES: usize = 4 * 1024 * 1024;

/// Jobs as this process wrote them last.
#[derive(Debug, Clone)]
pub(crate) struct RecentJobs(Arc<Mutex<LruCache<JobId, Written>>>);

#[derive(Debug)]
struct Written {
    at: Instant,
    job: Job,
    /// Its finished stages; some are missing where others than this process wrote them.
    stages: Vec<StageRecord>,
}

/// Kept at once: many more than are worked at once.
const JOBS: NonZeroUsize = NonZeroUsize::new(1_024).unwrap();

/// Another process may change a job, too (cancel it): that is seen after so long at the latest. A change
/// of ours is refused at once, as it would be if the other one came just after the read.
const FRESH: Duration = Duration::from_secs(1);

impl RecentObjects {
    pub(crate) fn get(&self, object: &ObjectRef) -> Option<Arc<[u8]>> {
        self.lock().kept.get(&name(object)).cloned()
    }

    pub(crate) fn keep(&self, object: &ObjectRef, bytes: Arc<[u8]>) {
        let mut objects = self.lock();
        objects.bytes += bytes.len();
        if let Some((_, replaced)) = objects.kept.push(name(object), bytes) {
            objects.bytes -= replaced.len();
        }
        while objects.bytes > OBJECT_BYTES
            && let Some((_, oldest)) = objects.kept.pop_lru()
        {
            objects.bytes -= oldest.len();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Objects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for RecentObjects {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Objects {
            kept: LruCache::unbounded(),
            bytes: 0,
        })))
    }
}

impl RecentJobs {
    pub(crate) fn get(&self, job: &JobId) -> Option<Job> {
        self.with(job, |written| Some(written.job.clone()))
    }

    pub(crate) fn stages(&self, job: &JobId) -> Option<Vec<StageRecord>> {
        self.with(job, |Written { job, stages, .. }| {
            (stages.len() == job.stages_done as usize).then(|| stages.clone())
        })
    }

    /// Keeps a job as it stands now, with the stage that it has just finished.
    pub(crate) fn keep(&self, job: &Job, stage: Option<StageRecord>) {
        let mut jobs = self.lock();
        let kept = jobs.get_or_insert_mut_ref(&job.job_id, || Written {
            at: Instant::now(),
            job: job.clone(),
            stages: Vec::new(),
        });
        // Of two writes, the later one may be told of first.
        if kept.job.version < job.version {
            kept.at = Instant::now();
            kept.job = job.clone();
        }
        kept.stages.extend(stage);
        if job.status.is_terminal() {
            kept.stages = Vec::new();
        }
    }

    fn with<T>(&self, job: &JobId, take: impl FnOnce(&Written) -> Option<T>) -> Option<T> {
        self.lock()
            .get(job)
            .filter(|written| written.at.elapsed() < FRESH)
            .and_then(take)
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<JobId, Written>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for RecentJobs {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(LruCache::new(JOBS))))
    }
}

fn name(object: &ObjectRef) -> String {
    let version = object.version.as_deref().unwrap_or_default();
    [object.bucket.as_str(), &object.key, version].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedrock_diy_core::article::Bucket;

    fn object(number: usize) -> ObjectRef {
        ObjectRef {
            bucket: Bucket::Articles,
            key: format!("a/{number}"),
            version: Some("1".into()),
            size: 0,
        }
    }

    #[test]
    fn objects_are_kept_up_to_a_sum_of_bytes_the_longest_unused_leaves_first() {
        let recent = RecentObjects::default();
        let bytes: Arc<[u8]> = vec![0; OBJECT_BYTES / 4].into();
        for number in 0..4 {
            recent.keep(&object(number), bytes.clone());
        }
        recent.keep(&object(1), bytes.clone());
        assert!(recent.get(&object(0)).is_some());
        recent.keep(&object(4), bytes);
        let kept: Vec<_> = (0..5)
            .filter(|number| recent.get(&object(*number)).is_some())
            .collect();
        assert_eq!(kept, [0, 1, 3, 4]);
        recent.keep(&object(5), vec![0; OBJECT_BYTES + 1].into());
        assert!(recent.get(&object(5)).is_none(), "too large to be kept");
        assert_eq!(recent.lock().bytes, 0);
    }
}
