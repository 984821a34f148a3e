//! A connection that stays open, as a client has it.

use std::{collections::VecDeque, net::TcpStream, sync::LazyLock};

use jsonschema::Validator;
use serde_json::{Value, json};
use tungstenite::{
    Error, Message, WebSocket,
    client::{ClientRequestBuilder, IntoClientRequest},
    http::Uri,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
    stream::MaybeTlsStream,
};

use crate::{Heard, wait::PATIENCE};

/// A connection.
pub struct Socket {
    stream: WebSocket<MaybeTlsStream<TcpStream>>,
    /// What was pushed while a reply was waited for.
    kept: VecDeque<Value>,
    asked: u32,
}

impl Socket {
    /// Opens one, showing this token in the header.
    #[must_use]
    pub fn open(at: &str, token: Option<&str>) -> Self {
        Self::try_open(at, token).unwrap_or_else(|error| panic!("{at}: {error}"))
    }

    /// Tries to open one.
    pub fn try_open(at: &str, token: Option<&str>) -> Result<Self, Error> {
        let uri: Uri = at.parse().expect("an address");
        let mut request = ClientRequestBuilder::new(uri);
        if let Some(token) = token {
            request = request.with_header("Authorization", format!("Bearer {token}"));
        }
        let (stream, _) = tungstenite::connect(request.into_client_request()?)?;
        if let MaybeTlsStream::Plain(plain) = stream.get_ref() {
            plain.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        }
        Ok(Self {
            stream,
            kept: VecDeque::new(),
            asked: 0,
        })
    }

    /// Sends a message: its reply. What is pushed meanwhile is kept.
    pub fn ask(&mut self, mut message: Value) -> Value {
        self.asked += 1;
        let id = format!("r{}", self.asked);
        message["requestId"] = json!(id);
        self.send(&message.to_string());
        loop {
            let said = self.read();
            if said["requestId"] == id {
                return said;
            }
            self.kept.push_back(said);
        }
    }

    /// Sends text as it is.
    pub fn send(&mut self, text: &str) {
        self.stream.send(Message::text(text)).expect("it is taken");
    }

    /// Sends text in frames of so many bytes. Returns false where the other side takes no more.
    pub fn send_in_frames(&mut self, text: &str, bytes: usize) -> bool {
        let mut frames = text.as_bytes().chunks(bytes).peekable();
        let mut kind = Data::Text;
        while let Some(frame) = frames.next() {
            let is_last = frames.peek().is_none();
            let frame = Frame::message(frame.to_vec(), OpCode::Data(kind), is_last);
            if self.stream.send(Message::Frame(frame)).is_err() {
                return false;
            }
            kind = Data::Continue;
        }
        true
    }

    /// What is pushed next.
    pub fn pushed(&mut self) -> Value {
        self.kept.pop_front().unwrap_or_else(|| self.read())
    }

    /// How many messages were pushed and not looked at.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Hears so many messages about the job that is followed, or all up to its end.
    pub fn hear(&mut self, heard: &mut Heard, messages: usize) {
        for _ in 0..messages {
            if heard.has_ended() {
                return;
            }
            let message = self.pushed();
            assert_eq!(message["type"], "events", "{message}");
            for event in message["items"].as_array().expect("events") {
                heard.hear(event.clone());
            }
            message["position"]
                .as_str()
                .expect("a position")
                .clone_into(&mut heard.last);
        }
    }

    /// Hears all about the one job, up to its end, of a batch or project that is followed.
    pub fn hear_of_many(&mut self, heard: &mut Heard) {
        while !heard.has_ended() {
            for event in self.pushed_of_many() {
                heard.hear(event);
            }
        }
    }

    /// The events that are pushed next, about a job of a batch or project that is followed.
    pub fn pushed_of_many(&mut self) -> Vec<Value> {
        let message = self.pushed();
        assert_eq!(message["type"], "events", "{message}");
        assert_eq!(message.get("position"), None, "no order, no position: {message}");
        message["items"].as_array().expect("events").clone()
    }

    /// Reads until the other side closes it: the code that it says.
    pub fn closed(&mut self) -> Option<u16> {
        loop {
            match self.stream.read() {
                Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    fn read(&mut self) -> Value {
        loop {
            let message = self.stream.read().expect("a message");
            if let Message::Text(text) = message {
                assert!(text.len() <= 32 * 1_024, "a frame of {} bytes", text.len());
                let message = serde_json::from_str(&text).expect("JSON");
                is_documented(&message);
                return message;
            }
        }
    }
}

/// A message must be what the AsyncAPI document says of its kind.
fn is_documented(message: &Value) {
    static KINDS: LazyLock<[Validator; 2]> = LazyLock::new(|| {
        let document = bedrock_diy_api::asyncapi();
        ["events", "reply"].map(|kind| {
            let mut schema = document["components"]["messages"][kind]["payload"].clone();
            schema["components"] = document["components"].clone();
            jsonschema::validator_for(&schema).expect("a schema")
        })
    });
    let [events, reply] = &*KINDS;
    let kind = if message["type"] == "events" {
        events
    } else {
        reply
    };
    if let Err(error) = kind.validate(message) {
        panic!("{error}: {message}");
    }
}
