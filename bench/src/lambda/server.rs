//! An HTTP server on this machine, plain or by TLS.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

use crate::Outcome;

/// A server; stops when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    tls: bool,
    task: JoinHandle<()>,
}

/// What servers by TLS show, and what makes clients believe it.
#[derive(Clone)]
pub(crate) struct Certificate {
    acceptor: TlsAcceptor,
    /// The certificate itself, which nobody else vouches for.
    pub(crate) pem: String,
}

impl Certificate {
    /// A certificate for this machine.
    pub(crate) fn new() -> Outcome<Self> {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
        let key = PrivateKeyDer::try_from(signing_key.serialize_der())?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            pem: cert.pem(),
        })
    }
}

impl Server {
    /// Answers requests.
    pub(crate) async fn http<H, F>(tls: Option<&Certificate>, handle: H) -> Outcome<Self>
    where
        H: Fn(Request<Bytes>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Full<Bytes>>> + Send,
    {
        Self::start(tls, move |stream| answer(stream, handle.clone())).await
    }

    /// Hands what it gets on to another server, and back.
    pub(crate) async fn before(tls: Option<&Certificate>, other: SocketAddr) -> Outcome<Self> {
        Self::start(tls, move |mut stream| async move {
            // Either side may hang up: that ends the connection, and is no fault.
            if let Ok(mut behind) = TcpStream::connect(other).await
                && behind.set_nodelay(true).is_ok()
            {
                let _ = copy_bidirectional(&mut stream, &mut behind).await;
            }
        })
        .await
    }

    async fn start<S, F>(tls: Option<&Certificate>, serve: S) -> Outcome<Self>
    where
        S: Fn(Box<dyn Stream>) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let acceptor = tls.map(|certificate| certificate.acceptor.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if stream.set_nodelay(true).is_err() {
                    continue;
                }
                let (serve, acceptor) = (serve.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(Box::new(stream)).await,
                        Some(acceptor) => {
                            // A client that does not trust the certificate says so itself.
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(Box::new(stream)).await;
                            }
                        }
                    }
                });
            }
        });
        Ok(Self {
            address,
            tls: tls.is_some(),
            task,
        })
    }

    /// Host and port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where clients find it.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A connection, whatever it goes over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn answer<H, F>(stream: Box<dyn Stream>, handle: H)
where
    H: Fn(Request<Bytes>) -> F + Clone,
    F: Future<Output = Response<Full<Bytes>>>,
{
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let handle = handle.clone();
        async move {
            let (head, body) = request.into_parts();
            // A body that breaks off is its sender's fault, who hears of it by the empty one's answer.
            let body = body.collect().await.map(http_body_util::Collected::to_bytes);
            Ok::<_, Infallible>(handle(Request::from_parts(head, body.unwrap_or_default())).await)
        }
    });
    // Functions are ended as Lambda ends them, in the middle of whatever they do.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
