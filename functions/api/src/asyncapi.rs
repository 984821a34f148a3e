//! The AsyncAPI document: what is said over a connection that stays open.

use bedrock_diy_core::follow::Push;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::socket::messages::{Asked, Cancel, Follow, Reply, Submit, Unfollow};

/// The document, made of the very types that messages are read into and written from (AsyncAPI 3.0.0).
#[must_use]
pub fn asyncapi() -> Value {
    let mut schemas = Map::new();
    let mut messages = Map::new();
    let asked: [(&str, &str, Schema); 5] = [
        (
            "follow",
            "Tell me what happens to a job, batch or project",
            schema::<Follow>(&mut schemas),
        ),
        (
            "unfollow",
            "Tell me no more of it",
            schema::<Unfollow>(&mut schemas),
        ),
        ("submit", "Submit an article", schema::<Submit>(&mut schemas)),
        ("cancel", "Cancel a job", schema::<Cancel>(&mut schemas)),
        ("ping", "Are you there?", Schema(json!({ "type": "object" }))),
    ];
    let asked_names: Vec<_> = asked.iter().map(|(name, ..)| *name).collect();
    let common = schema::<Asked>(&mut schemas);
    for (name, summary, Schema(payload)) in asked {
        let kind = json!({ "type": "object", "properties": { "type": { "const": name } } });
        let payload = json!({ "allOf": [common.0, payload, kind] });
        messages.insert(
            name.to_owned(),
            json!({ "name": name, "summary": summary, "payload": payload }),
        );
    }
    for (name, summary, Schema(payload)) in [
        (
            "reply",
            "What became of a message: each has one",
            schema::<Reply<'_>>(&mut schemas),
        ),
        (
            "events",
            "What happened to a job that you follow, or to one of a batch or project that you follow",
            schema::<Push<'_>>(&mut schemas),
        ),
    ] {
        messages.insert(
            name.to_owned(),
            json!({ "name": name, "summary": summary, "payload": payload }),
        );
    }
    let in_channel = |name: &str| json!({ "$ref": format!("#/channels/socket/messages/{name}") });
    let referred: Map<_, _> = messages
        .keys()
        .map(|name| {
            (
                name.clone(),
                json!({ "$ref": format!("#/components/messages/{name}") }),
            )
        })
        .collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "BedrockDiy, over connections that stay open",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "WebSocket messages are JSON, of 128 KiB at most to the API and 32 KiB at most from it. A frame \
                has 32 KiB at most: send a longer message in several frames. A connection over which more comes is closed \
                with 1009. Show a token as the HTTP API takes it: in the header `Authorization`, or, from a browser, in the \
                parameter `access_token` of the address.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "socket": {
                "address": "/socket",
                "description": "On AWS the address is the stack's output `SocketUrl`.",
                "messages": referred,
                "bindings": {
                    "ws": {
                        "method": "GET",
                        "query": { "type": "object", "properties": { "access_token": { "type": "string" } } },
                    },
                },
            },
        },
        "operations": {
            "ask": {
                "action": "receive",
                "summary": "What the API takes",
                "channel": { "$ref": "#/channels/socket" },
                "messages": asked_names.iter().map(|name| in_channel(name)).collect::<Vec<_>>(),
                "reply": {
                    "channel": { "$ref": "#/channels/socket" },
                    "messages": [in_channel("reply")],
                },
            },
            "tell": {
                "action": "send",
                "summary": "What the API tells whoever follows",
                "channel": { "$ref": "#/channels/socket" },
                "messages": [in_channel("events")],
            },
        },
        "components": { "messages": messages, "schemas": schemas },
    })
}

struct Schema(Value);

/// The schema of a type; those that it refers to are put beside it.
fn schema<T: ToSchema>(schemas: &mut Map<String, Value>) -> Schema {
    let mut referred = Vec::new();
    T::schemas(&mut referred);
    schemas.extend(referred.into_iter().map(|(name, schema)| (name, json!(schema))));
    Schema(json!(T::schema()))
}
