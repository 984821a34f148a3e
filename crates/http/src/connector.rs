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

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// Connects directly, or through the proxy that the environment names for an `https` address.
#[derive(Clone)]
pub(crate) struct Connector {
    tcp: HttpConnector,
    proxies: Arc<Matcher>,
}

type Connected = <HttpConnector as Service<Uri>>::Response;
type BoxError = Box<dyn Error + Send + Sync>;

impl Connector {
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

impl Service<Uri> for Connector {
    type Response = Connected;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Connected, BoxError>> + Send>>;

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
