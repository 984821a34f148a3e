use async_trait::async_trait;

use crate::{error::Result, history::Exchange, ids::SessionId};

/// The chat history of sessions. It is written with the job's end (see
/// [`Change::exchange`](crate::job::Change)).
#[async_trait]
pub trait History: Send + Sync {
    /// The session's last `limit` exchanges, oldest first.
    ///
    /// MUST return an empty list for a session that nobody has used.
    async fn recent(&self, session: &SessionId, limit: usize) -> Result<Vec<Exchange>>;
}
