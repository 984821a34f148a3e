//! The API of `bedrock-diy serve`, as its callers see it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic is how a test fails, in its helpers too"
)]

mod access;
mod client;
mod document;
mod editing;
mod exporting;
mod following;
mod hooks;
mod schemas;
mod sessions;
mod sockets;
mod submitting;
mod token_in_address;
mod trying;
mod walk;
mod webhooks;
mod webhooks_by_tls;
