//! A model that writes what time it is.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use bedrock_diy_model_server::{
    Answer, Model, Piece, Refusal, Request, ServiceError, Stop, StopReason, Usage,
};
use futures_util::stream;

/// When this process first looked at the clock.
fn beginning() -> Instant {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    *BEGINNING.get_or_init(Instant::now)
}

/// Microseconds since then.
pub(crate) fn now() -> u64 {
    u64::try_from(beginning().elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// Writes so many pieces, one after the other.
pub(crate) struct Timed {
    pub(crate) first: Duration,
    pub(crate) pieces: u32,
    pub(crate) between: Duration,
}

impl Model for Timed {
    fn answer(&self, _: Arc<Request>) -> Pin<Box<dyn Future<Output = Result<Answer, Refusal>> + Send + '_>> {
        let (first, between, pieces) = (self.first, self.between, self.pieces);
        Box::pin(async move {
            tokio::time::sleep(first).await;
            let written = stream::unfold(0, move |piece| async move {
                if piece > pieces {
                    return None;
                }
                if piece == pieces {
                    let stop = Stop {
                        reason: StopReason::EndTurn,
                        sequence: None,
                        usage: Usage {
                            input_tokens: 10,
                            output_tokens: pieces,
                            ..Usage::default()
                        },
                    };
                    return Some((Piece::Stop(stop), piece + 1));
                }
                if piece > 0 {
                    tokio::time::sleep(between).await;
                }
                Some((Piece::Text(format!("{} ", now()).into()), piece + 1))
            });
            Ok(Box::pin(written) as Answer)
        })
    }

    fn count_tokens(&self, _: &Request) -> Result<u32, ServiceError> {
        Ok(1)
    }
}
