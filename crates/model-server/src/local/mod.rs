//! SmolLM2-135M-Instruct on this machine's processor: a demo model, with no claim to be a good one.
//!
//! It answers in short, plain sentences to short texts, best below 1,500 tokens, and is wrong often. It needs
//! no account and no network, and shows what an article's way through prompt cards looks like.

mod chat;
mod constrain;
mod fetch;
mod generate;
mod load;
mod narrow;
mod text;
mod threads;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc};

pub use fetch::{FetchError, fetch};
pub use threads::one_thread_a_generation;

use crate::local::chat::Vocabulary;
use crate::local::constrain::Constraints;
use crate::local::generate::Job;
use crate::local::load::Weights;
use crate::model::{Answer, Model, Piece, Refusal, Request};
use crate::wire::errors::{ErrorKind, ServiceError};

/// The only model id that a server with the local model takes.
pub const MODEL_ID: &str = "demo.smollm2-135m-instruct-v1:0";

/// Prompt and answer together have room for so many tokens. The model was trained for 8,192; the
/// implementation keeps positions for half of that, and the model is past its best long before.
pub const CONTEXT_TOKENS: usize = candle_transformers::models::quantized_llama::MAX_SEQ_LEN;

/// The longest answer where the request sets no `maxTokens`, in tokens.
pub const DEFAULT_MAX_TOKENS: u32 = 512;

/// The local model, loaded. Equal requests get equal answers: the seed is made from the request.
pub struct LocalModel {
    inner: Arc<Inner>,
    places: Arc<Semaphore>,
}

struct Inner {
    weights: Weights,
    vocabulary: Vocabulary,
    constraints: Constraints,
}

impl LocalModel {
    /// Loads the model from the GGUF file that [`fetch`] got. Takes a second or two, and 200 MB of memory.
    pub fn load(gguf: &Path) -> Result<Self, LoadError> {
        let failed = |message: String| LoadError {
            file: gguf.display().to_string(),
            message,
        };
        let (weights, vocabulary) = load::load(gguf).map_err(|error| failed(error.to_string()))?;
        let constraints = Constraints::new(&vocabulary).map_err(failed)?;
        let at_once = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let inner = Arc::new(Inner {
            weights,
            vocabulary,
            constraints,
        });
        Ok(Self {
            inner,
            places: Arc::new(Semaphore::new(at_once)),
        })
    }
}

/// Why the local model could not be loaded.
#[derive(Debug, Error)]
#[error(
    "The local model can't be loaded from {file}: {message}. Delete the file, so that it is fetched again, or use \
     a model of Bedrock's."
)]
pub struct LoadError {
    file: String,
    message: String,
}

impl Model for LocalModel {
    fn answer(
        &self,
        request: Arc<Request>,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, Refusal>> + Send + '_>> {
        let (inner, places) = (Arc::clone(&self.inner), Arc::clone(&self.places));
        Box::pin(async move {
            check(&request)?;
            let preparing = Arc::clone(&inner);
            // Tokenising and compiling a schema take milliseconds: too long for a thread that serves others.
            let job =
                off_thread(move || Job::prepare(&request, &preparing.vocabulary, &preparing.constraints))
                    .await??;
            // More generations than cores would only slow each other down, so others wait here.
            let place = places
                .acquire_owned()
                .await
                .map_err(|_| ServiceError::from(ErrorKind::InternalServer))?;
            let (pieces, answer) = mpsc::channel(32);
            tokio::task::spawn_blocking(move || {
                job.run(&inner.weights, &inner.vocabulary, &pieces);
                drop(place);
            });
            Ok(Box::pin(Generated(answer)) as Answer)
        })
    }

    fn count_tokens(&self, request: &Request) -> Result<u32, ServiceError> {
        check(request)?;
        let prompt = self.inner.vocabulary.prompt(request)?;
        Ok(u32::try_from(prompt.len()).unwrap_or(u32::MAX))
    }
}

fn check(request: &Request) -> Result<(), ServiceError> {
    if request.model_id != MODEL_ID {
        return Err(ServiceError::unknown_model());
    }
    match request
        .messages
        .iter()
        .find_map(|message| message.other_blocks.first())
    {
        None => Ok(()),
        Some(block) => Err(ServiceError::validation(format!(
            "This model doesn't support the {block} content block that you provided. Remove the content block and \
             try again."
        ))),
    }
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ServiceError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "a request to the local model could not be prepared");
        ErrorKind::InternalServer.into()
    })
}

/// What a generation sends; dropping it ends the generation at its next token.
struct Generated(mpsc::Receiver<Piece>);

impl Stream for Generated {
    type Item = Piece;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        self.0.poll_recv(cx)
    }
}
