//! A running server: start it, ask it, stop it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::http::{Shared, serve};
use crate::model::Model;
use crate::observe::{Counters, Observer, RequestRecord};

/// What a server does besides answering.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, and all mixes make sense"
)]
pub struct Settings {
    /// Where it listens; port 0 takes a free one. Default: `127.0.0.1:0`.
    pub address: SocketAddr,
    /// Refuse calls without an `Authorization` header, as Bedrock does. Default: true.
    pub require_authorization: bool,
    /// Serve `/_control/…` to clients on this machine. Default: false.
    pub control: bool,
    /// How many calls the request log keeps. Default: the last 1,000.
    pub keep_requests: KeepRequests,
    /// Keep the bodies of logged calls. Default: false.
    pub keep_bodies: bool,
    /// Hash each call's content, and count calls by it. Default: true.
    pub track_contents: bool,
    /// The longest body that is read, in bytes. Default: 25,000,000, Bedrock's limit for `InvokeModel`.
    pub max_body_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            require_authorization: true,
            control: false,
            keep_requests: KeepRequests::Last(1000),
            keep_bodies: false,
            track_contents: true,
            max_body_bytes: 25_000_000,
        }
    }
}

impl Settings {
    /// The settings that cost a call the least: no log and no content hashes.
    #[must_use]
    pub fn lean() -> Self {
        Self {
            keep_requests: KeepRequests::None,
            track_contents: false,
            ..Self::default()
        }
    }
}

/// How many calls the request log keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepRequests {
    /// None.
    None,
    /// The last so many.
    Last(usize),
    /// Every one, until a reset.
    All,
}

/// Why a server did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The address can't be had.
    #[error(
        "The model server can't listen on {address}: {source}. Choose another port, or 0 for a free one."
    )]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// A running server. Dropped, it stops, and the connections it had are closed.
pub struct ModelServer<M> {
    model: Arc<M>,
    address: SocketAddr,
    observer: Arc<Observer>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl<M: Model> ModelServer<M> {
    /// Starts on a free port of the loopback address, on the current tokio runtime.
    pub async fn start(model: M) -> Result<Self, StartError> {
        Self::start_with(model, Settings::default()).await
    }

    /// Starts with settings of one's own, on the current tokio runtime.
    pub async fn start_with(model: M, settings: Settings) -> Result<Self, StartError> {
        let asked = settings.address;
        let listen = |source| StartError::Listen {
            address: asked,
            source,
        };
        let listener = TcpListener::bind(asked).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let model = Arc::new(model);
        let observer = Arc::new(Observer::new(&settings));
        let shared = Arc::new(Shared {
            model: Arc::clone(&model) as Arc<dyn Model>,
            observer: Arc::clone(&observer),
            settings,
        });
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(accept(listener, shared, stopped));
        Ok(Self {
            model,
            address,
            observer,
            stop: Some(stop),
            task,
        })
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint URL for an SDK, `http://127.0.0.1:40123`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The model behind it; a scripted one takes another script while it runs.
    #[must_use]
    pub fn model(&self) -> &M {
        &self.model
    }

    /// What it has counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.observer.counters()
    }

    /// The calls that its log holds, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.observer.requests()
    }

    /// Forgets counters, log, and what the model counted for its rules and quotas.
    pub fn reset(&self) {
        self.observer.reset();
        self.model.reset();
    }

    /// Stops, and waits until every connection is closed.
    pub async fn shutdown(mut self) {
        // The task ends by itself then; that it is gone already is as good.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = (&mut self.task).await;
    }

    /// Waits for as long as it serves.
    pub async fn wait(&mut self) {
        let _ = (&mut self.task).await;
    }
}

impl<M> Drop for ModelServer<M> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stopped: oneshot::Receiver<()>) {
    // Dropped with this future, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => return connections.shutdown().await,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file handles, most likely: let some calls end before trying again.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its send delay");
        }
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| serve(Arc::clone(&shared), peer, request));
            // A closed or broken connection is a client's everyday business, or a fault that was asked for.
            if let Err(error) = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
            {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }
}
