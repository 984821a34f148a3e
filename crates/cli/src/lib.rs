//! `bedrock-diy`, the program: articles through ordered prompt cards, on one machine, and as the client of an API
//! elsewhere.
//!
//! [`machine`] is the composition root: it opens a data folder and puts adapters and handlers
//! together. [`commands`] holds one file a command; [`project_files`] reads projects from folders,
//! [`inputs`] articles from disk, [`results`] writes what came out.

mod api;
pub mod arguments;
pub mod commands;
pub mod exit;
mod folders;
mod following;
pub mod inputs;
pub mod machine;
pub mod models;
mod progress;
pub mod project_files;
pub mod push;
mod queues;
mod remote;
pub mod results;
mod sockets;
mod terminal;
mod text;
