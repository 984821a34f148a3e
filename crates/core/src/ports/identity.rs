use async_trait::async_trait;

use crate::access::{Caller, Refused};

/// Tells who a bearer token belongs to.
#[async_trait]
pub trait Identity: Send + Sync {
    /// Who `token` belongs to: what comes after `Bearer ` in an `Authorization` header.
    ///
    /// MUST return [`Refused::Invalid`] for whatever is not surely a good token, however it is made, and
    /// never echo a part of it.
    async fn caller(&self, token: &str) -> Result<Caller, Refused>;
}
