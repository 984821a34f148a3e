//! Response bodies: whole, or an answer that is framed while it comes.

use std::collections::VecDeque;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use hyper::body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::http::Disconnect;
use crate::model::{Answer, Breakage, Piece, Refusal, Stop, poll_piece};
use crate::observe::CallGuard;
use crate::wire::dialect::{Block, Dialect, Timing};
use crate::wire::errors::{ErrorKind, ServiceError};
use crate::wire::eventstream;

/// So many bytes are gathered at most before they are handed on.
const WRITE_BYTES: usize = 64 * 1024;

/// A response's body.
pub(crate) enum Body {
    Whole(Option<Bytes>),
    Stream(Box<StreamBody>),
}

impl Body {
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Disconnect;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Disconnect>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => stream
                .poll_bytes(cx)
                .map(|next| next.map(|bytes| bytes.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Stream(stream) => matches!(stream.state, State::Ended) && stream.drip.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// An answer on its way to the client. Whatever the model has ready goes out as one write.
pub(crate) struct StreamBody {
    answer: Answer,
    dialect: Box<dyn Dialect>,
    timing: Timing,
    /// Until the outcome is known: it is counted before the client can see it.
    call: Option<CallGuard>,
    state: State,
    open_block: Option<u32>,
    next_block: u32,
    drip: Drip,
}

#[derive(Clone, Copy)]
enum State {
    /// Not even the opening event is out.
    Opening,
    Running,
    /// Close the connection once what is there has been written.
    Cutting {
        flushed: bool,
    },
    Hanging,
    Ended,
}

impl StreamBody {
    pub(crate) fn new(answer: Answer, dialect: Box<dyn Dialect>, timing: Timing, call: CallGuard) -> Self {
        Self {
            answer,
            dialect,
            timing,
            call: Some(call),
            state: State::Opening,
            open_block: None,
            next_block: 0,
            drip: Drip::default(),
        }
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Disconnect>>> {
        loop {
            if let Some(part) = ready!(self.drip.poll_part(cx)) {
                return Poll::Ready(Some(Ok(part)));
            }
            match self.state {
                State::Opening | State::Running => {
                    let mut out = BytesMut::with_capacity(2048);
                    let pending = self.fill(cx, &mut out).is_pending();
                    if !out.is_empty() {
                        match self.drip.pass(out.freeze()) {
                            Some(bytes) => return Poll::Ready(Some(Ok(bytes))),
                            None => continue,
                        }
                    }
                    if pending {
                        return Poll::Pending;
                    }
                }
                // One round of the connection's loop, in which it writes what it was given.
                State::Cutting { flushed: false } => {
                    self.state = State::Cutting { flushed: true };
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                State::Cutting { flushed: true } => return Poll::Ready(Some(Err(Disconnect))),
                State::Hanging => return Poll::Pending,
                State::Ended => return Poll::Ready(None),
            }
        }
    }

    /// Frames pieces for as long as they are ready.
    fn fill(&mut self, cx: &mut Context<'_>, out: &mut BytesMut) -> Poll<()> {
        if matches!(self.state, State::Opening) {
            self.dialect.message_start(out);
            self.state = State::Running;
        }
        while matches!(self.state, State::Running) && out.len() < WRITE_BYTES {
            let Some(piece) = ready!(poll_piece(&mut self.answer, cx)) else {
                self.end("ended_early", State::Ended);
                break;
            };
            self.timing.piece_arrived();
            match piece {
                Piece::Text(text) => {
                    let index = self.text_block(out);
                    self.dialect.text_delta(out, index, &text);
                }
                Piece::ToolUse(tool_use) => {
                    self.close_block(out);
                    let index = self.new_block();
                    self.dialect.tool_use(out, index, &tool_use);
                }
                Piece::Stop(stop) => {
                    self.close_block(out);
                    self.dialect.message_stop(out, &stop, &self.timing);
                    self.end(stop.reason.as_str(), State::Ended);
                }
                Piece::Error(error) => {
                    eventstream::exception(out, &error);
                    self.end(error.kind.stream_code(), State::Ended);
                }
                Piece::Break(breakage) => self.break_with(out, breakage),
            }
        }
        Poll::Ready(())
    }

    fn break_with(&mut self, out: &mut BytesMut, breakage: Breakage) {
        let text_event = self.dialect.text_event();
        match breakage {
            Breakage::Cut => self.end("cut", State::Cutting { flushed: false }),
            Breakage::End => self.end("ended_early", State::Ended),
            Breakage::Hang => self.state = State::Hanging,
            Breakage::UnknownEvent => eventstream::event(out, "somethingNew", &b"{}"[..]),
            Breakage::MalformedEvent => eventstream::event(out, text_event, &br#"{"delta":["#[..]),
            Breakage::Garbage => eventstream::garbage(out),
            Breakage::BadChecksum => eventstream::event_with_bad_checksum(out, text_event, &b"{}"[..]),
            Breakage::Drip { .. } => self.drip.begin(breakage),
        }
    }

    fn end(&mut self, outcome: &'static str, state: State) {
        if let Some(mut call) = self.call.take() {
            call.outcome(outcome);
        }
        self.state = state;
    }

    fn text_block(&mut self, out: &mut BytesMut) -> u32 {
        if let Some(index) = self.open_block {
            return index;
        }
        let index = self.new_block();
        self.dialect.text_start(out, index);
        index
    }

    fn new_block(&mut self) -> u32 {
        let index = self.next_block;
        self.next_block += 1;
        self.open_block = Some(index);
        index
    }

    fn close_block(&mut self, out: &mut BytesMut) {
        if let Some(index) = self.open_block.take() {
            self.dialect.block_stop(out, index);
        }
    }
}

/// Holds bytes back, so that they go out a few at a time. Empty and unused unless a fault asks for it.
#[derive(Default)]
struct Drip {
    rate: Option<(usize, std::time::Duration)>,
    held: VecDeque<Bytes>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Drip {
    fn begin(&mut self, breakage: Breakage) {
        self.rate = breakage.drip();
    }

    fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Gives the bytes back where nothing has to be held.
    fn pass(&mut self, bytes: Bytes) -> Option<Bytes> {
        if self.rate.is_none() {
            return Some(bytes);
        }
        self.held.push_back(bytes);
        None
    }

    /// The next part when its time has come; `None` when nothing is held.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let (Some((size, every)), Some(first)) = (self.rate, self.held.front_mut()) else {
            return Poll::Ready(None);
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(every)));
        ready!(timer.as_mut().poll(cx));
        self.timer = None;
        let part = first.split_to(size.min(first.len()));
        if first.is_empty() {
            self.held.pop_front();
        }
        Poll::Ready(Some(part))
    }
}

/// Gathers an answer that isn't streamed. Faults of a stream become what they would be without one.
pub(crate) async fn collect(mut answer: Answer, timing: &mut Timing) -> Result<(Vec<Block>, Stop), Refusal> {
    let mut blocks = Vec::new();
    loop {
        let piece = poll_fn(|cx| poll_piece(&mut answer, cx)).await;
        timing.piece_arrived();
        match piece {
            Some(Piece::Text(text)) => match blocks.last_mut() {
                Some(Block::Text(all)) => all.push_str(&text),
                _ => blocks.push(Block::Text(text.as_ref().to_owned())),
            },
            Some(Piece::ToolUse(tool_use)) => blocks.push(Block::ToolUse(tool_use)),
            Some(Piece::Stop(stop)) => return Ok((blocks, stop)),
            Some(Piece::Error(error)) => return Err(error.into()),
            Some(Piece::Break(Breakage::Hang)) => std::future::pending().await,
            Some(Piece::Break(Breakage::Cut)) => return Err(Refusal::Disconnect),
            Some(Piece::Break(Breakage::Drip { .. })) => {}
            Some(Piece::Break(_)) | None => return Err(ServiceError::from(ErrorKind::InternalServer).into()),
        }
    }
}
