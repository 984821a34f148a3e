mod turns;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bedrock_diy_core::{
    Code, Failure,
    error::Result,
    limits,
    model::{ModelAnswer, ModelRequest},
    ports::{DeltaSink, Model},
};

pub use self::turns::Turns;

/// A model that at most so many ask at once, together with those who ask other models of the same turns.
/// Waiting for one's turn does not count towards the deadline, but is over when the call could not end any
/// more within the time that a stage may take.
pub struct ConcurrencyLimit {
    model: Arc<dyn Model>,
    turns: Arc<Turns>,
    line: usize,
}

const STAGE: Duration = Duration::from_secs(limits::STAGE_SECONDS as u64);

impl ConcurrencyLimit {
    /// Limits a model to these turns, for which it stands in a line of its own.
    #[must_use]
    pub fn new(model: Arc<dyn Model>, turns: Arc<Turns>) -> Self {
        let line = turns.line();
        Self { model, turns, line }
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
        let patience = STAGE.saturating_sub(deadline);
        let _turn = tokio::time::timeout(patience, self.turns.take(self.line))
            .await
            .map_err(|_| {
                Failure::new(
                    Code::ModelThrottled,
                    format!(
                        "{} calls at once were too few: none ended within {} seconds",
                        self.turns.at_once(),
                        patience.as_secs()
                    ),
                )
            })?
            .ok_or_else(|| {
                Failure::new(
                    Code::ModelUnavailable,
                    "no call is begun any more: this is being stopped",
                )
            })?;
        self.model.converse(request, deadline, on_delta).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model that never answers.
    struct Silent;

    #[async_trait]
    impl Model for Silent {
        async fn converse(&self, _: &ModelRequest, _: Duration, _: DeltaSink<'_>) -> Result<ModelAnswer> {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_turn_is_told_in_time_that_there_is_none() {
        let limited = Arc::new(ConcurrencyLimit::new(Arc::new(Silent), Arc::new(Turns::new(1))));
        let request = ModelRequest {
            model: "m".into(),
            parameters: bedrock_diy_core::project::InferenceParameters::default(),
            system: String::new(),
            messages: Vec::new(),
            guardrail: None,
            output_schema: None,
            send_schema: false,
        };
        let deadline = Duration::from_mins(2);
        let started = tokio::time::Instant::now();
        let (mut heard, mut also_heard) = (|_: &str| {}, |_: &str| {});
        let failure = tokio::select! {
            biased;
            _ = limited.converse(&request, deadline, &mut heard) => panic!("a silent model answered"),
            second = limited.converse(&request, deadline, &mut also_heard) => second.unwrap_err(),
        };
        assert_eq!(failure.code, Code::ModelThrottled);
        assert_eq!(started.elapsed() + deadline, STAGE);
    }
}
