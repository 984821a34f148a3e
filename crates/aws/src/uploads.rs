//! Tickets for uploads: presigned requests of S3.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::{Client, presigning::PresigningConfig};
use bedrock_diy_core::{
    article::Bucket,
    error::Result,
    ports::{UploadTicket, Uploads},
    time::Timestamp,
};

use crate::{
    config::{Buckets, Config},
    storage::{corrupt, failure},
};

/// Presigns uploads to the articles' bucket, whose notifications take them in.
#[derive(Debug, Clone)]
pub struct S3Uploads {
    client: Client,
    buckets: Buckets,
}

impl S3Uploads {
    /// In this deployment.
    #[must_use]
    pub fn new(client: Client, config: &Config) -> Self {
        Self {
            client,
            buckets: config.buckets.clone(),
        }
    }
}

#[async_trait]
impl Uploads for S3Uploads {
    /// The length is signed along: S3 refuses another one. A signature lasts no longer than the credentials that
    /// made it, which a Lambda has for some hours.
    async fn ticket(
        &self,
        key: &str,
        bytes: u64,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<UploadTicket> {
        let lasts = Duration::from_millis(expires_at.millis_since(now));
        let presigning = PresigningConfig::expires_in(lasts).map_err(|error| corrupt("upload", error))?;
        let put = self
            .client
            .put_object()
            .bucket(self.buckets.name(Bucket::Articles))
            .key(key)
            .content_length(i64::try_from(bytes).unwrap_or(i64::MAX));
        let signed = put
            .presigned(presigning)
            .await
            .map_err(|error| failure("presigning an upload", &error))?;
        Ok(UploadTicket {
            url: signed.uri().to_owned(),
            headers: signed
                .headers()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            expires_at,
        })
    }
}
