//! The API as pages in a browser and other people's clients see it.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is how a test fails, in its helpers too"
)]

mod following;
mod sockets;
