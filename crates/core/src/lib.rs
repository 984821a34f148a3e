//! The domain of BedrockDiy: what a project, a prompt card, an article, a job, a stage and an event
//! are, and every rule about them.
//!
//! **Architecture invariant:** nothing here does I/O, reads a clock or the environment, or draws a
//! random number. Time, ids and randomness come in as arguments, so that a rule can be tested by
//! calling it. What must touch the world is a [port](ports), spoken in these types.

pub mod access;
pub mod article;
pub mod ask;
pub mod bearer;
pub mod card;
pub mod catalogue;
pub mod changes;
pub mod commands;
pub mod cursor;
pub mod delimit;
pub mod error;
pub mod event;
pub mod fault;
pub mod follow;
pub mod history;
pub mod hook;
pub mod ids;
pub mod intake;
pub mod job;
pub mod judge;
pub mod limits;
pub mod memo;
pub mod model;
pub mod page;
pub mod pipeline;
pub mod ports;
pub mod project;
pub mod quota;
pub mod render;
pub mod stage;
pub mod text;
pub mod time;
pub mod webhook;

pub use error::{Class, Code, Failure};
pub use ids::{BatchId, DeliveryId, HookId, JobId, ProjectId, PromptId, SessionId, WebhookId};
