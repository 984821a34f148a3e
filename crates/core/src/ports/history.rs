use async_trait::async_trait;

use crate::{
    error::Result,
    history::Exchange,
    ids::{ProjectId, SessionId},
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
}
