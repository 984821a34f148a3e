//! A project with its jobs on a disk of its own, a model that says what it is told to, a bus that notes
//! what is published, and a clock that is moved by hand.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bedrock_diy_core::{
    BatchId, Code, Failure, JobId, ProjectId, PromptId,
    article::{Article, ArticleMeta, Bucket},
    card::{Card, CardDraft, CardRevision, CardSettings},
    catalogue::Catalogue,
    cursor::Cursor,
    error::Result,
    event::{Event, LiveText, Unstored},
    intake::Lane,
    job::{Job, NewJob},
    model::{ModelAnswer, ModelRequest, StopReason, Usage},
    pipeline::{PipelineCard, PipelineRevision},
    ports::{Accepted, Bus, Clock, DeltaSink, Followers, Jobs, Model, ModelQuota, Objects, Projects, Saved},
    project::Settings,
    quota::Place,
    time::Timestamp,
    webhook::WebhookDisabled,
};
use bedrock_diy_embedded::{
    Database, MemoryQuota, SqliteHistory, SqliteJobs, SqliteMemo, SqliteObjects, SqliteProjects,
};
use bedrock_diy_stage::{Ports, Questions, Stage};

/// Two requests a minute are let through to this model: a place in its line is 30 seconds.
pub(crate) const SLOW: &str = "acme.slow-v1:0";
/// Nothing limits this one.
pub(crate) const FAST: &str = "acme.fast-v1:0";

const FAMILIES: &str = r#"
    [[family]]
    name = "Slow"
    ids = ["acme.slow-v1:0"]
    context_window = 100_000
    max_output = 500
    parameters = ["maxTokens"]
    quota = { requestsPerMinute = 2 }
    source = "a test"
    date = "2026-11-01"

    [[family]]
    name = "Fast"
    ids = ["acme.fast-v1:0"]
    context_window = 100_000
    max_output = 500
    parameters = ["maxTokens"]
    price = { input = 1.0, output = 5.0 }
    source = "a test"
    date = "2026-11-01"
"#;

/// Each answer costs this much.
pub(crate) const USAGE: Usage = Usage {
    input_tokens: 100,
    output_tokens: 10,
    cache_read_tokens: 0,
    cache_write_tokens: 0,
};

#[derive(Default)]
pub(crate) struct HandClock(AtomicI64);

impl HandClock {
    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_795_395_600_000 + self.0.load(Ordering::SeqCst))
    }
}

/// What the model does when it is asked.
pub(crate) enum Reply {
    Says(&'static str),
    Stops(StopReason),
    Fails(Code),
    /// Answers after so many seconds.
    SaysAfter(i64, &'static str),
    /// Answers after the job was cancelled.
    SaysTo(Box<Job>, &'static str),
}

pub(crate) struct ToldModel {
    replies: Mutex<VecDeque<Reply>>,
    pub(crate) asked: Mutex<Vec<(ModelRequest, Duration)>>,
    jobs: SqliteJobs,
    clock: Arc<HandClock>,
}

impl ToldModel {
    pub(crate) fn calls(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait]
impl Model for ToldModel {
    async fn converse(
        &self,
        request: &ModelRequest,
        deadline: Duration,
        _: DeltaSink<'_>,
    ) -> Result<ModelAnswer> {
        self.asked.lock().unwrap().push((request.clone(), deadline));
        let reply = self
            .replies
            .lock()
            .unwrap()
            .pop_front()
            .expect("nobody expected this call");
        let (text, stop_reason) = match reply {
            Reply::Says(text) => (text, StopReason::EndTurn),
            Reply::Stops(reason) => ("half", reason),
            Reply::Fails(code) => return Err(Failure::new(code, "as told")),
            Reply::SaysAfter(seconds, text) => {
                self.clock.advance(seconds);
                (text, StopReason::EndTurn)
            }
            Reply::SaysTo(job, text) => {
                self.jobs.apply(job.cancel("a test", self.clock.now())).await?;
                (text, StopReason::EndTurn)
            }
        };
        Ok(ModelAnswer {
            text: text.into(),
            stop_reason,
            usage: USAGE,
            latency: Duration::from_millis(5),
        })
    }
}

#[derive(Default)]
pub(crate) struct NotedBus(Mutex<Vec<Event>>);

#[async_trait]
impl Bus for NotedBus {
    async fn publish(&self, events: &[Event]) -> Result<()> {
        self.0.lock().unwrap().extend_from_slice(events);
        Ok(())
    }

    async fn announce(&self, _: &WebhookDisabled) -> Result<()> {
        unreachable!("a stage switches no webhook off")
    }

    fn delta(&self, _: LiveText) {}

    fn has_onlookers(&self) -> bool {
        false
    }
}

/// Nobody looks on.
#[derive(Default)]
pub(crate) struct Nobody;

#[async_trait]
impl Followers for Nobody {
    async fn has(&self, _: &JobId) -> Result<bool> {
        Ok(false)
    }

    async fn comes(&self, _: &JobId) {
        std::future::pending::<()>().await;
    }

    fn pace(&self) -> Duration {
        Duration::ZERO
    }

    async fn show(&self, _: &JobId, _: Unstored) {}

    async fn tell(&self, _: &[Event]) {}
}

impl NotedBus {
    /// The names of the events that were published since the last look.
    pub(crate) fn heard(&self) -> Vec<&'static str> {
        let events = std::mem::take(&mut *self.0.lock().unwrap());
        events.iter().map(|event| event.fact.name()).collect()
    }
}

pub(crate) struct Newsroom {
    _folder: tempfile::TempDir,
    database: Database,
    pub(crate) jobs: SqliteJobs,
    memo: SqliteMemo,
    pub(crate) objects: SqliteObjects,
    projects: SqliteProjects,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) bus: Arc<NotedBus>,
    pub(crate) model: Arc<ToldModel>,
    pub(crate) quota: Arc<MemoryQuota>,
    pipeline: PipelineRevision,
    accepted: AtomicU64,
}

impl Newsroom {
    /// A project whose cards have these settings, one a stage.
    pub(crate) async fn open(model: &str, cards: &[CardSettings]) -> Self {
        let settings = Settings {
            model: Some(model.to_owned()),
            ..Settings::default()
        };
        Self::open_with(settings, cards).await
    }

    /// A project with these settings, and cards with theirs.
    pub(crate) async fn open_with(settings: Settings, cards: &[CardSettings]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("d.sqlite")).unwrap();
        let objects = SqliteObjects::new(database.clone(), folder.path().join("objects"));
        let projects = SqliteProjects::new(database.clone());
        let memo = SqliteMemo::new(database.clone(), objects.clone());
        let jobs = SqliteJobs::new(database.clone(), objects.clone(), memo.clone());
        let clock = Arc::new(HandClock::default());
        let pipeline = PipelineRevision {
            hash: "hash".into(),
            project_id: ProjectId::new("news").unwrap(),
            cards: (1..=cards.len())
                .map(|number| PipelineCard {
                    prompt_id: PromptId::new(format!("card-{number}")).unwrap(),
                    revision: 1,
                })
                .collect(),
            settings,
        };
        for (card, settings) in pipeline.cards.iter().zip(cards) {
            save(&projects, &pipeline.project_id, card, settings, clock.now()).await;
        }
        projects.keep_pipeline(&pipeline).await.unwrap();
        let model = Arc::new(ToldModel {
            replies: Mutex::default(),
            asked: Mutex::default(),
            jobs: jobs.clone(),
            clock: Arc::clone(&clock),
        });
        Self {
            _folder: folder,
            database,
            jobs,
            memo,
            objects,
            projects,
            clock,
            bus: Arc::default(),
            model,
            quota: Arc::new(MemoryQuota::new(catalogue())),
            pipeline,
            accepted: AtomicU64::new(0),
        }
    }

    /// What the model does next.
    pub(crate) fn tell(&self, replies: impl IntoIterator<Item = Reply>) {
        self.model.replies.lock().unwrap().extend(replies);
    }

    /// A stage runner whose quota is `quota`.
    pub(crate) fn stage_with(&self, quota: Arc<dyn ModelQuota>) -> Stage {
        let ports = Ports {
            projects: Arc::new(self.projects.clone()),
            jobs: Arc::new(self.jobs.clone()),
            objects: Arc::new(self.objects.clone()),
            memo: Arc::new(self.memo.clone()),
            history: Arc::new(SqliteHistory::new(self.database.clone())),
            model: self.model.clone(),
            quota,
            bus: self.bus.clone(),
            followers: Arc::new(Nobody),
            clock: self.clock.clone(),
            questions: Questions::default(),
        };
        Stage::new(ports, catalogue())
    }

    pub(crate) fn stage(&self) -> Stage {
        self.stage_with(self.quota.clone())
    }

    /// A job over the same article as every other, planned.
    pub(crate) async fn job(&self) -> Job {
        let text = self
            .objects
            .put(Bucket::Articles, "article.txt", b"The bridge opens.".to_vec())
            .await
            .unwrap();
        let number = self.accepted.fetch_add(1, Ordering::SeqCst);
        let new = NewJob {
            job_id: JobId::of_submission("test", &self.pipeline.project_id, &number.to_string()),
            project_id: self.pipeline.project_id.clone(),
            batch: BatchId::new("batch").unwrap(),
            lane: Lane::Bulk,
            article: Article::new("article.txt", text.clone()),
            session_id: None,
            fresh: false,
            retry_of: None,
            pipeline: None,
        };
        let now = self.clock.now();
        let accepted = self
            .jobs
            .accept(Job::accept(new, Ok(&self.pipeline), now))
            .await
            .unwrap();
        let (Accepted::New(job, _) | Accepted::Already(job) | Accepted::SessionBusy(job)) = accepted;
        let started = job.start(text, ArticleMeta::default(), &self.pipeline, now);
        self.jobs.apply(started).await.unwrap();
        self.now(&job).await
    }

    /// The job as it stands now.
    pub(crate) async fn now(&self, job: &Job) -> Job {
        self.jobs.read(&job.job_id).await.unwrap().unwrap()
    }

    /// In how many seconds somebody's turn is who waits for a model's quota.
    pub(crate) async fn turn(&self, model: &str, holder: &str) -> u64 {
        let now = self.clock.now();
        let turn = self.quota.reserve(model, 1, holder, Place::Last, now).await;
        turn.unwrap().millis_since(now) / 1_000
    }
}

pub(crate) fn cursor(job: &Job) -> Cursor {
    Cursor::of(job)
}

pub(crate) fn catalogue() -> Arc<Catalogue> {
    Arc::new(Catalogue::with_overrides(Some(("test", FAMILIES))).unwrap())
}

async fn save(
    projects: &SqliteProjects,
    project: &ProjectId,
    card: &PipelineCard,
    settings: &CardSettings,
    now: Timestamp,
) {
    let saved = Card {
        project_id: project.clone(),
        prompt_id: card.prompt_id.clone(),
        step_order: 1,
        is_active: true,
        revision: card.revision,
        created_at: now,
        updated_at: now,
        deleted_at: None,
        version: card.revision,
    };
    let revision = CardRevision {
        project_id: project.clone(),
        prompt_id: card.prompt_id.clone(),
        revision: card.revision,
        draft: CardDraft {
            title: "Card".into(),
            content: "Do it.".into(),
            settings: settings.clone(),
            ..CardDraft::default()
        },
        author: "a test".into(),
        note: String::new(),
        saved_at: now,
    };
    let stored = projects.put_card(&saved, Some(&revision)).await.unwrap();
    assert_eq!(stored, Saved::Done);
}
