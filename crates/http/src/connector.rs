use std::{
    error::Error,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{Uri, http::uri::Scheme};
use hyper_util::client::{
    legacy::connect::{HttpConnector, proxy::Tunnel},
    proxy::matcher::Matcher,
};
use tower_service::Service;

use crate::guarded::Guarded;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// Connects to where requests go.
#[derive(Clone)]
pub(crate) enum Connector {
    /// Wherever that is.
    Anywhere(Anywhere),
    /// To the public internet alone.
    Public(Guarded),
}

/// Connects directly, or through the proxy that the environment names for an `https` address.
#[derive(Clone)]
pub(crate) struct Anywhere {
    tcp: HttpConnector,
    proxies: Arc<Matcher>,
}

/// A connection.
pub(crate) type Connected = <HttpConnector as Service<Uri>>::Response;
type BoxError = Box<dyn Error + Send + Sync>;
type Connecting = Pin<Box<dyn Future<Output = Result<Connected, BoxError>> + Send>>;

impl Service<Uri> for Connector {
    type Response = Connected;
    type Error = BoxError;
    type Future = Connecting;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Anywhere(connector) => connector.poll_ready(context),
            Self::Public(connector) => connector.poll_ready(context),
        }
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match self {
            Self::Anywhere(connector) => connector.call(uri),
            Self::Public(connector) => connector.call(uri),
        }
    }
}

impl Anywhere {
    pub(crate) fn new() -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_nodelay(true);
        Self {
            tcp,
            proxies: Arc::new(Matcher::from_env()),
        }
    }
}

impl Service<Uri> for Anywhere {
    type Response = Connected;
    type Error = BoxError;
    type Future = Connecting;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // What is not encrypted is on this machine, where no proxy is in between.
        let encrypted = uri.scheme() == Some(&Scheme::HTTPS);
        let proxy = encrypted.then(|| self.proxies.intercept(&uri)).flatten();
        let Some(proxy) = proxy else {
            let connecting = self.tcp.call(uri);
            return Box::pin(async move { connecting.await.map_err(Into::into) });
        };
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.tcp.clone());
        if let Some(credentials) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(credentials.clone());
        }
        let connecting = tunnel.call(uri);
        Box::pin(async move { connecting.await.map_err(Into::into) })
    }
}
