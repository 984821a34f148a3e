use async_trait::async_trait;

use crate::{
    error::Result,
    history::{Exchange, SessionSummary},
    ids::{ProjectId, SessionId},
    page::{Page, PageRequest},
};

/// The chat history of sessions. It is written with the job's end (see
/// [`Change::exchange`](crate::job::Change)).
#[async_trait]
pub trait History: Send + Sync {
    /// The session's last `limit` exchanges in this project, oldest first.
    ///
    /// MUST return an empty list for a session that nobody has used there: two projects' sessions of one
    /// name are two sessions.
    async fn recent(&self, project: &ProjectId, session: &SessionId, limit: usize) -> Result<Vec<Exchange>>;

    /// A page of the project's sessions, the ones with the newest exchange first.
    ///
    /// MUST show each session that was there when the first page was asked for, and was not used since, on exactly
    /// one page; one that is used meanwhile comes to the front. MAY lag behind what was just written by a moment.
    /// MUST fail with `InvalidRequest` for a cursor that it did not give.
    async fn sessions(&self, project: &ProjectId, page: &PageRequest) -> Result<Page<SessionSummary>>;

    /// A page of the session's exchanges in this project, the newest first.
    ///
    /// MUST show each exchange that was there when the first page was asked for on exactly one page, and be empty for
    /// a session that nobody has used there. MUST fail with `InvalidRequest` for a cursor that it did not give.
    async fn exchanges(
        &self,
        project: &ProjectId,
        session: &SessionId,
        page: &PageRequest,
    ) -> Result<Page<Exchange>>;

    /// Deletes the session in this project, and says whether there was any.
    ///
    /// MUST delete every exchange that was there when it was called, with its texts, and the session from the list
    /// where nothing of it is left. MUST be safe to call again: one call finishes what another began.
    async fn delete(&self, project: &ProjectId, session: &SessionId) -> Result<bool>;
}
