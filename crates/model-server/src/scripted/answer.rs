//! From a reply of a script to the pieces of an answer.

use std::collections::VecDeque;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use tokio::time::{Sleep, sleep};

use crate::model::{Piece, Request, Stop, StopReason, ToolUse, Usage};
use crate::scripted::quota::Reservation;
use crate::scripted::replies::{Content, Failure, Reply, What};
use crate::scripted::template::Template;
use crate::scripted::{ScriptError, estimate_tokens};
use crate::wire::errors::ServiceError;

/// A reply that was checked, its fixed text cut into deltas once and for all.
#[derive(Debug)]
pub(crate) struct CompiledReply {
    reply: Reply,
    content: CompiledContent,
}

#[derive(Debug)]
enum CompiledContent {
    Fixed { deltas: Vec<Arc<str>>, tokens: u32 },
    Template(Template),
    ToolUse { name: String, input: String },
}

impl CompiledReply {
    pub(crate) fn compile(reply: Reply) -> Result<Self, ScriptError> {
        let per_token = Duration::try_from_secs_f64(reply.per_token_ms / 1000.0);
        if per_token.is_err() {
            return Err(ScriptError(format!(
                "{} ms a token is no latency.",
                reply.per_token_ms
            )));
        }
        let fixed = |text: &str| CompiledContent::Fixed {
            deltas: cut(text, reply.chunks),
            tokens: estimate_tokens(text.len()),
        };
        let content = match &reply.content {
            Content::Text(text) => fixed(text),
            Content::Json(value) => fixed(&value.to_string()),
            Content::Template(template) => CompiledContent::Template(Template::parse(template)?),
            Content::ToolUse(call) => CompiledContent::ToolUse {
                name: call.name.clone(),
                input: call.input.to_string(),
            },
        };
        Ok(Self { reply, content })
    }

    /// The answer to a request, `call` being its number.
    pub(crate) fn answer(
        &self,
        request: &Request,
        call: u64,
        reservation: Option<Reservation>,
    ) -> ScriptedAnswer {
        let mut pieces = VecDeque::with_capacity(self.reply.chunks.min(64) + 2);
        let output_tokens = match &self.content {
            CompiledContent::Fixed { deltas, tokens } => {
                pieces.extend(deltas.iter().cloned().map(Piece::Text));
                *tokens
            }
            CompiledContent::Template(template) => {
                let text = template.render(request, call);
                pieces.extend(cut(&text, self.reply.chunks).into_iter().map(Piece::Text));
                estimate_tokens(text.len())
            }
            CompiledContent::ToolUse { name, input } => {
                let id = format!("tooluse_{call:022}");
                pieces.push_back(Piece::ToolUse(ToolUse {
                    id,
                    name: name.clone(),
                    input: input.clone(),
                }));
                estimate_tokens(name.len() + input.len())
            }
        };
        let usage = self.reply.usage.unwrap_or_else(|| Usage {
            input_tokens: estimate_tokens(request.text_bytes()),
            output_tokens,
            ..Usage::default()
        });
        let chunks = u32::try_from(pieces.len()).unwrap_or(u32::MAX).max(1);
        pieces.push_back(Piece::Stop(self.stop(usage)));
        if let Some(fault) = &self.reply.fault {
            let at = fault.after_chunks.min(pieces.len() - 1);
            pieces.insert(at, fault_piece(&fault.what));
        }
        let per_token = Duration::from_secs_f64(self.reply.per_token_ms / 1000.0);
        ScriptedAnswer {
            pieces,
            usage,
            reservation,
            wait: Duration::from_millis(self.reply.first_token_ms),
            between: per_token.saturating_mul(output_tokens) / chunks,
            timer: None,
        }
    }

    fn stop(&self, usage: Usage) -> Stop {
        let usual = match self.content {
            CompiledContent::ToolUse { .. } => StopReason::ToolUse,
            CompiledContent::Fixed { .. } | CompiledContent::Template(_) => StopReason::EndTurn,
        };
        Stop {
            reason: self.reply.stop_reason.unwrap_or(usual),
            sequence: self.reply.stop_sequence.clone(),
            usage,
        }
    }
}

/// The exception that a failure of a script stands for.
pub(crate) fn service_error(failure: &Failure) -> ServiceError {
    match &failure.message {
        Some(message) => ServiceError::new(failure.kind, message.clone()),
        None => failure.kind.into(),
    }
}

fn fault_piece(what: &What) -> Piece {
    match what {
        What::Exception(failure) => Piece::Error(service_error(failure)),
        What::Break(breakage) => Piece::Break(*breakage),
    }
}

/// Cuts a text into `chunks` parts of about the same number of characters; fewer where it is too short.
fn cut(text: &str, chunks: usize) -> Vec<Arc<str>> {
    let chars = text.chars().count();
    let chunks = chunks.clamp(1, chars.max(1));
    let mut parts = Vec::with_capacity(chunks);
    let mut rest = text;
    for n in 0..chunks {
        let length = chars * (n + 1) / chunks - chars * n / chunks;
        let end = rest.char_indices().nth(length).map_or(rest.len(), |(end, _)| end);
        let (part, after) = rest.split_at(end);
        if !part.is_empty() {
            parts.push(Arc::from(part));
        }
        rest = after;
    }
    parts
}

/// A scripted answer on its way. Without latency, all of it is ready at once.
#[derive(Debug)]
pub(crate) struct ScriptedAnswer {
    pieces: VecDeque<Piece>,
    usage: Usage,
    reservation: Option<Reservation>,
    wait: Duration,
    between: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl ScriptedAnswer {
    fn settle(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            reservation.settle(&self.usage);
        }
    }
}

impl Stream for ScriptedAnswer {
    type Item = Piece;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        if !self.wait.is_zero() {
            let wait = self.wait;
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(wait)));
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
            self.wait = Duration::ZERO;
        }
        let piece = self.pieces.pop_front();
        // The next delta takes its time; the end of the answer needs none.
        if matches!(self.pieces.front(), Some(Piece::Text(_))) {
            self.wait = self.between;
        }
        if self.pieces.is_empty() {
            self.settle();
        }
        Poll::Ready(piece)
    }
}

impl Drop for ScriptedAnswer {
    /// An answer that is broken off costs what it would have cost.
    fn drop(&mut self) {
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str, chunks: usize) -> Vec<String> {
        cut(text, chunks).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_text_is_cut_into_the_parts_asked_for_and_nothing_is_lost() {
        assert_eq!(parts("abcdefgh", 4), ["ab", "cd", "ef", "gh"]);
        assert_eq!(parts("Grüße", 3).concat(), "Grüße");
        assert_eq!(parts("Grüße", 3).len(), 3);
        assert_eq!(parts("abc", 8), ["a", "b", "c"]);
        assert_eq!(parts("abc", 0), ["abc"]);
        assert!(parts("", 8).is_empty());
    }
}
