use std::{
    error::Error,
    fmt,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, Uri, body::Incoming, http::uri::Scheme};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Builder, Client as Pool},
    rt::TokioExecutor,
};
use rustls::{ClientConfig, crypto::ring};

use crate::{
    Address, causes,
    connector::{Anywhere, Connector},
    guarded::{Guard, Guarded},
};

/// Sends requests: no redirects, the system's root certificates, and the proxy that the environment names.
pub struct Client {
    connector: Connector,
    guard: Option<Guard>,
    pool: Builder,
    plain: OnceLock<Pool<Connector, Full<Bytes>>>,
    /// Made when it is first needed: reading the system's certificates takes a while.
    encrypted: OnceLock<Pool<HttpsConnector<Connector>, Full<Bytes>>>,
}

/// Why a request got no answer.
#[derive(Debug)]
pub struct SendError {
    cause: Box<dyn Error + Send + Sync>,
    is_connect: bool,
}

impl Client {
    /// With connections that are used again.
    #[must_use]
    pub fn new() -> Self {
        let pool = Pool::<(), ()>::builder(TokioExecutor::new());
        Self::with(pool, Connector::Anywhere(Anywhere::new()), None)
    }

    /// With a connection for each request.
    #[must_use]
    pub fn unpooled() -> Self {
        let mut pool = Pool::<(), ()>::builder(TokioExecutor::new());
        pool.pool_max_idle_per_host(0);
        Self::with(pool, Connector::Anywhere(Anywhere::new()), None)
    }

    /// For addresses that strangers write down: by `https` to the public internet and nowhere else, with a connection
    /// for each request. Each address is looked at when it is connected to. No proxy is asked: it would look names up
    /// for itself. An answer's head may have so many bytes and headers.
    ///
    /// `to_this_machine` allows loopback addresses, too, by either scheme: for development and tests.
    #[must_use]
    pub fn public(to_this_machine: bool, head_bytes: usize, headers: usize) -> Self {
        let mut pool = Pool::<(), ()>::builder(TokioExecutor::new());
        pool.pool_max_idle_per_host(0)
            .http1_max_buf_size(head_bytes)
            .http1_max_headers(headers);
        let guard = Guard { to_this_machine };
        Self::with(pool, Connector::Public(Guarded::new(guard)), Some(guard))
    }

    /// Whether requests to this address are sent, as far as that can be told from the address. The error is what the
    /// address must be, such as `must be an https address`.
    pub fn accepts(&self, url: &str) -> Result<(), String> {
        let address = Address::parse(url)?;
        match self.guard.map(|guard| guard.check(address.uri())) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(forbidden)) => Err(forbidden.to_string().replacen("it must", "must", 1)),
        }
    }

    fn with(pool: Builder, connector: Connector, guard: Option<Guard>) -> Self {
        Self {
            connector,
            guard,
            pool,
            plain: OnceLock::new(),
            encrypted: OnceLock::new(),
        }
    }

    /// Sends a request to an absolute address, and answers once the head of the response is there.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, SendError> {
        let answered = if is_encrypted(request.uri()) {
            self.encrypted()?.request(request).await
        } else {
            let connector = self.connector.clone();
            let plain = self.plain.get_or_init(|| self.pool.build(connector));
            plain.request(request).await
        };
        answered.map_err(|error| SendError {
            is_connect: error.is_connect(),
            cause: error.into(),
        })
    }

    fn encrypted(&self) -> Result<&Pool<HttpsConnector<Connector>, Full<Bytes>>, SendError> {
        if let Some(encrypted) = self.encrypted.get() {
            return Ok(encrypted);
        }
        let tls = tls().map_err(|cause| SendError {
            cause,
            is_connect: false,
        })?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .wrap_connector(self.connector.clone());
        Ok(self.encrypted.get_or_init(|| self.pool.build(connector)))
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl SendError {
    /// Whether there was no connection: nothing can have been done by the other side.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.is_connect
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&causes(self.cause.as_ref()))
    }
}

impl Error for SendError {}

fn is_encrypted(uri: &Uri) -> bool {
    uri.scheme() == Some(&Scheme::HTTPS)
}

fn tls() -> Result<ClientConfig, Box<dyn Error + Send + Sync>> {
    Ok(
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_native_roots()?
            .with_no_client_auth(),
    )
}
