//! What users are promised, through the program as they start it.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is how a test fails, in its helpers too"
)]

mod bad_inputs;
mod big;
mod card_changes;
mod delivery;
mod exports;
mod files;
mod kills;
mod left_alone;
mod serving;
mod terminal;
mod throttles;
mod webhook_kills;
mod webhooks;
