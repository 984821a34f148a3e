//! HTTP clients for the SDK.

use std::{collections::HashMap, time::Duration};

use aws_smithy_http_client::{
    Connector, ConnectorBuilder,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector},
    runtime_components::RuntimeComponents,
};
use parking_lot::Mutex;

/// How long an unused connection stays open. A service closes its side, too, at a time that it doesn't
/// tell; whoever closes first had better be this side, for a call that is sent on a connection that is
/// just going fails.
const IDLE: Duration = Duration::from_secs(20);

/// Calls services by HTTPS, trusting the system's root certificates, through the proxy that the
/// environment names (`HTTPS_PROXY`, `NO_PROXY` …).
pub(super) fn for_services() -> SharedHttpClient {
    SharedHttpClient::new(Connectors::new(|connector| {
        let connector = connector.proxy_config(ProxyConfig::from_env());
        connector.tls_provider(Provider::Rustls(CryptoMode::Ring)).build()
    }))
}

/// Calls a server on this machine by plain HTTP: no certificates to read, and a tenth less work a call.
pub(super) fn for_this_machine() -> SharedHttpClient {
    SharedHttpClient::new(Connectors::new(ConnectorBuilder::build_http))
}

/// Makes connectors when they are first called for. The SDK's own client makes one when it is configured
/// as well, to throw it away: reading the system's certificates is the dearest part of a cold start, and
/// a process that finds its answers in the memo needs none of it.
#[derive(Debug)]
struct Connectors {
    make: fn(ConnectorBuilder) -> Connector,
    made: Mutex<HashMap<Timeouts, SharedHttpConnector>>,
}

/// A connector's connect and read timeouts. Bedrock's client has others than the ones that fetch
/// credentials.
type Timeouts = (Option<Duration>, Option<Duration>);

impl Connectors {
    fn new(make: fn(ConnectorBuilder) -> Connector) -> Self {
        Self {
            make,
            made: Mutex::default(),
        }
    }
}

impl HttpClient for Connectors {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let timeouts = (settings.connect_timeout(), settings.read_timeout());
        let make = || {
            let mut connector = Connector::builder()
                .connector_settings(settings.clone())
                .pool_idle_timeout(IDLE);
            connector.set_sleep_impl(components.sleep_impl());
            SharedHttpConnector::new((self.make)(connector))
        };
        self.made.lock().entry(timeouts).or_insert_with(make).clone()
    }
}
