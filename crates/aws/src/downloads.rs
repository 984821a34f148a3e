//! Files that are too large for an answer: objects that expire, behind presigned links.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::{
    Client,
    presigning::PresigningConfig,
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use bedrock_diy_core::{
    article::Bucket,
    error::Result,
    ports::{Download, Downloads},
};

use crate::{
    config::Config,
    storage::{corrupt, failure},
};

/// Where they lie in the results' bucket, which lets them expire within two days. No project has this name.
pub const DOWNLOADS: &str = "_downloads";

/// The size of a part, in bytes. S3 wants 5 MiB at least and takes 10,000 parts, so a file may have 78 GiB (Amazon S3
/// User Guide, "Amazon S3 multipart upload limits", 2026-11).
const PART: usize = 8 * 1_024 * 1_024;

/// Downloads in the results' bucket.
#[derive(Debug, Clone)]
pub struct S3Downloads {
    client: Client,
    bucket: String,
}

impl S3Downloads {
    /// In this deployment.
    #[must_use]
    pub fn new(client: Client, config: &Config) -> Self {
        Self {
            client,
            bucket: config.buckets.name(Bucket::Results).to_owned(),
        }
    }
}

#[async_trait]
impl Downloads for S3Downloads {
    async fn begin(&self, name: &str, media_type: &str) -> Result<Box<dyn Download>> {
        let key = format!("{DOWNLOADS}/{:032x}/{name}", rand::random::<u128>());
        let begun = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(&key)
            .content_type(media_type)
            .content_disposition(format!("attachment; filename=\"{name}\""))
            .send()
            .await
            .map_err(|error| failure("beginning a download", &error))?;
        let upload = begun
            .upload_id
            .ok_or_else(|| corrupt("upload", "S3 gave it no id"))?;
        Ok(Box::new(Multipart {
            client: self.client.clone(),
            bucket: self.bucket.clone(),
            key,
            upload,
            parts: Vec::new(),
            waiting: Vec::with_capacity(PART),
        }))
    }
}

/// A multipart upload: the object is there once it is completed.
struct Multipart {
    client: Client,
    bucket: String,
    key: String,
    upload: String,
    parts: Vec<CompletedPart>,
    /// What is not yet a part.
    waiting: Vec<u8>,
}

impl Multipart {
    async fn send(&mut self, part: Vec<u8>) -> Result<()> {
        let number = i32::try_from(self.parts.len() + 1).unwrap_or(i32::MAX);
        let sent = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(&self.key)
            .upload_id(&self.upload)
            .part_number(number)
            .body(ByteStream::from(part))
            .send()
            .await
            .map_err(|error| failure("storing a part of a download", &error))?;
        let part = CompletedPart::builder().part_number(number);
        self.parts.push(part.set_e_tag(sent.e_tag).build());
        Ok(())
    }
}

#[async_trait]
impl Download for Multipart {
    async fn write(&mut self, mut piece: &[u8]) -> Result<()> {
        while self.waiting.len() + piece.len() >= PART {
            let (fits, rest) = piece.split_at(PART - self.waiting.len());
            self.waiting.extend_from_slice(fits);
            piece = rest;
            let part = std::mem::replace(&mut self.waiting, Vec::with_capacity(PART));
            self.send(part).await?;
        }
        self.waiting.extend_from_slice(piece);
        Ok(())
    }

    async fn finish(mut self: Box<Self>, readable_for: Duration) -> Result<String> {
        if !self.waiting.is_empty() || self.parts.is_empty() {
            let last = std::mem::take(&mut self.waiting);
            self.send(last).await?;
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(self.parts));
        self.client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(&self.key)
            .upload_id(&self.upload)
            .multipart_upload(parts.build())
            .send()
            .await
            .map_err(|error| failure("completing a download", &error))?;
        let presigning =
            PresigningConfig::expires_in(readable_for).map_err(|error| corrupt("download", error))?;
        let get = self.client.get_object().bucket(&self.bucket).key(&self.key);
        let signed = get
            .presigned(presigning)
            .await
            .map_err(|error| failure("presigning a download", &error))?;
        Ok(signed.uri().to_owned())
    }

    /// Where this fails too, the bucket's rule for unfinished uploads does it a day later.
    async fn abandon(self: Box<Self>) -> Result<()> {
        let abort = self.client.abort_multipart_upload();
        let abort = abort.bucket(&self.bucket).key(&self.key);
        let aborted = abort.upload_id(&self.upload).send().await;
        aborted
            .map(drop)
            .map_err(|error| failure("giving a download up", &error))
    }
}
