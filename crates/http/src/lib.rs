//! HTTP to services of others: where they may be, and how they are reached.
//!
//! By `https` anywhere, by `http` on this machine only. No redirects are followed: whatever is sent goes to the
//! address that somebody wrote down, and nowhere else. What goes to an address that a stranger may have written down
//! goes by a [public](Client::public) client, which never leads inward.

mod address;
mod client;
mod connector;
mod guarded;
mod public;

use std::error::Error;

pub use self::{
    address::Address,
    client::{Client, SendError},
    public::is_public,
};

/// An error with what caused it: the outermost says little ("client error").
#[must_use]
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
