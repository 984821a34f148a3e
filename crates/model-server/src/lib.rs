//! A Bedrock Runtime stand-in over HTTP. The AWS SDK talks to it, unchanged, as to Bedrock.
//!
//! Behind one [`Model`] trait stands either a [`scripted::ScriptedModel`], which answers and fails by
//! rule, or (feature `local-model`) [`local::LocalModel`], a small model that runs on this machine.
//!
//! Served: `Converse`, `ConverseStream`, `InvokeModel` and `InvokeModelWithResponseStream` for Anthropic
//! Messages bodies, and `CountTokens`, all under `POST /model/{modelId}/…`.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use bedrock_diy_model_server::{ErrorKind, ModelServer};
//! use bedrock_diy_model_server::scripted::{Rule, Script, ScriptedModel};
//!
//! let script = Script::default()
//!     .rule(Rule::error(ErrorKind::Throttling).times(2))
//!     .rule(Rule::text("Good morning."));
//! let server = ModelServer::start(ScriptedModel::new(script)?).await?;
//! println!("endpoint: {}", server.url());
//! server.model().set_script(Script::default())?;
//! println!("{} calls", server.counters().calls);
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod body;
mod control;
mod http;
#[cfg(feature = "local-model")]
pub mod local;
mod model;
mod observe;
pub mod scripted;
mod server;
pub mod wire;

pub use model::{
    Answer, Breakage, ContentHash, Inference, Message, Model, Operation, Piece, Refusal, Request, Role, Stop,
    StopReason, ToolUse, Usage,
};
pub use observe::{ContentCalls, Counters, RequestRecord};
pub use server::{KeepRequests, ModelServer, Settings, StartError};
pub use wire::errors::{ErrorKind, ServiceError};
