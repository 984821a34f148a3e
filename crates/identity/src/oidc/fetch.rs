//! Gets an issuer's public documents.

use std::{error::Error, time::Duration};

use bedrock_diy_http::{Address, Client, causes};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request,
    header::{ACCEPT, USER_AGENT},
};
use serde::de::DeserializeOwned;

/// How long one document may take. A caller waits for it.
const DEADLINE: Duration = Duration::from_secs(5);

/// The longest document, in bytes; key sets of large issuers have about 10 kB.
const LONGEST_DOCUMENT: usize = 256 * 1024;

/// Gets documents: a deadline, a limit, and a connection for each, for there are two in ten minutes.
pub(super) struct Fetch(Client);

impl Fetch {
    pub(super) fn new() -> Self {
        Self(Client::unpooled())
    }

    /// A document, or a sentence that says why it can't be had.
    pub(super) async fn json<T: DeserializeOwned>(&self, address: &Address) -> Result<T, String> {
        let body = tokio::time::timeout(DEADLINE, self.get(address))
            .await
            .map_err(|_| format!("{address} did not answer within {} seconds", DEADLINE.as_secs()))?
            .map_err(|error| format!("{address} can't be read: {}", causes(error.as_ref())))?;
        serde_json::from_slice(&body)
            .map_err(|error| format!("{address} does not answer as an issuer should: {error}"))
    }

    async fn get(&self, address: &Address) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
        let request = Request::get(address.uri().clone())
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("bedrock-diy/", env!("CARGO_PKG_VERSION")))
            .body(Full::default())?;
        let response = self.0.send(request).await?;
        if !response.status().is_success() {
            return Err(format!("the answer is {}", response.status()).into());
        }
        let body = Limited::new(response.into_body(), LONGEST_DOCUMENT);
        Ok(body.collect().await?.to_bytes())
    }
}
