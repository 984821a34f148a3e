//! Telling those who follow a job what the model writes, while it writes it.
//!
//! Nobody is told what nobody follows: then an answer costs a look now and then, and no write.

use std::{
    future,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bedrock_diy_core::{
    JobId,
    event::{StageDelta, Unstored},
    job::{Job, JobStatus},
    limits,
    ports::Applied,
};
use tokio::{
    select,
    sync::Notify,
    time::{Instant, sleep_until, timeout},
};

use crate::{Stage, prepare::Prepared};

/// How long it may take to say whether somebody follows.
const PATIENCE: Duration = Duration::from_secs(1);

/// Between two writes of what was said: four a second.
const STORED_EVERY: Duration = Duration::from_millis(250);

/// What a model has said so far.
#[derive(Default)]
pub(crate) struct Said {
    text: Mutex<Text>,
    /// Heard by whoever tells: of every piece while somebody follows, and of the end.
    news: Notify,
    is_followed: AtomicBool,
}

#[derive(Default)]
struct Text {
    so_far: String,
    is_whole: bool,
}

impl Said {
    /// The model says more.
    pub(crate) fn more(&self, text: &str) {
        self.text().so_far.push_str(text);
        if self.is_followed.load(Ordering::Relaxed) {
            self.news.notify_one();
        }
    }

    /// It says no more.
    pub(crate) fn end(&self) {
        self.text().is_whole = true;
        self.news.notify_one();
    }

    /// What comes after these bytes, no longer than may be told, and whether that is the end.
    fn after(&self, bytes: usize) -> (String, bool) {
        let text = self.text();
        let most = text.so_far.floor_char_boundary(limits::TOLD_BYTES);
        let rest = text.so_far.get(bytes..most).unwrap_or_default();
        (rest.to_owned(), text.is_whole)
    }

    async fn whole(&self) {
        while !self.text().is_whole {
            self.news.notified().await;
        }
    }

    fn text(&self) -> MutexGuard<'_, Text> {
        // A panic leaves a text that is as good as before.
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far an answer is told.
struct Told {
    answer: String,
    bytes: usize,
    characters: u64,
}

impl Told {
    /// The pieces that this text makes.
    fn pieces(&self, prepared: &Prepared, mut text: &str) -> Vec<StageDelta> {
        let mut offset = self.characters;
        let mut pieces = Vec::new();
        while !text.is_empty() {
            let (piece, rest) = text.split_at(text.floor_char_boundary(limits::DELTA_BYTES));
            let delta = StageDelta {
                stage: prepared.stage,
                prompt_id: prepared.card.prompt_id().clone(),
                answer: self.answer.clone(),
                offset,
                text: piece.to_owned(),
            };
            offset = delta.end();
            pieces.push(delta);
            text = rest;
        }
        pieces
    }
}

impl Stage {
    /// Tells whoever follows the job what is said, until all is. `job` is how it stands then, unless it has come to
    /// stand otherwise for another reason.
    pub(crate) async fn tell(&self, job: &mut Job, prepared: &Prepared, said: &Said) {
        if !self.comes_to_be_followed(&job.job_id, said).await {
            return;
        }
        said.is_followed.store(true, Ordering::Relaxed);
        let mut told = Told {
            answer: format!("{:08x}", rand::random::<u32>()),
            bytes: 0,
            characters: 0,
        };
        let (mut next, mut next_shown) = (Instant::now(), Instant::now());
        // How much of what is not stored was shown.
        let mut shown = 0;
        let (followers, pace) = (&self.ports.followers, self.ports.followers.pace());
        loop {
            let (text, is_whole) = said.after(told.bytes);
            if !text.is_empty() && (is_whole || Instant::now() >= next) {
                if !self.store_said(job, prepared, &mut told, &text).await {
                    return;
                }
                next = Instant::now() + STORED_EVERY;
                shown = 0;
            } else if Instant::now() >= next_shown
                && let Some(first) = told.pieces(prepared, &text).into_iter().next()
            {
                let unstored = Unstored {
                    after: job.version,
                    delta: first,
                };
                followers.show(&job.job_id, unstored).await;
                shown = text.len();
                next_shown = Instant::now() + pace;
            }
            if is_whole {
                return;
            }
            let may_be_told = async {
                if text.is_empty() {
                    future::pending::<()>().await;
                } else if shown < text.len() {
                    sleep_until(next.min(next_shown)).await;
                } else {
                    sleep_until(next).await;
                }
            };
            select! {
                () = said.news.notified() => {}
                () = may_be_told => {}
            }
        }
    }

    /// Waits until somebody follows the job; false where all is said before.
    async fn comes_to_be_followed(&self, job: &JobId, said: &Said) -> bool {
        loop {
            // An answer is not kept waiting for what is not known: then nobody follows.
            if let Ok(Ok(true)) = timeout(PATIENCE, self.ports.followers.has(job)).await {
                return true;
            }
            select! {
                () = said.whole() => return false,
                () = self.ports.followers.comes(job) => {}
            }
        }
    }

    /// Stores what was said since it was told last. False where the stage is not this one's to tell of any more.
    async fn store_said(&self, job: &mut Job, prepared: &Prepared, told: &mut Told, text: &str) -> bool {
        let pieces = told.pieces(prepared, text);
        loop {
            let now = self.ports.clock.now();
            match self.ports.jobs.apply(job.write_on(pieces.clone(), now)).await {
                Ok(Applied::Done(now, events)) => {
                    *job = now;
                    told.bytes += text.len();
                    told.characters = pieces.last().map_or(told.characters, StageDelta::end);
                    self.ports.followers.tell(&events).await;
                    return true;
                }
                Ok(Applied::Stale(now))
                    if now.status == JobStatus::Running && now.stages_done == job.stages_done =>
                {
                    *job = now;
                }
                Ok(Applied::Stale(_)) => return false,
                Err(failure) => {
                    // It is told with what comes next, or with the whole output.
                    tracing::warn!(job_id = %job.job_id, error = %failure, "a piece of an answer was not stored for those who follow");
                    return true;
                }
            }
        }
    }
}
