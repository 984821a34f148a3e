use async_trait::async_trait;

use crate::{
    article::{Bucket, ObjectRef},
    error::Result,
};

/// Texts and files, by key and version.
#[async_trait]
pub trait Objects: Send + Sync {
    /// Stores an object.
    ///
    /// MUST be durable before it returns. In a versioned bucket MUST return the version that was made.
    async fn put(&self, bucket: Bucket, key: &str, bytes: Vec<u8>) -> Result<ObjectRef>;

    /// The bytes of an object.
    ///
    /// MUST fail with `ArticleNotFound` where it is not there. MUST return the version that the
    /// reference names, not the newest.
    async fn get(&self, object: &ObjectRef) -> Result<Vec<u8>>;
}
