//! Who waits for news of which job.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bedrock_diy_core::{
    JobId,
    event::{Event, Unstored},
    ports::Watch,
};
use tokio::{
    sync::{Notify, watch},
    time,
};

/// Another process (`jobs cancel` beside `serve`) stores events, too, and tells nobody here.
pub(crate) const LOOK: Duration = Duration::from_secs(1);

/// What is new of a job: what is written and not yet stored, or nothing where all is.
type News = watch::Sender<Option<Arc<Unstored>>>;

/// The jobs that somebody in this process waits for news of.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    jobs: Mutex<HashMap<JobId, News>>,
    /// How many they are: nobody waits for a lock to hear that it is none.
    count: AtomicUsize,
    /// Told of each who comes.
    came: Notify,
}

/// Somebody who waits.
struct JobWatch {
    watched: Arc<Watched>,
    job: JobId,
    /// None when it leaves.
    news: Option<watch::Receiver<Option<Arc<Unstored>>>>,
}

impl Watched {
    pub(crate) fn watch(this: &Arc<Self>, job: &JobId) -> Box<dyn Watch> {
        let mut jobs = this.jobs();
        let sender = jobs.entry(job.clone()).or_insert_with(|| watch::channel(None).0);
        let news = sender.subscribe();
        this.count.store(jobs.len(), Ordering::SeqCst);
        drop(jobs);
        this.came.notify_waiters();
        Box::new(JobWatch {
            watched: Arc::clone(this),
            job: job.clone(),
            news: Some(news),
        })
    }

    /// Tells those who wait for news of these events' jobs. Costs nothing where nobody waits.
    pub(crate) fn tell(&self, events: &[Event]) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let jobs = self.jobs();
        for event in events {
            if let Some(sender) = jobs.get(&event.job_id) {
                sender.send_replace(None);
            }
        }
    }

    /// Whether somebody waits for news of this job.
    pub(crate) fn has(&self, job: &JobId) -> bool {
        self.count.load(Ordering::SeqCst) > 0 && self.jobs().contains_key(job)
    }

    /// Waits until somebody waits for news of this job.
    pub(crate) async fn comes(&self, job: &JobId) {
        loop {
            let mut came = pin!(self.came.notified());
            // Whoever comes from here on is heard of.
            came.as_mut().enable();
            if self.has(job) {
                return;
            }
            came.await;
        }
    }

    /// Shows those who wait what is written and not yet stored.
    pub(crate) fn show(&self, job: &JobId, unstored: Unstored) {
        if let Some(sender) = self.jobs().get(job) {
            sender.send_replace(Some(Arc::new(unstored)));
        }
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<JobId, News>> {
        // A panic leaves a map that is as good as before.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for JobWatch {
    fn drop(&mut self) {
        let mut jobs = self.watched.jobs();
        // It leaves here, while nobody else can come or leave: of several that leave at once one is the last.
        self.news = None;
        if jobs
            .get(&self.job)
            .is_some_and(|sender| sender.receiver_count() == 0)
        {
            jobs.remove(&self.job);
            self.watched.count.store(jobs.len(), Ordering::SeqCst);
        }
    }
}

#[async_trait]
impl Watch for JobWatch {
    async fn changed(&mut self, at_most: Duration) {
        // Its sender goes with the last who waits, not before: only the time can run out.
        if let Some(news) = &mut self.news {
            let _ = time::timeout(at_most.min(LOOK), news.changed()).await;
        }
    }

    fn unstored(&self) -> Option<Arc<Unstored>> {
        self.news.as_ref().and_then(|news| news.borrow().clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_who_leave_at_once_the_last_one_leaves_nobody_behind() {
        let watched = Arc::new(Watched::default());
        let job = JobId::new("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        for _ in 0..200 {
            let mut watches: Vec<_> = (0..4).map(|_| Watched::watch(&watched, &job)).collect();
            assert!(watched.has(&job));
            std::thread::scope(|scope| {
                for watch in watches.drain(..) {
                    scope.spawn(move || drop(watch));
                }
            });
            assert!(!watched.has(&job), "nobody follows any more");
        }
    }
}
