//! Every port's contract, for every adapter.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is how a test fails, in its helpers too"
)]

mod aws;
mod sqlite;
