use std::time::Duration;

use async_trait::async_trait;

use crate::{
    error::Result,
    model::{ModelAnswer, ModelRequest},
    quota::Place,
    time::Timestamp,
};

/// Takes pieces of an answer while they arrive.
pub type DeltaSink<'a> = &'a mut (dyn FnMut(&str) + Send);

/// A model service: Bedrock, or something that speaks as Bedrock does.
#[async_trait]
pub trait Model: Send + Sync {
    /// Asks a model and reads its answer to the end.
    ///
    /// MUST fail with `ModelTimeout` when `deadline` has passed, whatever the service does. MUST fail
    /// with `ModelUnavailable` when the answer ends without a stop reason or a usage: half an answer
    /// is none. MUST NOT retry: whoever calls decides about paying again. MUST call `on_delta` with
    /// every piece of text, in order.
    async fn converse(
        &self,
        request: &ModelRequest,
        deadline: Duration,
        on_delta: DeltaSink<'_>,
    ) -> Result<ModelAnswer>;
}

/// Model quota, shared by all callers of a model: a line, see [`crate::quota`].
///
/// `holder` names the caller (a job's stage). Whoever has reserved ends with one of the other three.
#[async_trait]
pub trait ModelQuota: Send + Sync {
    /// When a call may be made, or is to be asked for again: `now` where there is no need to wait.
    ///
    /// A holder that asks for the first time joins the line at `place`; who asks again MUST be found at its
    /// earlier place. MUST free the place of a holder that has not come back for long, by itself: its job
    /// may have been cancelled.
    async fn reserve(
        &self,
        model: &str,
        tokens: u64,
        holder: &str,
        place: Place,
        now: Timestamp,
    ) -> Result<Timestamp>;

    /// The holder will not call. Its place MUST be waited for by nobody; MUST do nothing where it has none.
    async fn leave(&self, model: &str, holder: &str, now: Timestamp) -> Result<()>;

    /// The holder's call ended, well or badly, but not by a throttle; its place is used up.
    async fn answered(&self, model: &str, holder: &str, now: Timestamp) -> Result<()>;

    /// The holder's call was throttled. It keeps its place.
    async fn throttled(
        &self,
        model: &str,
        holder: &str,
        now: Timestamp,
        retry_after_seconds: Option<u32>,
    ) -> Result<()>;
}
