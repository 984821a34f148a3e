//! Bedrock Runtime's own shapes: requests, answers, event-stream frames and errors.

pub(crate) mod anthropic;
pub(crate) mod canonical;
pub(crate) mod converse;
pub(crate) mod dialect;
pub mod errors;
pub(crate) mod eventstream;
pub mod request;
