use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bedrock_diy_core::{
    Code, Failure,
    error::Result,
    model::{ModelAnswer, ModelRequest},
    ports::{DeltaSink, Model},
};
use tokio::sync::Semaphore;

/// A model that at most so many ask at once. Waiting for one's turn does not count towards the
/// deadline.
pub struct ConcurrencyLimit {
    model: Arc<dyn Model>,
    turns: Semaphore,
}

impl ConcurrencyLimit {
    /// Limits a model to `at_once` calls in flight (at least one).
    #[must_use]
    pub fn new(model: Arc<dyn Model>, at_once: usize) -> Self {
        Self {
            model,
            turns: Semaphore::new(at_once.max(1)),
        }
    }
}

#[async_trait]
impl Model for ConcurrencyLimit {
    async fn converse(
        &self,
        request: &ModelRequest,
        deadline: Duration,
        on_delta: DeltaSink<'_>,
    ) -> Result<ModelAnswer> {
        let _turn = self
            .turns
            .acquire()
            .await
            .map_err(|_| Failure::new(Code::InternalError, "the model's turns were closed"))?;
        self.model.converse(request, deadline, on_delta).await
    }
}
