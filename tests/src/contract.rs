//! What ports MUST do: one function a promise, called for every adapter.

mod bus;
mod executions;
mod history;
mod hooks;
mod jobs;
mod members;
mod memo;
mod objects;
mod projects;
mod queue;
mod quota;
mod sessions;
mod watches;
mod webhooks;

pub use bus::*;
pub use executions::*;
pub use history::*;
pub use hooks::*;
pub use jobs::*;
pub use members::*;
pub use memo::*;
pub use objects::*;
pub use projects::*;
pub use queue::*;
pub use quota::*;
pub use sessions::*;
pub use watches::*;
pub use webhooks::*;

use bedrock_diy_core::{
    BatchId, JobId, ProjectId, PromptId,
    article::{Article, Bucket, ObjectRef},
    error::Result,
    intake::Lane,
    job::{Change, Job, NewJob},
    page::{Page, PageRequest},
    pipeline::{PipelineCard, PipelineRevision},
    project::Settings,
    time::Timestamp,
};

/// A moment that every contract starts from.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::from_millis(1_795_395_600_000)
}

/// A pipeline of so many cards.
#[must_use]
pub fn pipeline(cards: usize) -> PipelineRevision {
    PipelineRevision {
        hash: format!("hash-{cards}"),
        project_id: project(),
        cards: (1..=cards)
            .map(|card| PipelineCard {
                prompt_id: PromptId::new(format!("card-{card}")).unwrap(),
                revision: 1,
            })
            .collect(),
        settings: Settings::default(),
    }
}

/// The project of the contracts.
#[must_use]
pub fn project() -> ProjectId {
    ProjectId::new("contract").unwrap()
}

/// A reference to a text that need not be there.
#[must_use]
pub fn object(key: &str) -> ObjectRef {
    ObjectRef {
        bucket: Bucket::Results,
        key: key.to_owned(),
        version: None,
        size: 4,
    }
}

/// A whole list, read in pages of so many items.
async fn all_pages<T>(limit: usize, page: impl AsyncFn(PageRequest) -> Result<Page<T>>) -> Vec<T> {
    let mut items = Vec::new();
    let mut cursor = None;
    loop {
        let found = page(PageRequest { limit, cursor }).await.unwrap();
        assert!(found.items.len() <= limit, "no page is longer than it may be");
        items.extend(found.items);
        cursor = found.next;
        if cursor.is_none() {
            return items;
        }
    }
}

/// The acceptance of a job that nobody else uses.
#[must_use]
pub fn acceptance(name: &str) -> Change {
    let new = NewJob {
        job_id: JobId::of_submission("contract", &project(), name),
        project_id: project(),
        batch: BatchId::new("batch").unwrap(),
        lane: Lane::Bulk,
        article: Article::new(name, object("article")),
        session_id: None,
        fresh: false,
        retry_of: None,
    };
    Job::accept(new, Ok(&pipeline(2)), now())
}
