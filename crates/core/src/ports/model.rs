use std::time::Duration;

use async_trait::async_trait;

use crate::{
    error::Result,
    model::{ModelAnswer, ModelRequest},
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
#[async_trait]
pub trait ModelQuota: Send + Sync {
    /// When a call may be made, or is to be asked for again: `now` where there is no need to wait.
    /// `holder` names the caller (a job's stage): asking again MUST find it at its earlier place in the
    /// line.
    async fn reserve(&self, model: &str, tokens: u64, holder: &str, now: Timestamp) -> Result<Timestamp>;

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
