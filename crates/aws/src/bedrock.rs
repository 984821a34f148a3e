//! The port [`Model`] on Bedrock Runtime's `ConverseStream`.

mod answer;
mod call;
mod errors;
mod redact;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_sdk_bedrockruntime::Client;
use bedrock_diy_core::{
    error::{Code, Failure, Result},
    model::{ModelAnswer, ModelRequest},
    ports::{DeltaSink, Model},
};

use self::answer::Answer;

/// Bedrock, or a server that speaks as Bedrock does.
#[derive(Debug, Clone)]
pub struct Bedrock {
    client: Client,
}

impl Bedrock {
    /// An adapter over a client from [`crate::clients::bedrock`].
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    async fn ask(&self, request: &ModelRequest, on_delta: DeltaSink<'_>) -> Result<Answer> {
        let call = call::converse_stream(&self.client, request)?;
        let mut events = call
            .send()
            .await
            .map_err(|error| errors::failure(&error, request))?
            .stream;
        let mut answer = Answer::default();
        // To the very end, not to the last event that matters: an HTTP/1 connection whose body was left
        // unread can't be used again.
        while let Some(event) = events
            .recv()
            .await
            .map_err(|error| errors::failure(&error, request))?
        {
            answer.take(event, on_delta);
        }
        Ok(answer)
    }
}

#[async_trait]
impl Model for Bedrock {
    async fn converse(
        &self,
        request: &ModelRequest,
        deadline: Duration,
        on_delta: DeltaSink<'_>,
    ) -> Result<ModelAnswer> {
        let start = Instant::now();
        match tokio::time::timeout(deadline, self.ask(request, on_delta)).await {
            Ok(answer) => answer?.finish(&request.model, start.elapsed()),
            Err(_) => Err(Failure::new(
                Code::ModelTimeout,
                format!(
                    "{} did not finish its answer within {} s",
                    request.model,
                    deadline.as_secs_f32()
                ),
            )),
        }
    }
}
