use async_trait::async_trait;

use crate::{error::Result, time::Timestamp};

/// Lets somebody put a file where articles are dropped, without it passing through whoever allows it.
#[async_trait]
pub trait Uploads: Send + Sync {
    /// A ticket to put one object of this many bytes under this key of the articles' bucket.
    ///
    /// MUST be good for this key and this size alone, and no longer than until `expires_at`. What is put with it MUST
    /// be taken in as any other drop.
    async fn ticket(
        &self,
        key: &str,
        bytes: u64,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<UploadTicket>;
}

/// What somebody who has a ticket sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadTicket {
    /// Where to send a PUT: an address, or a path of whoever gave the ticket.
    pub url: String,
    /// The headers to send with it.
    pub headers: Vec<(String, String)>,
    /// When it is good no longer.
    pub expires_at: Timestamp,
}
