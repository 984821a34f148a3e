use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    card::{Card, CardRevision},
    error::Result,
    ids::{ProjectId, PromptId},
    page::{Page, PageRequest},
    pipeline::PipelineRevision,
    project::Project,
};

/// What became of something that was to be saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Saved {
    /// It is stored.
    Done,
    /// Somebody else has saved it since it was read: nothing was stored.
    Stale,
}

/// Projects, their cards, and the revisions of both.
#[async_trait]
pub trait Projects: Send + Sync {
    /// The project, also one that was deleted: who shows it to people looks at [`Project::is_deleted`].
    async fn project(&self, project: &ProjectId) -> Result<Option<Project>>;

    /// A page of the projects that a caller owns or is a member of, or of all (`None`); in an order that stays.
    /// Those of a caller are the newest first.
    ///
    /// MUST show each project that was there when the first page was asked for on exactly one page, and never one
    /// that was deleted. A page MAY be shorter than was asked for although another one follows. MAY lag behind what
    /// was just saved by a moment. MUST fail with `InvalidRequest` for a cursor that it did not give.
    async fn projects(&self, member: Option<&str>, page: &PageRequest) -> Result<Page<Project>>;

    /// The project's cards as they stand today, deleted ones among them, in any order.
    async fn cards(&self, project: &ProjectId) -> Result<Vec<Card>>;

    /// One saved revision. Immutable, so an adapter MAY keep it in memory for ever.
    ///
    /// MUST fail with `StorageUnavailable` or `InternalError` where it is not there: a job names only
    /// revisions that were saved.
    async fn card_revision(
        &self,
        project: &ProjectId,
        prompt: &PromptId,
        revision: u32,
    ) -> Result<Arc<CardRevision>>;

    /// A page of a card's revisions, the newest first.
    ///
    /// MUST be empty for a card that is not there, and fail with `InvalidRequest` for a cursor that it did not give.
    async fn card_revisions(
        &self,
        project: &ProjectId,
        prompt: &PromptId,
        page: &PageRequest,
    ) -> Result<Page<Arc<CardRevision>>>;

    /// Stores a project as it is to be, in place of what was read `before`: `None` where it is a new one.
    ///
    /// MUST return [`Saved::Stale`], and change nothing, where the stored one's version is not that of `before`, or
    /// where there is one and `before` is `None`. MUST return [`Saved::Done`] where just this is stored already: the
    /// answer to a first try may have been lost. Whoever is a member then MUST find it in [`Projects::projects`], and
    /// whoever is none any more MUST NOT.
    async fn put_project(&self, project: &Project, before: Option<&Project>) -> Result<Saved>;

    /// Stores a card as it is to be, with the version that it has then, and a new revision of it where there is
    /// one.
    ///
    /// MUST store both or none, and MUST NOT replace a revision that is there already. MUST return
    /// [`Saved::Stale`], and change nothing, where the stored card's version is not one less; a card of version 1 MUST
    /// NOT be there yet.
    async fn put_card(&self, card: &Card, revision: Option<&CardRevision>) -> Result<Saved>;

    /// Stores several cards of a project as they are to be, all or none: one whose version is not one more than
    /// the stored one's MUST keep all of them from being stored.
    async fn put_cards(&self, cards: &[Card]) -> Result<Saved>;

    /// Keeps a pipeline revision under its hash. MUST do nothing where it is kept already.
    async fn keep_pipeline(&self, pipeline: &PipelineRevision) -> Result<()>;

    /// A kept pipeline revision. Immutable, so an adapter MAY keep it in memory for ever.
    async fn pipeline(&self, project: &ProjectId, hash: &str) -> Result<Arc<PipelineRevision>>;
}
