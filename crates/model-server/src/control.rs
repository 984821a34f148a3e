//! `/_control/…`: counters, log and script of a running server, for clients on the same machine only.

use std::net::SocketAddr;

use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;

use crate::body::Body;
use crate::http::{Shared, error, json, read};
use crate::wire::dialect::to_json;
use crate::wire::errors::{ErrorKind, ServiceError};

/// Where the commands are served.
pub(crate) const PREFIX: &str = "/_control/";

/// Carries out one command.
pub(crate) async fn serve(
    shared: &Shared,
    peer: SocketAddr,
    command: &str,
    request: Request<Incoming>,
) -> Response<Body> {
    if !shared.settings.control || !peer.ip().is_loopback() {
        return error(&ErrorKind::UnknownOperation.into());
    }
    match (request.method(), command) {
        (&Method::GET, "counters") => json(StatusCode::OK, to_json(&shared.observer.counters())),
        (&Method::GET, "requests") => json(StatusCode::OK, to_json(&shared.observer.requests())),
        (&Method::POST, "script") => {
            let body = match read(request.into_body(), shared.settings.max_body_bytes).await {
                Ok(body) => body,
                Err(refusal) => return error(&refusal),
            };
            match shared.model.load_script(&body) {
                Ok(()) => done(),
                Err(message) => error(&ServiceError::validation(message)),
            }
        }
        (&Method::POST, "reset") => {
            shared.observer.reset();
            shared.model.reset();
            done()
        }
        _ => error(&ServiceError::new(
            ErrorKind::UnknownOperation,
            "Served here: GET counters, GET requests, POST script, POST reset.",
        )),
    }
}

fn done() -> Response<Body> {
    json(StatusCode::OK, to_json(&json!({ "done": true })))
}
