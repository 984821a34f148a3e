//! `template.yaml` as it is deployed, with the functions as they run on AWS: what users are promised there.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its helpers too"
)]

mod api;
mod articles;
mod calls;
mod client;
mod endings;
mod events;
mod files;
mod rules;
mod sockets;
mod streaming;
mod tables;
mod webhooks;
