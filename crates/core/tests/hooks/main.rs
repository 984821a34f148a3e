//! Deliveries to hooks, as their senders make them.
//!
//! | file | shows |
//! | --- | --- |
//! | `samples.rs` | what three CMSs really send (`tests/hooks/`) is verified and mapped |
//! | `schemes.rs` | what each scheme takes and refuses, held against others' signatures |
//! | `forgery.rs` | whatever comes: no panic, and nothing forged is taken |

#![expect(
    clippy::unwrap_used,
    reason = "a panic is how a test fails, in its helpers too"
)]

mod forgery;
mod sample;
mod samples;
mod schemes;
mod sender;
