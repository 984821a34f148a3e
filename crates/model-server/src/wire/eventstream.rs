//! Frames of `application/vnd.amazon.eventstream`.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::{Bytes, BytesMut};

use crate::wire::errors::ServiceError;

/// Appends an event frame.
pub(crate) fn event(out: &mut BytesMut, event_type: &'static str, payload: impl Into<Bytes>) {
    frame(
        out,
        [
            header(":event-type", event_type),
            header(":content-type", "application/json"),
            header(":message-type", "event"),
        ],
        payload.into(),
    );
}

/// Appends an exception frame.
pub(crate) fn exception(out: &mut BytesMut, error: &ServiceError) {
    frame(
        out,
        [
            header(":exception-type", error.kind.stream_code()),
            header(":content-type", "application/json"),
            header(":message-type", "exception"),
        ],
        Bytes::from(error.body()),
    );
}

/// Appends an event frame whose message checksum is wrong.
pub(crate) fn event_with_bad_checksum(
    out: &mut BytesMut,
    event_type: &'static str,
    payload: impl Into<Bytes>,
) {
    event(out, event_type, payload);
    if let Some(last) = out.last_mut() {
        *last ^= 0xff;
    }
}

/// Appends bytes that are no frame: the length that they seem to give has a checksum that doesn't fit.
pub(crate) fn garbage(out: &mut BytesMut) {
    out.extend_from_slice(b"this is no frame of an event stream");
}

fn header(name: &'static str, value: &'static str) -> Header {
    Header::new(name, HeaderValue::String(value.into()))
}

fn frame(out: &mut BytesMut, headers: [Header; 3], payload: Bytes) {
    let message = Message::new_from_parts(Vec::from(headers), payload);
    // It fails for headers or payloads past the format's limits only; ours are far below.
    if let Err(error) = write_message_to(&message, out) {
        tracing::error!(%error, "an event could not be framed");
    }
}
