//! HTTP to services of others: where they may be, and how they are reached.
//!
//! By `https` anywhere, by `http` on this machine only. No redirects are followed: whatever is sent goes to the
//! address that somebody wrote down, and nowhere else.

mod address;
mod client;
mod connector;

use std::error::Error;

pub use self::{
    address::Address,
    client::{Client, SendError},
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
