//! Ports: what the handlers need of the world, in the domain's terms.
//!
//! Each port states what an adapter MUST do. What storage, queues, the bus and quota MUST do is one contract suite, run
//! against every adapter.
//! No type of an SDK or a database crosses a port; what can go wrong is a [`Failure`], mapped once in
//! the adapter.
//!
//! [`Failure`]: crate::Failure

mod clock;
mod downloads;
mod follows;
mod history;
mod hooks;
mod identity;
mod jobs;
mod memo;
mod messaging;
mod model;
mod objects;
mod projects;
mod uploads;
mod watches;
mod webhooks;

pub use clock::Clock;
pub use downloads::{Download, Downloads};
pub use follows::{Connections, Following, Follows};
pub use history::History;
pub use hooks::{Hooks, SecretName, Secrets};
pub use identity::Identity;
pub use jobs::{Accepted, Applied, JobFilter, JobIndex, Jobs};
pub use memo::Memo;
pub use messaging::{Bus, Executions, Queue, Redelivery};
pub use model::{DeltaSink, Model, ModelQuota};
pub use objects::Objects;
pub use projects::{Projects, Saved};
pub use uploads::{UploadTicket, Uploads};
pub use watches::{Followers, Watch, Watches};
pub use webhooks::{Deliveries, DeliveryQueue, DeliveryRetries, Sender, Sent, Webhooks};
