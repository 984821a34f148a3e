//! The shells around the handlers of messages: what SQS, the bus's rule and Lambda's event source mappings do on AWS.

mod intake;
mod webhooks;

use std::{panic::AssertUnwindSafe, time::Duration};

use bedrock_diy_core::{Code, Failure, error::Result};
use futures_util::FutureExt;

pub(crate) use self::{intake::IntakeLoop, webhooks::WebhookLoops};

/// How long a received message stays invisible: far longer than handling one takes.
pub(crate) const VISIBILITY_MILLIS: i64 = 60_000;

/// A message that is of no use is received so often before it is buried, as on AWS.
const MAX_RECEIVES: u32 = 5;

/// How often the queues are looked at for what another process sent, or what is due now.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// A panic over one message is that message's failure, as a Lambda that dies is.
async fn guarded<T>(handling: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(handling)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| {
            Err(Failure::new(
                Code::InternalError,
                "its handler panicked over a message; the log says where",
            ))
        })
}
