use async_trait::async_trait;

use crate::{error::Result, stage::MemoEntry};

/// Answers that were paid for. Entries are written with the stage that paid (see
/// [`Change::memo`](crate::job::Change)).
#[async_trait]
pub trait Memo: Send + Sync {
    /// The answer under this memo key.
    ///
    /// MUST return only entries whose output can be read; an entry whose output is gone is none.
    async fn find(&self, memo_key: &str) -> Result<Option<MemoEntry>>;
}
