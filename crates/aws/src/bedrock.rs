//! The port [`Model`] on Bedrock Runtime's `ConverseStream`.

mod answer;
mod call;
mod errors;
mod redact;
mod schema;

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use aws_sdk_bedrockruntime::{
    Client,
    primitives::event_stream::EventReceiver,
    types::{ConverseStreamOutput, error::ConverseStreamOutputError},
};
use bedrock_diy_core::{
    error::{Code, Failure, Result},
    model::{ModelAnswer, ModelRequest},
    ports::{DeltaSink, Model},
};
use parking_lot::Mutex;

use self::answer::Answer;

/// Bedrock, or a server that speaks as Bedrock does.
#[derive(Debug, Clone)]
pub struct Bedrock {
    client: Client,
    refused: Arc<Mutex<Refused>>,
}

/// Output formats that the service refused, by model: what is supported differs by model and Region, and
/// what is too complex nobody can say before. They are not sent again, for each refusal is a request.
type Refused = HashSet<(String, String)>;

/// More refused formats than this, and all are tried anew.
const KEPT: usize = 1_024;

type Events = EventReceiver<ConverseStreamOutput, ConverseStreamOutputError>;

impl Bedrock {
    /// An adapter over a client from [`crate::clients::bedrock`].
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            refused: Arc::default(),
        }
    }

    async fn ask(&self, request: &ModelRequest, on_delta: DeltaSink<'_>) -> Result<Answer> {
        let mut events = self.open(request).await?;
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

    /// Makes the call. One that is refused for its output format is made again without: nothing was
    /// answered and nothing is paid, and the answer is judged the same either way.
    async fn open(&self, request: &ModelRequest) -> Result<Events> {
        let format = self.format(request);
        match (self.send(request, format.as_deref()).await, format) {
            (Err(failure), Some(format)) if errors::is_about_format(&failure) => {
                self.refuse(request, format);
                self.send(request, None).await
            }
            (events, _) => events,
        }
    }

    async fn send(&self, request: &ModelRequest, format: Option<&str>) -> Result<Events> {
        let call = call::converse_stream(&self.client, request, format)?;
        let reply = call.send().await;
        reply
            .map(|reply| reply.stream)
            .map_err(|error| errors::failure(&error, request))
    }

    /// The schema to send as the output format, where there is one that the service may take.
    fn format(&self, request: &ModelRequest) -> Option<String> {
        let schema = request.output_schema.as_ref().filter(|_| request.send_schema)?;
        let format = schema::relaxed(schema)?.to_string();
        let key = (request.model.clone(), format);
        (!self.refused.lock().contains(&key)).then_some(key.1)
    }

    fn refuse(&self, request: &ModelRequest, format: String) {
        let mut refused = self.refused.lock();
        if refused.len() >= KEPT {
            refused.clear();
        }
        refused.insert((request.model.clone(), format));
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
