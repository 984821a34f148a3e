//! Texts and files in S3.

use async_trait::async_trait;
use aws_sdk_s3::{Client, operation::get_object::GetObjectError, primitives::ByteStream};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use bedrock_diy_core::{
    Code, Failure,
    article::{Bucket, ObjectRef},
    error::Result,
    ports::Objects,
};

use crate::{
    config::Buckets,
    storage::{corrupt, failure, unavailable},
};

/// Objects in the articles and results buckets, which are versioned: a reference names a version, so a
/// late writer of the same key changes nothing that anybody refers to.
#[derive(Debug, Clone)]
pub struct S3Objects {
    client: Client,
    buckets: Buckets,
}

impl S3Objects {
    /// In these buckets.
    #[must_use]
    pub fn new(client: Client, buckets: Buckets) -> Self {
        Self { client, buckets }
    }

    /// Stores an object, and returns its version where the bucket has versions.
    pub(crate) async fn put_in(&self, bucket: &str, key: &str, bytes: Vec<u8>) -> Result<Option<String>> {
        let put = self.client.put_object().bucket(bucket).key(key);
        let put = put.body(ByteStream::from(bytes)).send().await;
        let stored = put.map_err(|error| failure(&format!("storing {bucket}/{key}"), &error))?;
        // Without versions S3 says nothing, or `null` where versions were switched off.
        Ok(stored.version_id.filter(|version| version != "null"))
    }

    pub(crate) async fn get_from(&self, bucket: &str, key: &str, version: Option<&str>) -> Result<Vec<u8>> {
        let get = self.client.get_object().bucket(bucket).key(key);
        let got = get.set_version_id(version.map(str::to_owned)).send().await;
        let object = got.map_err(|error| {
            if is_missing(&error) {
                return Failure::new(Code::ArticleNotFound, format!("{bucket}/{key} is not there"));
            }
            failure(&format!("reading {bucket}/{key}"), &error)
        })?;
        let bytes = object.body.collect().await;
        let bytes =
            bytes.map_err(|error| unavailable(format!("reading {bucket}/{key} broke off: {error}")))?;
        Ok(Vec::from(bytes.into_bytes()))
    }

    /// Deletes an object, the version that is meant and what anybody sees of its key. It does no harm where it is
    /// gone. Other versions of it expire with the bucket's.
    pub(crate) async fn delete(&self, object: &ObjectRef) -> Result<()> {
        let bucket = self.buckets.name(object.bucket);
        let what = format!("deleting {bucket}/{}", object.key);
        let delete = || self.client.delete_object().bucket(bucket).key(&object.key);
        if let Some(version) = &object.version {
            let deleted = delete().version_id(version).send().await;
            deleted.map_err(|error| failure(&what, &error))?;
        }
        let deleted = delete().send().await;
        deleted.map(drop).map_err(|error| failure(&what, &error))
    }

    /// Stores a text at its place, and returns the reference that names its version.
    pub(crate) async fn put_text(&self, place: &ObjectRef, text: String) -> Result<ObjectRef> {
        self.put(place.bucket, &place.key, text.into_bytes()).await
    }

    pub(crate) async fn get_text(&self, object: &ObjectRef) -> Result<String> {
        String::from_utf8(self.get(object).await?).map_err(|error| corrupt("text", error))
    }
}

#[async_trait]
impl Objects for S3Objects {
    async fn put(&self, bucket: Bucket, key: &str, bytes: Vec<u8>) -> Result<ObjectRef> {
        let size = bytes.len() as u64;
        let version = self.put_in(self.buckets.name(bucket), key, bytes).await?;
        Ok(ObjectRef {
            bucket,
            key: key.to_owned(),
            version,
            size,
        })
    }

    async fn get(&self, object: &ObjectRef) -> Result<Vec<u8>> {
        let bucket = self.buckets.name(object.bucket);
        self.get_from(bucket, &object.key, object.version.as_deref())
            .await
    }
}

/// No such key or version, or a marker in their place that says that they were deleted (S3 answers 405
/// to a version that is one; Amazon S3 User Guide, "Working with delete markers", 2026-11).
fn is_missing(error: &SdkError<GetObjectError, HttpResponse>) -> bool {
    let status = error.raw_response().map(|response| response.status().as_u16());
    let missing = ["NoSuchKey", "NoSuchVersion", "MethodNotAllowed"];
    error.code().is_some_and(|code| missing.contains(&code))
        || (status == Some(404) && error.code() != Some("NoSuchBucket"))
}
