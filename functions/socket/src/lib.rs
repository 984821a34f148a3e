//! Socket: answers what is said over API Gateway's WebSocket connections.

use std::sync::Arc;

use bedrock_diy_api::Socket;
use bedrock_diy_core::{
    Code, Failure,
    access::{Caller, Role},
    error::Result,
    follow::ConnectionId,
    ports::Connections,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// What socket needs.
pub struct Gateway {
    /// Answers messages.
    pub socket: Socket,
    /// The connections.
    pub connections: Arc<dyn Connections>,
}

/// What happened on a connection (Amazon API Gateway Developer Guide, "Set up a WebSocket API integration request",
/// 2026-11).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Happened {
    request_context: Context,
    #[serde(default)]
    body: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    event_type: What,
    connection_id: String,
    /// What the function `authorize` said of who opened it.
    #[serde(default)]
    authorizer: Option<Authorizer>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum What {
    Connect,
    Message,
    Disconnect,
}

#[derive(Debug, Deserialize)]
struct Authorizer {
    subject: String,
    name: String,
    role: Role,
}

impl Gateway {
    /// Does what a message asks for, and replies over the connection; forgets one that is gone.
    pub async fn handle(&self, happened: Happened) -> Result<Value> {
        let connection = ConnectionId::new(happened.request_context.connection_id);
        match happened.request_context.event_type {
            // Who it is was looked at before: see the function `authorize`.
            What::Connect => {}
            What::Message => {
                let caller = caller(happened.request_context.authorizer)?;
                let message = happened.body.unwrap_or_default();
                let reply = self.socket.take(&connection, &caller, &message).await;
                self.connections.send(&connection, &reply).await?;
            }
            What::Disconnect => self.connections.forget(&connection).await?,
        }
        Ok(json!({ "statusCode": 200 }))
    }
}

/// Whose connection it is. Fails where nobody looked at that: a template in which the authorizer is missing must not let
/// everybody in.
fn caller(authorizer: Option<Authorizer>) -> Result<Caller> {
    let authorizer = authorizer.ok_or_else(|| {
        Failure::new(
            Code::InternalError,
            "a message came over a connection that nobody was asked about: the route `$connect` has no authorizer",
        )
    })?;
    Ok(Caller {
        subject: authorizer.subject,
        name: authorizer.name,
        role: authorizer.role,
    })
}
