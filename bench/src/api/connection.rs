//! One connection, kept alive: as little of HTTP/1.1 as it takes to ask again and again, so that whoever asks
//! has less to do than whoever answers.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::Outcome;

/// A connection to a server.
pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer; its bytes are the connection's until the next request.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            read: Vec::with_capacity(128 * 1_024),
        })
    }

    /// Sends a whole request, and reads the whole answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Outcome<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.read.clear();
        let head = loop {
            self.more().await?;
            if let Some(at) = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let text = std::str::from_utf8(&self.read[..head])?;
        let status = text.get(9..12).ok_or("no status")?.parse()?;
        let end = head + content_length(text)?;
        while self.read.len() < end {
            self.more().await?;
        }
        Ok(Answer {
            status,
            body: &self.read[head..end],
        })
    }

    async fn more(&mut self) -> Outcome {
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err("the server has closed the connection".into()),
            _ => Ok(()),
        }
    }
}

/// The length of the body that follows this head. An answer without one has none (304).
fn content_length(head: &str) -> Outcome<usize> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let said = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    Ok(said.map_or(Ok(0), |(_, length)| length.trim().parse())?)
}
