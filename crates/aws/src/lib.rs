//! The ports on AWS: each adapter is a file, and speaks the domain's types on its outside.
//!
//! | adapter | port | service |
//! | --- | --- | --- |
//! | [`Bedrock`] | [`Model`](bedrock_diy_core::ports::Model) | Bedrock Runtime, `ConverseStream` |
//!
//! [`clients`] makes the SDK's clients, once for each process; an adapter takes one and adds nothing to
//! its configuration.
//!
//! **Architecture Invariant:** no SDK type crosses a port, and each adapter maps its service's errors to
//! [`Failure`](bedrock_diy_core::error::Failure) in one function. Nobody upstream looks at an SDK error.

pub mod bedrock;
pub mod clients;

pub use bedrock::Bedrock;
