//! One answer, token by token.

use std::sync::Arc;

use candle_core::{Device, Result, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling};
use candle_transformers::models::quantized_llama::ModelWeights;
use tokio::sync::mpsc::Sender;

use crate::local::chat::Vocabulary;
use crate::local::constrain::{Constraint, Constraints};
use crate::local::load::Weights;
use crate::local::text::{Out, TextOut};
use crate::local::{CONTEXT_TOKENS, DEFAULT_MAX_TOKENS};
use crate::model::{Piece, Request, Stop, StopReason, Usage};
use crate::wire::errors::{ErrorKind, ServiceError};

/// Where the request sets no temperature and no topP: the values that the model's authors recommend.
const TEMPERATURE: f32 = 0.2;
const TOP_P: f32 = 0.9;

/// A token that was used lately is less likely by this factor. Without it, the model repeats itself for ever.
const REPETITION_PENALTY: f32 = 1.1;

/// What "lately" means, in tokens.
const REPETITION_WINDOW: usize = 64;

/// An answer that says this many tokens of its own again, one after the other, goes round in a circle that a
/// model of this size does not leave: its turn ends there. A sentence has fewer.
const CIRCLE: usize = 32;

/// So many tokens of a prompt are read at once: it bounds the memory that attention takes, and how long it
/// takes to notice that the client has gone.
const PROMPT_CHUNK: usize = 256;

/// Everything that an answer depends on.
pub(crate) struct Job {
    prompt: Vec<u32>,
    constraint: Option<Constraint>,
    sampling: Sampling,
    seed: u64,
    max_tokens: u32,
    stops: Vec<String>,
}

impl Job {
    pub(crate) fn prepare(
        request: &Request,
        vocabulary: &Vocabulary,
        constraints: &Constraints,
    ) -> std::result::Result<Self, ServiceError> {
        let inference = &request.inference;
        Ok(Self {
            prompt: vocabulary.prompt(request)?,
            constraint: request
                .json_schema
                .as_ref()
                .map(|schema| constraints.for_schema(schema))
                .transpose()?,
            sampling: sampling(inference.temperature, inference.top_p),
            seed: request.content_hash().seed(),
            max_tokens: inference.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS),
            stops: inference.stop_sequences.clone(),
        })
    }

    /// Generates until the answer ends, or its client has gone.
    pub(crate) fn run(self, weights: &Weights, vocabulary: &Vocabulary, pieces: &Sender<Piece>) {
        let mut run = Run {
            model: weights.fresh(),
            sampler: LogitsProcessor::from_sampling(self.seed, self.sampling),
            constraint: self.constraint,
            out: TextOut::new(&self.stops),
            prompt_tokens: self.prompt.len(),
            tokens: self.prompt,
            read: 0,
            max_tokens: self.max_tokens as usize,
            vocabulary,
            pieces,
        };
        let last = match run.generate() {
            Ok(End::Stop(reason, sequence)) => Piece::Stop(run.stop(reason, sequence)),
            Ok(End::Abandoned) => return,
            Err(Failed::Model(error)) => {
                tracing::error!(%error, "the local model failed");
                Piece::Error(ErrorKind::ModelError.into())
            }
            Err(Failed::Service(error)) => Piece::Error(error),
        };
        // Nobody is left to be told where this fails.
        let _ = pieces.blocking_send(last);
    }
}

fn sampling(temperature: Option<f32>, top_p: Option<f32>) -> Sampling {
    let temperature = f64::from(temperature.unwrap_or(TEMPERATURE));
    if temperature <= 0.0 {
        return Sampling::ArgMax;
    }
    match top_p.unwrap_or(TOP_P) {
        p if p >= 1.0 => Sampling::All { temperature },
        p => Sampling::TopP {
            p: f64::from(p),
            temperature,
        },
    }
}

struct Run<'a> {
    model: ModelWeights,
    sampler: LogitsProcessor,
    constraint: Option<Constraint>,
    out: TextOut,
    /// Prompt and answer.
    tokens: Vec<u32>,
    prompt_tokens: usize,
    /// So many of the tokens the model has read.
    read: usize,
    max_tokens: usize,
    vocabulary: &'a Vocabulary,
    pieces: &'a Sender<Piece>,
}

enum End {
    Stop(StopReason, Option<String>),
    Abandoned,
}

enum Failed {
    Model(candle_core::Error),
    Service(ServiceError),
}

impl From<candle_core::Error> for Failed {
    fn from(error: candle_core::Error) -> Self {
        Self::Model(error)
    }
}

impl From<ServiceError> for Failed {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

impl Run<'_> {
    fn generate(&mut self) -> std::result::Result<End, Failed> {
        loop {
            let forced = self
                .constraint
                .as_mut()
                .map(Constraint::forced)
                .unwrap_or_default();
            if !forced.is_empty() {
                for token in forced {
                    if let Some(end) = self.emit(token) {
                        return Ok(end);
                    }
                }
                continue;
            }
            if self.constraint.as_ref().is_some_and(Constraint::is_complete) {
                return Ok(self.finish(StopReason::EndTurn));
            }
            if let Some(reason) = self.is_full() {
                return Ok(self.finish(reason));
            }
            let Some(logits) = self.read()? else {
                return Ok(End::Abandoned);
            };
            let token = self.choose(logits)?;
            if token == self.vocabulary.turn_end() {
                return Ok(self.finish(StopReason::EndTurn));
            }
            if let Some(constraint) = &mut self.constraint {
                constraint.accept(token)?;
            }
            if let Some(end) = self.emit(token) {
                return Ok(end);
            }
            // What a schema asks for has its own end, and may say things twice.
            if self.constraint.is_none() && goes_in_circles(&self.tokens[self.prompt_tokens..]) {
                return Ok(self.finish(StopReason::EndTurn));
            }
        }
    }

    /// Why no further token may follow, if so.
    fn is_full(&self) -> Option<StopReason> {
        if self.generated() >= self.max_tokens {
            Some(StopReason::MaxTokens)
        } else if self.tokens.len() >= CONTEXT_TOKENS {
            Some(StopReason::ModelContextWindowExceeded)
        } else {
            None
        }
    }

    fn generated(&self) -> usize {
        self.tokens.len() - self.prompt_tokens
    }

    /// Lets the model read what it has not read yet, and gives the next token's logits; nothing if the
    /// client has gone.
    fn read(&mut self) -> Result<Option<Vec<f32>>> {
        let mut logits = None;
        while self.read < self.tokens.len() {
            if self.pieces.is_closed() {
                return Ok(None);
            }
            let end = self.tokens.len().min(self.read + PROMPT_CHUNK);
            let input = Tensor::new(&self.tokens[self.read..end], &Device::Cpu)?.unsqueeze(0)?;
            logits = Some(self.model.forward(&input, self.read)?);
            self.read = end;
        }
        logits.map(|logits| logits.squeeze(0)?.to_vec1()).transpose()
    }

    fn choose(&mut self, mut logits: Vec<f32>) -> std::result::Result<u32, Failed> {
        let lately = self
            .prompt_tokens
            .max(self.tokens.len().saturating_sub(REPETITION_WINDOW));
        let mut recent = self.tokens[lately..].to_vec();
        recent.sort_unstable();
        recent.dedup();
        for token in recent {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit = if *logit > 0.0 {
                    *logit / REPETITION_PENALTY
                } else {
                    *logit * REPETITION_PENALTY
                };
            }
        }
        if let Some(constraint) = &mut self.constraint {
            let allowed = constraint.allowed()?;
            for (token, logit) in (0_u32..).zip(&mut logits) {
                if !allowed.is_allowed(token) {
                    *logit = f32::NEG_INFINITY;
                }
            }
        }
        let size = logits.len();
        Ok(self
            .sampler
            .sample(&Tensor::from_vec(logits, size, &Device::Cpu)?)?)
    }

    /// Adds a token to the answer and sends its text; gives the end where there is one.
    fn emit(&mut self, token: u32) -> Option<End> {
        // Forced tokens come several at a time, and count like others.
        if let Some(reason) = self.is_full() {
            return Some(self.finish(reason));
        }
        self.tokens.push(token);
        match self.out.push(self.vocabulary.bytes_of(token)) {
            Out::Text(text) => (!self.send(text)).then_some(End::Abandoned),
            Out::Stopped(text, sequence) => {
                self.send(text);
                Some(End::Stop(StopReason::StopSequence, Some(sequence)))
            }
        }
    }

    fn finish(&mut self, reason: StopReason) -> End {
        let rest = self.out.finish();
        self.send(rest);
        End::Stop(reason, None)
    }

    /// Whether the client is still there.
    fn send(&self, text: String) -> bool {
        text.is_empty() || self.pieces.blocking_send(Piece::Text(Arc::from(text))).is_ok()
    }

    fn stop(&self, reason: StopReason, sequence: Option<String>) -> Stop {
        let tokens = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let usage = Usage {
            input_tokens: tokens(self.prompt_tokens),
            output_tokens: tokens(self.generated()),
            ..Usage::default()
        };
        Stop {
            reason,
            sequence,
            usage,
        }
    }
}

/// Whether the last [`CIRCLE`] tokens stand further up in the answer, too.
fn goes_in_circles(answer: &[u32]) -> bool {
    let Some(start) = answer.len().checked_sub(CIRCLE) else {
        return false;
    };
    let (earlier, last) = (&answer[..answer.len() - 1], &answer[start..]);
    earlier.windows(CIRCLE).any(|tokens| tokens == last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_goes_in_circles_once_it_has_said_enough_of_itself_again() {
        let verse: Vec<u32> = (0..50).collect();
        let circles = |answer: &[u32]| goes_in_circles(answer);
        assert!(!circles(&[]));
        assert!(!circles(&verse));
        let again = [&verse[..], &[99], &verse[5..]].concat();
        assert!(!circles(&again[..51 + CIRCLE - 1]));
        assert!(circles(&again[..51 + CIRCLE]));
        assert!(circles(&[7; CIRCLE + 1]), "one token for ever");
        assert!(!circles(&[7; CIRCLE]));
    }
}
