//! What the tests share: the program as a user starts it, a scripted model that it asks, and looks
//! into what it left.
//!
//! | folder | shows |
//! | --- | --- |
//! | `contract/` | what a port MUST do, for every adapter |
//! | `scenario/` | what users are promised, through the program itself |
//! | `api/` | the API of `serve`, as its callers see it |
//! | `stack/` | the same on a deployed stack |
//! | `browser/` | the same, as pages and other people's clients see it |
//! | `faults/` | the same while services fail |
//! | `template/` | what `template.yaml` must say |

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "helpers of tests: a panic is how they fail"
)]

pub mod access;
pub mod clients;
pub mod contract;
pub mod everybody;
pub mod faulty;
pub mod function;
pub mod heard;
pub mod inbox;
pub mod left;
pub mod meter;
pub mod model;
pub mod program;
pub mod project;
pub mod receiver;
pub mod scenario;
pub mod schemathesis;
pub mod served;
pub mod site;
pub mod socket;
pub mod stack;
pub mod users;
pub mod wait;

pub use faulty::Faulty;
pub use function::Function;
pub use heard::Heard;
pub use inbox::Inbox;
pub use left::Left;
pub use meter::Meter;
pub use model::ScriptedServer;
pub use program::{Ended, Program};
pub use project::Project;
pub use receiver::{Nowhere, Posted, Receiver, Reply};
pub use schemathesis::Schemathesis;
pub use served::{Answer, Client, Served};
pub use site::Site;
pub use socket::Socket;
pub use stack::stack;
