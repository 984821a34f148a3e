//! Following jobs: who follows what, how much they have had, and what is new to them.
//!
//! What somebody has had of a job is a [`Had`]: the number of the last event, and where an answer is being written, how
//! much of it. It is all that has to be kept between two looks, whoever makes the second one.

mod had;
mod push;
mod so_far;
mod topic;

pub use had::{Had, LivePiece, NeverHad, News, Shown};
pub use push::{Message, Push, pushes, pushes_of_many};
pub use so_far::{jobs_so_far, so_far};
pub use topic::{ConnectionId, Topic};
