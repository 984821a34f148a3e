use async_trait::async_trait;

use crate::{error::Result, stage::MemoEntry};

/// Answers that were paid for. Entries are written with the stage that paid (see
/// [`Change::memo`](crate::job::Change)), or by themselves where its job was closed meanwhile.
#[async_trait]
pub trait Memo: Send + Sync {
    /// The answer under this memo key.
    ///
    /// MAY return an entry whose output is gone: whoever reads the output finds out, and takes such an
    /// entry for none.
    async fn find(&self, memo_key: &str) -> Result<Option<MemoEntry>>;

    /// Keeps an answer that no job waits for any more, so that the next one pays nothing for it.
    ///
    /// MUST have the output stored under the entry's reference, durably, before the entry can be found;
    /// the newest answer under a key counts.
    async fn keep(&self, entry: MemoEntry, output: String) -> Result<()>;
}
