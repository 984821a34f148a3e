//! As much of S3 as an article needs: versioned objects in memory.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, Response, StatusCode, header::HeaderValue};

use crate::calls::Journal;

/// The header by which a client says, and is told, what an object's bytes sum up to.
const CHECKSUM: &str = "x-amz-checksum-crc32";

#[derive(Debug, Default)]
pub(super) struct S3(Mutex<HashMap<String, Vec<Stored>>>);

#[derive(Debug, Clone)]
struct Stored {
    bytes: Bytes,
    checksum: Option<HeaderValue>,
}

impl S3 {
    /// Answers a request for `/bucket/key`.
    pub(super) fn answer(&self, journal: &Journal, request: &Request<Bytes>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let bucket = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        match *request.method() {
            Method::PUT => {
                journal.note("PutObject", bucket);
                self.put(path, request)
            }
            Method::GET => {
                journal.note("GetObject", bucket);
                self.get(path, request.uri().query().unwrap_or_default())
            }
            _ => refused(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
        }
    }

    fn put(&self, path: &str, request: &Request<Bytes>) -> Response<Full<Bytes>> {
        // A body in chunks with a sum behind it is how a client sends a stream; ours have their bytes.
        if request.headers().contains_key("x-amz-trailer") {
            return refused(StatusCode::NOT_IMPLEMENTED, "NotImplemented");
        }
        let mut objects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let versions = objects.entry(path.to_owned()).or_default();
        versions.push(Stored {
            bytes: request.body().clone(),
            checksum: request.headers().get(CHECKSUM).cloned(),
        });
        described(Response::new(Full::default()), versions.len())
    }

    fn get(&self, path: &str, query: &str) -> Response<Full<Bytes>> {
        let objects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let versions = objects.get(path).map(Vec::as_slice).unwrap_or_default();
        let asked = query.split('&').find_map(|part| part.strip_prefix("versionId="));
        let version = asked.map_or(Some(versions.len()), |asked| asked.parse().ok());
        let found = version.and_then(|version| Some((version, versions.get(version.checked_sub(1)?)?)));
        let Some((version, stored)) = found else {
            return refused(StatusCode::NOT_FOUND, "NoSuchKey");
        };
        let mut response = described(Response::new(Full::from(stored.bytes.clone())), version);
        if let Some(checksum) = &stored.checksum {
            response.headers_mut().insert(CHECKSUM, checksum.clone());
        }
        response
    }
}

fn described(mut response: Response<Full<Bytes>>, version: usize) -> Response<Full<Bytes>> {
    let headers = response.headers_mut();
    headers.insert("x-amz-version-id", HeaderValue::from(version));
    headers.insert(
        "etag",
        HeaderValue::from_static("\"d41d8cd98f00b204e9800998ecf8427e\""),
    );
    headers.insert(
        "last-modified",
        HeaderValue::from_static("Wed, 25 Nov 2026 00:00:00 GMT"),
    );
    headers.insert(
        "content-type",
        HeaderValue::from_static("application/octet-stream"),
    );
    response
}

fn refused(status: StatusCode, code: &str) -> Response<Full<Bytes>> {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{code}</Message></Error>");
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response
}
