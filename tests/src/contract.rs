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

/// Every promise that one adapter keeps by itself, port by port, for a macro that makes a test of each: what is promised
/// is the same in both worlds.
#[macro_export]
macro_rules! every_promise {
    ($promises:ident) => {
        $promises!(jobs: accepting_twice_is_one_job, accepting_again_tells_how_the_job_stands_now,
            a_stale_change_changes_nothing, events_are_read_from_a_number_on,
            whoever_has_read_an_event_finds_the_job_as_far,
            an_unknown_job_is_none, a_list_shows_each_job_once, a_session_has_one_open_job,
            sessions_are_in_nobody_else_s_way, of_many_at_once_one_gets_the_turn, what_fails_at_once_takes_no_turn);
        $promises!(objects: what_was_put_is_got, a_reference_names_a_version, what_is_not_there_is_not_found);
        $promises!(memo: an_unknown_memo_key_finds_nothing);
        $promises!(hooks: a_hook_is_what_was_stored_last, a_hook_is_its_projects, hooks_are_listed_in_their_order,
            a_stale_hook_is_not_stored, a_deleted_hook_is_found_no_more);
        $promises!(webhooks: a_webhook_is_what_was_stored_last, webhooks_are_listed_in_their_order,
            a_stale_webhook_is_not_stored);
        $promises!(deliveries: a_delivery_is_noted_once, the_log_is_read_in_pages);
        $promises!(secrets: secrets_are_what_was_stored_last);
        $promises!(projects: a_project_is_what_was_stored_last, a_stale_project_is_not_stored, cards_are_moved_together,
            lists_of_projects_and_revisions_have_pages,
            a_change_of_a_project_may_be_made_again, a_list_has_what_somebody_owns_and_is_a_member_of,
            all_members_may_be_exchanged, a_deleted_project_is_in_no_list, a_deleted_card_is_stored_and_can_come_back,
            a_revision_stays_as_it_was, a_revision_is_saved_once, a_pipeline_revision_is_kept);
    };
}

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
        pipeline: None,
    };
    Job::accept(new, Ok(&pipeline(2)), now())
}
