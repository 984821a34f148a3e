use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;

/// Keeps files that are too large for an answer, for whoever is given a link.
#[async_trait]
pub trait Downloads: Send + Sync {
    /// Begins a file of this name.
    async fn begin(&self, name: &str, media_type: &str) -> Result<Box<dyn Download>>;
}

/// A file that is written piece by piece.
#[async_trait]
pub trait Download: Send {
    /// Writes on. MUST take pieces of any size.
    async fn write(&mut self, piece: &[u8]) -> Result<()>;

    /// Ends the file, and returns an address that anybody may read it at for so long.
    ///
    /// MUST have nothing to be read before: a file that can be read is whole. The file itself MUST be gone some
    /// days later.
    async fn finish(self: Box<Self>, readable_for: Duration) -> Result<String>;

    /// Gives it up: what was written so far MUST cost nothing any more, or where this fails, not for long.
    async fn abandon(self: Box<Self>) -> Result<()>;
}
