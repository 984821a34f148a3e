//! What was written or read lately, kept in memory: a connection that reads forgets its pages at every
//! commit of another, and an article's next stage reads what its last one wrote.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bedrock_diy_core::{
    JobId, ProjectId, article::ObjectRef, error::Result, job::Job, project::Project, stage::StageRecord,
};
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

/// Jobs as this process wrote them last, or found them ended.
#[derive(Debug, Clone)]
pub(crate) struct RecentJobs(Arc<Mutex<Jobs>>);

#[derive(Debug)]
struct Jobs {
    kept: LruCache<JobId, Written>,
    /// Writes that have begun and whose end was not told yet, by their job: each may be in the database already.
    writes: HashMap<JobId, u32>,
}

#[derive(Debug)]
struct Written {
    at: Instant,
    job: Job,
    /// Its row, which never changes; none where it is not known.
    seq: Option<i64>,
    /// Its finished stages; some are missing where others than this process wrote them.
    stages: Arc<Vec<StageRecord>>,
}

impl Written {
    /// Whether this is what stands in the database: what has ended does not change any more.
    fn counts(&self) -> bool {
        self.job.status.is_terminal() || self.at.elapsed() < FRESH
    }
}

/// A write of a job that has begun. Until it is dropped the job is read from the database: whoever has seen there what
/// the write brought is not shown what was before it.
pub(crate) struct Writing {
    jobs: RecentJobs,
    job: JobId,
    is_kept: bool,
}

/// Kept at once: many more than are worked at once.
const JOBS: NonZeroUsize = NonZeroUsize::new(1_024).unwrap();

/// Projects as they were read last: every request asks what its caller may do in one.
#[derive(Debug, Clone)]
pub(crate) struct RecentProjects(Arc<Mutex<Projects>>);

#[derive(Debug)]
struct Projects {
    kept: LruCache<ProjectId, (Instant, Project)>,
    /// How many writes have ended: what a read began to read before one did may be what that replaced.
    writes: u64,
}

/// Forgets a project when it is dropped.
pub(crate) struct Forgetting {
    projects: RecentProjects,
    project: ProjectId,
}

/// Kept at once.
const PROJECTS: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// Another process may change a job, too (cancel it), or a project: that is seen after so long at the latest. A
/// change of ours is refused at once, as it would be if the other one came just after the read.
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

    pub(crate) fn stages(&self, job: &JobId) -> Option<Arc<Vec<StageRecord>>> {
        self.with(job, |Written { job, stages, .. }| {
            (stages.len() == job.stages_done as usize).then(|| Arc::clone(stages))
        })
    }

    /// For a write of a job to hold until it has ended.
    pub(crate) fn writing(&self, job: &JobId) -> Writing {
        *self.lock().writes.entry(job.clone()).or_default() += 1;
        Writing {
            jobs: self.clone(),
            job: job.clone(),
            is_kept: false,
        }
    }

    /// Forgets what is kept of a job that has come further than to that: another process wrote it.
    pub(crate) fn has_come_to(&self, job: &JobId, version: u64) {
        let mut jobs = self.lock();
        let is_behind = jobs.kept.peek(job).is_some_and(|kept| kept.job.version < version);
        if is_behind && !jobs.writes.contains_key(job) {
            jobs.kept.pop(job);
        }
    }

    /// A job's row.
    pub(crate) fn seq(&self, job: &JobId) -> Option<i64> {
        self.lock().kept.get(job).and_then(|written| written.seq)
    }

    /// Keeps a job as it was read.
    fn keep_read(&self, job: &Job) {
        self.keep(job, None, None);
    }

    fn keep(&self, job: &Job, seq: Option<i64>, stage: Option<StageRecord>) {
        let mut jobs = self.lock();
        let kept = jobs.kept.get_or_insert_mut_ref(&job.job_id, || Written {
            at: Instant::now(),
            job: job.clone(),
            seq,
            stages: Arc::default(),
        });
        kept.seq = kept.seq.or(seq);
        // Of two writes, the later one may be told of first.
        if kept.job.version < job.version {
            kept.at = Instant::now();
            kept.job = job.clone();
        }
        if let Some(stage) = stage {
            Arc::make_mut(&mut kept.stages).push(stage);
        }
    }

    /// Keeps what was read of a job that has ended.
    pub(crate) fn keep_ended(&self, job: &Job) {
        if job.status.is_terminal() {
            self.keep_read(job);
        }
    }

    /// Keeps the stages that were read of a job, where it has ended and is kept.
    pub(crate) fn keep_stages(&self, job: &JobId, stages: &Arc<Vec<StageRecord>>) {
        if let Some(written) = self.lock().kept.get_mut(job)
            && written.job.status.is_terminal()
        {
            written.stages = Arc::clone(stages);
        }
    }

    fn with<T>(&self, job: &JobId, take: impl FnOnce(&Written) -> Option<T>) -> Option<T> {
        let mut jobs = self.lock();
        if jobs.writes.contains_key(job) {
            return None;
        }
        jobs.kept
            .get(job)
            .filter(|written| written.counts())
            .and_then(take)
    }

    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for RecentJobs {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Jobs {
            kept: LruCache::new(JOBS),
            writes: HashMap::new(),
        })))
    }
}

impl Writing {
    /// The job was written into its row like this, with the stage that it has just finished.
    pub(crate) fn done(mut self, job: &Job, seq: i64, stage: Option<StageRecord>) {
        self.jobs.keep(job, Some(seq), stage);
        self.is_kept = true;
    }

    /// Nothing was written: this job stands there, or in its way.
    pub(crate) fn in_vain(mut self, standing: &Job) {
        self.jobs.keep_read(standing);
        self.is_kept = true;
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let mut jobs = self.jobs.lock();
        let others = jobs
            .writes
            .remove(&self.job)
            .unwrap_or_default()
            .saturating_sub(1);
        if others > 0 {
            jobs.writes.insert(self.job.clone(), others);
        }
        // What became of it is not known: it may be written yet.
        if !self.is_kept {
            jobs.kept.pop(&self.job);
        }
    }
}

impl RecentProjects {
    /// A project as it is kept, else as this reads it.
    pub(crate) fn get(
        &self,
        project: &ProjectId,
        read: impl FnOnce() -> Result<Option<Project>>,
    ) -> Result<Option<Project>> {
        let (writes, at) = {
            let mut projects = self.lock();
            if let Some((at, kept)) = projects.kept.get(project)
                && at.elapsed() < FRESH
            {
                return Ok(Some(kept.clone()));
            }
            (projects.writes, Instant::now())
        };
        let found = read()?;
        if let Some(found) = &found {
            let mut projects = self.lock();
            if projects.writes == writes {
                projects.kept.put(project.clone(), (at, found.clone()));
            }
        }
        Ok(found)
    }

    /// For a write of a project to hold until it is on the disk: from then on nobody is shown what was there
    /// before, whether or not its caller still listens.
    pub(crate) fn forgetting(&self, project: &ProjectId) -> Forgetting {
        Forgetting {
            projects: self.clone(),
            project: project.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Projects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for RecentProjects {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Projects {
            kept: LruCache::new(PROJECTS),
            writes: 0,
        })))
    }
}

impl Drop for Forgetting {
    fn drop(&mut self) {
        let mut projects = self.projects.lock();
        projects.writes += 1;
        projects.kept.pop(&self.project);
    }
}

fn name(object: &ObjectRef) -> String {
    let version = object.version.as_deref().unwrap_or_default();
    [object.bucket.as_str(), &object.key, version].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedrock_diy_core::{
        article::Bucket,
        project::{ProjectStatus, Settings},
        time::Timestamp,
    };

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

    fn project(version: u32) -> Project {
        Project {
            project_id: ProjectId::new("news").unwrap(),
            name: "News".into(),
            description: String::new(),
            owner: "test".into(),
            members: Vec::new(),
            status: ProjectStatus::Active,
            settings: Settings::default(),
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            deleted_at: None,
            version,
        }
    }

    /// The version that is shown where this one is stored.
    fn shown(recent: &RecentProjects, stored: u32) -> u32 {
        let found = recent.get(&project(0).project_id, || Ok(Some(project(stored))));
        found.unwrap().unwrap().version
    }

    #[test]
    fn a_project_is_kept_until_it_is_written() {
        let recent = RecentProjects::default();
        assert_eq!(shown(&recent, 1), 1);
        let writing = recent.forgetting(&project(0).project_id);
        assert_eq!(shown(&recent, 2), 1, "nobody has been told of the second one yet");
        drop(writing);
        assert_eq!(shown(&recent, 2), 2);
    }

    #[test]
    fn a_project_that_is_written_while_it_is_read_is_not_kept() {
        let recent = RecentProjects::default();
        let read = recent.get(&project(0).project_id, || {
            let before = project(1);
            drop(recent.forgetting(&before.project_id));
            Ok(Some(before))
        });
        assert_eq!(read.unwrap().unwrap().version, 1);
        assert_eq!(shown(&recent, 2), 2);
    }
}
