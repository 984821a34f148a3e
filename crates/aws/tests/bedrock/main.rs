//! The Bedrock adapter at the SDK's edge: over real HTTP, against the scripted model server, and against
//! replies that were written byte for byte.

#![expect(clippy::unwrap_used, reason = "what a test's helpers can't do ends the test")]

mod answers;
mod errors;
mod support;
