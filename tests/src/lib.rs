//! What the tests share: the program as a user starts it, a scripted model that it asks, and looks
//! into what it left.
//!
//! | folder | shows |
//! | --- | --- |
//! | `contract/` | what a port MUST do, for every adapter |
//! | `scenario/` | what users are promised, through the program itself |

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "helpers of tests: a panic is how they fail"
)]

pub mod contract;
pub mod left;
pub mod model;
pub mod program;
pub mod project;
pub mod stack;

pub use left::Left;
pub use model::ScriptedServer;
pub use program::{Ended, Program};
pub use project::Project;
pub use stack::stack;
