//! Answers of Converse and `ConverseStream`.

use bytes::BytesMut;
use serde::Serialize;
use serde_json::{Value, json};

use crate::model::{Stop, ToolUse, Usage};
use crate::wire::dialect::{Block, Dialect, Timing, append_json, to_json};
use crate::wire::eventstream;

const TEXT_EVENT: &str = "contentBlockDelta";

/// The dialect of Converse and `ConverseStream`.
pub(crate) struct Converse;

impl Dialect for Converse {
    fn message_start(&self, out: &mut BytesMut) {
        eventstream::event(out, "messageStart", &br#"{"role":"assistant"}"#[..]);
    }

    fn text_start(&self, _out: &mut BytesMut, _index: u32) {}

    // The bulk of every stream, so written without a tree of values.
    fn text_delta(&self, out: &mut BytesMut, index: u32, text: &str) {
        let mut payload = Vec::with_capacity(text.len() + 64);
        payload.extend_from_slice(br#"{"contentBlockIndex":"#);
        append_json(&mut payload, &index);
        payload.extend_from_slice(br#","delta":{"text":"#);
        append_json(&mut payload, &text);
        payload.extend_from_slice(b"}}");
        eventstream::event(out, TEXT_EVENT, payload);
    }

    fn tool_use(&self, out: &mut BytesMut, index: u32, tool_use: &ToolUse) {
        let start = json!({
            "contentBlockIndex": index,
            "start": { "toolUse": { "toolUseId": tool_use.id, "name": tool_use.name } },
        });
        eventstream::event(out, "contentBlockStart", to_json(&start));
        let delta =
            json!({ "contentBlockIndex": index, "delta": { "toolUse": { "input": tool_use.input } } });
        eventstream::event(out, TEXT_EVENT, to_json(&delta));
    }

    fn block_stop(&self, out: &mut BytesMut, index: u32) {
        eventstream::event(
            out,
            "contentBlockStop",
            to_json(&IndexOnly {
                content_block_index: index,
            }),
        );
    }

    fn message_stop(&self, out: &mut BytesMut, stop: &Stop, timing: &Timing) {
        eventstream::event(out, "messageStop", to_json(&StopEvent::of(stop)));
        let metadata = Metadata {
            usage: WireUsage::of(&stop.usage),
            metrics: Metrics {
                latency_ms: timing.latency_ms(),
            },
        };
        eventstream::event(out, "metadata", to_json(&metadata));
    }

    fn text_event(&self) -> &'static str {
        TEXT_EVENT
    }

    fn whole(&self, blocks: &[Block], stop: &Stop, timing: &Timing) -> Vec<u8> {
        let content: Vec<Value> = blocks
            .iter()
            .map(|block| match block {
                Block::Text(text) => json!({ "text": text }),
                Block::ToolUse(tool_use) => json!({ "toolUse": {
                    "toolUseId": tool_use.id,
                    "name": tool_use.name,
                    "input": serde_json::from_str::<Value>(&tool_use.input).unwrap_or_default(),
                }}),
            })
            .collect();
        to_json(&Whole {
            output: json!({ "message": { "role": "assistant", "content": content } }),
            stop: StopEvent::of(stop),
            usage: WireUsage::of(&stop.usage),
            metrics: Metrics {
                latency_ms: timing.latency_ms(),
            },
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IndexOnly {
    content_block_index: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StopEvent {
    stop_reason: &'static str,
}

impl StopEvent {
    fn of(stop: &Stop) -> Self {
        Self {
            stop_reason: stop.reason.as_str(),
        }
    }
}

#[derive(Serialize)]
struct Metadata {
    usage: WireUsage,
    metrics: Metrics,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    latency_ms: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "these are the names on the wire")]
struct WireUsage {
    input_tokens: u32,
    output_tokens: u32,
    total_tokens: u32,
    cache_read_input_tokens: u32,
    cache_write_input_tokens: u32,
}

impl WireUsage {
    fn of(usage: &Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            total_tokens: usage.total(),
            cache_read_input_tokens: usage.cache_read_input_tokens,
            cache_write_input_tokens: usage.cache_write_input_tokens,
        }
    }
}

#[derive(Serialize)]
struct Whole {
    output: Value,
    #[serde(flatten)]
    stop: StopEvent,
    usage: WireUsage,
    metrics: Metrics,
}
