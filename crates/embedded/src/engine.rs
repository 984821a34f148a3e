//! The engine: runs `statemachine/article.asl.json` over handlers in this process, as Step Functions
//! runs it over Lambdas.
//!
//! [`definition`] reads the file and refuses what it does not know; [`advance`] decides, without any
//! I/O, what comes after what; [`run`] does it for many executions at once.

pub mod advance;
pub mod definition;
mod paths;
pub mod run;

pub use advance::{TaskError, TaskOutcome};
pub use definition::StateMachine;
pub use run::{Engine, FailedExecution, OnFailed, TaskHandler};
