//! An answer that is put together from `ConverseStream`'s events.

use std::time::Duration;

use aws_sdk_bedrockruntime::types::{
    ContentBlockDelta, ConverseStreamOutput, StopReason as Said, TokenUsage,
};
use bedrock_diy_core::{
    error::{Code, Failure, Result},
    model::{ModelAnswer, StopReason, Usage},
    ports::DeltaSink,
};

/// What has arrived so far.
#[derive(Debug, Default)]
pub(super) struct Answer {
    text: String,
    stop_reason: Option<StopReason>,
    usage: Option<Usage>,
}

impl Answer {
    /// Takes the next event. Reasoning is no part of an answer; blocks that aren't text don't occur,
    /// because no call offers tools or asks for pictures.
    pub(super) fn take(&mut self, event: ConverseStreamOutput, on_delta: DeltaSink<'_>) {
        match event {
            ConverseStreamOutput::ContentBlockDelta(event) => {
                if let Some(ContentBlockDelta::Text(text)) = event.delta {
                    on_delta(&text);
                    self.text.push_str(&text);
                }
            }
            ConverseStreamOutput::MessageStop(event) => self.stop_reason = stop_reason(&event.stop_reason),
            ConverseStreamOutput::Metadata(event) => self.usage = event.usage.as_ref().and_then(usage),
            _ => {}
        }
    }

    /// The whole answer. Fails with [`Code::ModelUnavailable`] where a stop reason or a usage is
    /// missing: half an answer is none.
    pub(super) fn finish(self, model: &str, latency: Duration) -> Result<ModelAnswer> {
        // What a guardrail keeps from the model uses no tokens.
        let usage = match self.stop_reason {
            Some(StopReason::GuardrailIntervened) => self.usage.or(Some(Usage::default())),
            _ => self.usage,
        };
        match (self.stop_reason, usage) {
            (Some(stop_reason), Some(usage)) => Ok(ModelAnswer {
                text: self.text,
                stop_reason,
                usage,
                latency,
            }),
            (stop_reason, _) => {
                let missing = if stop_reason.is_none() {
                    "stop reason"
                } else {
                    "usage"
                };
                Err(Failure::new(
                    Code::ModelUnavailable,
                    format!("the answer of {model} ended without a {missing}"),
                ))
            }
        }
    }
}

/// What the SDK makes of a required text that is missing in a reply.
const MISSING: &str = "no value was set";

fn stop_reason(said: &Said) -> Option<StopReason> {
    Some(match said {
        Said::EndTurn => StopReason::EndTurn,
        Said::StopSequence => StopReason::StopSequence,
        Said::MaxTokens | Said::ModelContextWindowExceeded => StopReason::MaxTokens,
        Said::GuardrailIntervened => StopReason::GuardrailIntervened,
        Said::ContentFiltered => StopReason::ContentFiltered,
        other => match other.as_str() {
            MISSING => return None,
            // What the classifiers of the Claude 5 models say; the SDK has no name for it.
            "refusal" => StopReason::ContentFiltered,
            other => StopReason::Other(other.to_owned()),
        },
    })
}

/// No model reads nothing: a usage of no tokens is what the SDK makes of one that is missing.
fn usage(said: &TokenUsage) -> Option<Usage> {
    let count = |tokens: i32| u64::try_from(tokens).unwrap_or(0);
    let usage = Usage {
        input_tokens: count(said.input_tokens),
        output_tokens: count(said.output_tokens),
        cache_read_tokens: count(said.cache_read_input_tokens.unwrap_or(0)),
        cache_write_tokens: count(said.cache_write_input_tokens.unwrap_or(0)),
    };
    (usage.total() > 0).then_some(usage)
}
