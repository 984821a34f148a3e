//! The API on one machine: where it listens, and who may ask it.

use std::{
    net::{IpAddr, SocketAddr},
    path::{self, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Path, State},
    http::StatusCode,
    routing::put,
    serve::ListenerExt,
};
use bedrock_diy_api::{Api, Ports, Settings};
use bedrock_diy_core::{
    Code, Failure,
    article::Bucket,
    error::Result,
    intake::{Drop, IntakeMessage, Lane},
    ports::{Clock, Identity, Model, Objects, Queue, Sender},
};
use bedrock_diy_embedded::{FileSecrets, LocalUploads, SqliteHistory, SqliteHooks};
use bedrock_diy_identity::{Algorithm, Oidc, OidcConfig, TokenFile};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
    time,
};

use crate::{
    arguments::{Listening, TokenAlgorithm},
    machine::Machine,
    sockets::Sockets,
};

/// How long requests that have begun have to come to their end, when the program is stopped.
const GRACE: Duration = Duration::from_secs(5);

/// Connections that may wait to be accepted: after a restart whoever followed comes back at once, and what is more
/// is tried again a second later. Linux has at most `net.core.somaxconn` of them wait, which is 4,096 where nobody
/// changed it (listen(2)).
const WAITING: u32 = 4_096;

/// An API that listens, and has answered nobody yet.
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    router: Router,
    sockets: Arc<Sockets>,
}

impl Listener {
    /// Listens where the arguments say. Fails where others could ask and nobody said who they may be.
    pub(crate) fn bind(
        machine: &Machine,
        model: Arc<dyn Model>,
        sender: Arc<dyn Sender>,
        listening: &Listening,
        default_model: &str,
    ) -> Result<Self> {
        let identity = identity(machine, listening)?;
        let settings = Settings {
            longest_stream: Duration::from_secs(listening.longest_stream.into()),
            ..Settings::new(default_model, &listening.cors_origin)?
        };
        let uploads = LocalUploads::new(rand::random());
        let ports = ports(machine, model, sender, uploads.clone());
        let sockets = Sockets::new(ports.clone(), machine.bus.clone());
        let api = Arc::new(Api::new(ports, machine.catalogue.clone(), settings));
        let router = Router::new()
            .route("/uploads/{ticket}", put(receive))
            .with_state((machine.clone(), uploads))
            .merge(sockets.clone().router(api.clone(), identity.clone()))
            .merge(api.router(identity));
        let wanted = listening.listen;
        let taken = |error: std::io::Error| {
            Failure::new(
                Code::StorageUnavailable,
                format!("the API can't listen at {wanted}: {error}; choose another address with --listen"),
            )
        };
        let listener = listen(wanted).map_err(taken)?;
        let address = listener.local_addr().map_err(taken)?;
        Ok(Self {
            socket: listener,
            address,
            router,
            sockets,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` says true; requests that have begun have five seconds to come to their end.
    pub(crate) async fn serve(self, mut stop: watch::Receiver<bool>) -> Result<()> {
        let ended = stop.clone();
        // What is written goes out at once: words of a stream are small.
        let socket = self.socket.tap_io(|connection| {
            let _ = connection.set_nodelay(true);
        });
        let sockets = self.sockets;
        let serving = axum::serve(socket, self.router).with_graceful_shutdown(async move {
            let _ = stop.wait_for(|stop| *stop).await;
            sockets.close();
        });
        tokio::select! {
            served = async { serving.await } => served,
            // Streams go on for minutes: their clients come again, and go on where they were.
            () = long_after(ended) => Ok(()),
        }
        .map_err(|error| Failure::new(Code::StorageUnavailable, format!("the API ended early: {error}")))
    }
}

/// As `TcpListener::bind`, which has 128 connections wait.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // On Windows it would let two programs listen at one address.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING)
}

/// Resolves some seconds after `stop` has said true.
async fn long_after(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
    time::sleep(GRACE).await;
}

/// Takes a file that somebody has a ticket for, and drops it, as S3 and its notification do on AWS.
async fn receive(
    State((machine, uploads)): State<(Machine, LocalUploads)>,
    Path(ticket): Path<String>,
    body: Body,
) -> std::result::Result<StatusCode, (StatusCode, String)> {
    let refused = |status: StatusCode| move |failure: Failure| (status, failure.message());
    let upload = uploads
        .redeem(&ticket, machine.clock.now())
        .map_err(refused(StatusCode::FORBIDDEN))?;
    let bytes = usize::try_from(upload.bytes).unwrap_or(usize::MAX);
    // Neither more nor less than the ticket says.
    let file = to_bytes(body, bytes)
        .await
        .ok()
        .filter(|file| file.len() == bytes);
    let file = file.ok_or_else(|| {
        let detail = format!("the ticket is for a file of {bytes} bytes\n");
        (StatusCode::BAD_REQUEST, detail)
    })?;
    let dropped = async {
        let object = machine
            .objects
            .put(Bucket::Articles, &upload.key, file.into())
            .await?;
        let message = IntakeMessage::Drop(Drop { object });
        machine.queue.send(Lane::Bulk, vec![message]).await
    };
    dropped.await.map_err(refused(StatusCode::SERVICE_UNAVAILABLE))?;
    Ok(StatusCode::OK)
}

/// The file of this data folder's tokens.
pub(crate) fn token_file(data: &path::Path) -> PathBuf {
    data.join("tokens.toml")
}

fn ports(machine: &Machine, model: Arc<dyn Model>, sender: Arc<dyn Sender>, uploads: LocalUploads) -> Ports {
    Ports {
        projects: Arc::new(machine.projects.clone()),
        jobs: Arc::new(machine.jobs.clone()),
        job_index: Arc::new(machine.jobs.clone()),
        objects: Arc::new(machine.objects.clone()),
        uploads: Arc::new(uploads),
        downloads: None,
        history: Arc::new(SqliteHistory::new(machine.database.clone())),
        hooks: Arc::new(SqliteHooks::new(machine.database.clone())),
        webhooks: Arc::new(machine.webhooks.clone()),
        deliveries: Arc::new(machine.deliveries.clone()),
        delivery_queue: Arc::new(machine.delivery_queue.clone()),
        sender,
        secrets: Arc::new(FileSecrets::new(machine.data.secrets())),
        model,
        queue: Arc::new(machine.queue.clone()),
        executions: Arc::new(machine.executions.clone()),
        bus: Arc::new(machine.bus.clone()),
        watches: Arc::new(machine.bus.clone()),
        clock: machine.clock.clone(),
    }
}

/// Who says whose a token is.
fn identity(machine: &Machine, listening: &Listening) -> Result<Arc<dyn Identity>> {
    let Some(issuer) = &listening.oidc_issuer else {
        refuse_strangers(listening)?;
        let (tokens, _) = TokenFile::open_or_create(token_file(machine.data.path()), rand::random())?;
        return Ok(Arc::new(tokens));
    };
    let mut config = OidcConfig::new(issuer, "");
    config.audiences.clone_from(&listening.oidc_audience);
    config.roles_claim.clone_from(&listening.oidc_roles_claim);
    config.algorithms = listening
        .oidc_algorithm
        .iter()
        .map(|algorithm| match algorithm {
            TokenAlgorithm::Rs256 => Algorithm::Rs256,
            TokenAlgorithm::Es256 => Algorithm::Es256,
        })
        .collect();
    Ok(Arc::new(Oidc::new(config, machine.clock.clone())?))
}

/// Tokens of a file go over the wire as they are: beyond this machine only where somebody says that there is
/// something in between which encrypts.
fn refuse_strangers(listening: &Listening) -> Result<()> {
    let address: IpAddr = listening.listen.ip();
    if address.is_loopback() || listening.behind_tls {
        return Ok(());
    }
    Err(Failure::new(
        Code::InvalidRequest,
        format!(
            "{address} can be reached by others: name who vouches for callers with --oidc-issuer, or say with \
             --behind-tls that a proxy encrypts what comes here with tokens of this machine"
        ),
    ))
}
