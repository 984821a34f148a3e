//! People sign in, in a browser: authorization code with PKCE (RFC 6749, section 4.1; RFC 7636; RFC 8252).
//!
//! Amazon Cognito has no device flow (RFC 8628). So the address of its sign-in page is printed, and whoever opens it,
//! in whichever browser, is led back to a port of this machine. No browser is started: where there is none, over SSH
//! say, the port can be forwarded.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::{Query, State},
    response::Html,
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bedrock_diy_core::{Code, Failure, error::Result};
use bedrock_diy_http::Client;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    time::timeout,
};

use super::{
    oauth::{self, Grant, Refused},
    profiles::{Grants, PeopleClient, Profile},
    request::escaped,
    sign_ins::SignIns,
};
use crate::terminal::{plain, say};

/// How long somebody may take to sign in.
const PATIENCE: Duration = Duration::from_mins(10);

/// What is asked for: who somebody is, and what lets them change their own password.
const SCOPES: &str = "openid email aws.cognito.signin.user.admin";

const DONE: &str = "<!doctype html><meta charset=utf-8><title>BedrockDiy</title><p>You are signed in. This page can be \
                    closed: the command line goes on.";
const NOT_DONE: &str = "<!doctype html><meta charset=utf-8><title>BedrockDiy</title><p>That did not work: the command \
                        line says why.";

/// What the sign-in pages send back with the browser.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Back {
    code: Option<String>,
    state: String,
    error: Option<String>,
    error_description: Option<String>,
}

/// A secret of this sign-in: 256 random bits.
fn secret() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// Has somebody sign in.
pub(super) async fn in_browser(http: &Client, profile: &Profile, client: &PeopleClient) -> Result<Grant> {
    let (state, verifier) = (secret(), secret());
    let (listeners, port) = listen(client.port).await?;
    let callback = format!("http://localhost:{port}/signed-in");
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
    let query = [
        ("response_type", "code"),
        ("client_id", &client.client_id),
        ("redirect_uri", &callback),
        ("scope", SCOPES),
        ("state", &state),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let query: Vec<_> = query
        .iter()
        .map(|(name, value)| format!("{name}={}", escaped(value)))
        .collect();
    let page = profile.at(client.domain(), "/oauth2/authorize")?;
    say(format_args!(
        "Open this address in a browser, and sign in:\n\n  {page}?{}\n",
        query.join("&")
    ));
    say(format_args!(
        "It leads back to port {port} of this machine; from another one, forward it: ssh -L {port}:localhost:{port} …"
    ));
    let code = came_back(listeners, state).await?;
    let endpoint = profile.at(client.domain(), "/oauth2/token")?;
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", client.client_id.as_str()),
        ("code", &code),
        ("redirect_uri", &callback),
        ("code_verifier", &verifier),
    ];
    oauth::grant(http, &endpoint, &form, None)
        .await
        .map_err(|refused| match refused {
            Refused::Error(error) => {
                profile.fault(&format!("{endpoint} grants no token ({error}): sign in again"))
            }
            Refused::Unavailable(failure) => failure,
        })
}

/// Forgets what is kept, and has it taken back. Tells whether there was something.
pub(super) async fn sign_out(http: &Client, profile: &Profile, kept: &SignIns) -> Result<bool> {
    let found = match profile.grants()? {
        Grants::People(client) => {
            let found = kept.read(client.domain(), &client.client_id)?;
            if let Some(token) = found.as_ref().and_then(|kept| kept.refresh_token.as_deref()) {
                let endpoint = profile.at(client.domain(), "/oauth2/revoke")?;
                if !oauth::revoke(http, &endpoint, &client.client_id, token).await {
                    say(format_args!(
                        "{endpoint} did not confirm that it takes the tokens back; they are forgotten here."
                    ));
                }
            }
            found.is_some()
        }
        Grants::Machine(client) => kept.read(client.domain(), &client.client_id)?.is_some(),
        Grants::None | Grants::File(_) | Grants::Command(_) => false,
    };
    kept.remove()?;
    Ok(found)
}

/// Listens where browsers find `localhost`: some take IPv6 for it. Port 0 takes any.
async fn listen(port: u16) -> Result<(Vec<TcpListener>, u16)> {
    let taken = |error: std::io::Error| {
        let detail = format!(
            "nobody can be led back to port {port} of this machine: {error}; does another sign-in wait there?"
        );
        Failure::new(Code::StorageUnavailable, detail)
    };
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(taken)?;
    let port = first.local_addr().map_err(taken)?.port();
    let mut listeners = vec![first];
    // A machine may have no IPv6.
    listeners.extend(TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await);
    Ok((listeners, port))
}

/// Waits for the browser, and answers the code that it brings.
async fn came_back(listeners: Vec<TcpListener>, state: String) -> Result<String> {
    let (told, mut came) = mpsc::channel(1);
    let router = Router::new()
        .route("/signed-in", get(signed_in))
        .with_state(Arc::new((state, told)));
    let (stopper, stop) = watch::channel(false);
    let served: Vec<_> = listeners
        .into_iter()
        .map(|listener| {
            let mut stop = stop.clone();
            let stopped = async move {
                let _ = stop.wait_for(|stop| *stop).await;
            };
            let serving = axum::serve(listener, router.clone()).with_graceful_shutdown(stopped);
            tokio::spawn(serving.into_future())
        })
        .collect();
    let back = timeout(PATIENCE, came.recv()).await;
    let _ = stopper.send(true);
    for serving in served {
        // The page is sent before the program goes on; a browser that keeps its connection is not waited for.
        let _ = timeout(Duration::from_secs(1), serving).await;
    }
    let refused = |detail: String| Failure::new(Code::InvalidRequest, detail);
    let Ok(Some(back)) = back else {
        let minutes = PATIENCE.as_secs() / 60;
        return Err(refused(format!(
            "nobody signed in within {minutes} minutes: do it again"
        )));
    };
    back.code.ok_or_else(|| {
        let why = back
            .error_description
            .or(back.error)
            .unwrap_or_else(|| "it says not why".into());
        refused(format!(
            "the sign-in page led back without a code: {}",
            plain(&why)
        ))
    })
}

async fn signed_in(
    State(waiting): State<Arc<(String, mpsc::Sender<Back>)>>,
    Query(back): Query<Back>,
) -> Html<&'static str> {
    let (state, told) = &*waiting;
    // Somebody else's page may lead a browser here, too: only ours knows the state.
    if back.state != *state {
        return Html(NOT_DONE);
    }
    let page = if back.code.is_some() { DONE } else { NOT_DONE };
    // The first one counts.
    let _ = told.try_send(back);
    Html(page)
}
