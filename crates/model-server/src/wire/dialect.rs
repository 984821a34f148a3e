//! What an answer looks like on the wire: as Converse tells it, or as Anthropic's Messages do.

use std::time::Instant;

use bytes::BytesMut;
use serde::Serialize;

use crate::model::{Stop, ToolUse};

/// One way to write answers, as a stream of events and as a whole.
pub(crate) trait Dialect: Send {
    /// The event that opens a streamed answer.
    fn message_start(&self, out: &mut BytesMut);
    /// The event that opens a text block; Converse has none.
    fn text_start(&self, out: &mut BytesMut, index: u32);
    /// More text of a text block.
    fn text_delta(&self, out: &mut BytesMut, index: u32, text: &str);
    /// The events of a whole tool use block, without its end.
    fn tool_use(&self, out: &mut BytesMut, index: u32, tool_use: &ToolUse);
    /// The end of a block.
    fn block_stop(&self, out: &mut BytesMut, index: u32);
    /// The events that close a streamed answer.
    fn message_stop(&self, out: &mut BytesMut, stop: &Stop, timing: &Timing);
    /// The event type that carries text: faults imitate it.
    fn text_event(&self) -> &'static str;
    /// The body of an answer that isn't streamed.
    fn whole(&self, blocks: &[Block], stop: &Stop, timing: &Timing) -> Vec<u8>;
}

/// A content block of an answer that isn't streamed.
#[derive(Debug)]
pub(crate) enum Block {
    Text(String),
    ToolUse(ToolUse),
}

/// When things happened, for the answer's metrics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    started: Instant,
    first_piece: Option<Instant>,
}

impl Timing {
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            first_piece: None,
        }
    }

    pub(crate) fn piece_arrived(&mut self) {
        self.first_piece.get_or_insert_with(Instant::now);
    }

    pub(crate) fn latency_ms(&self) -> u64 {
        millis(self.started.elapsed())
    }

    pub(crate) fn first_byte_ms(&self) -> u64 {
        self.first_piece
            .map_or(0, |at| millis(at.duration_since(self.started)))
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// JSON of a value that has no way to fail to be written: strings, numbers and plain structs of them.
pub(crate) fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    append_json(&mut out, value);
    out
}

/// Like [`to_json`], behind what is there already.
pub(crate) fn append_json(out: &mut Vec<u8>, value: &impl Serialize) {
    if let Err(error) = serde_json::to_writer(out, value) {
        tracing::error!(%error, "an answer could not be written as JSON");
    }
}
