//! Somebody else's server, which webhooks are sent to: it answers as it is told, and remembers what it got.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::Value;
use tokio::net::TcpSocket;

use crate::wait::PATIENCE;

/// What was posted.
#[derive(Debug, Clone)]
pub struct Posted {
    /// The path.
    pub path: String,
    /// Headers, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}

/// What the receiver does about it.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Answers with a status and a body.
    Status(u16, String),
    /// Answers with a status and a header.
    Header(u16, String, String),
    /// Takes it, and says nothing for as long as it lives.
    Hang,
    /// Hangs up.
    Reset,
    /// Never comes to the end of the answer's head.
    EndlessHead,
    /// Answers 200, and never comes to the end of the body.
    EndlessBody,
}

/// Decides on a reply.
type Replies = Box<dyn FnMut(&Posted) -> Reply + Send>;

/// A receiver on this machine, until it is dropped.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// Where nobody listens. While it is kept, nobody else is given its port.
pub struct Nowhere(TcpSocket);

struct Shared {
    posted: Mutex<Vec<Posted>>,
    came: Condvar,
    replies: Mutex<Replies>,
    ended: AtomicBool,
}

impl Posted {
    /// A header.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a webhook's body is JSON")
    }

    /// The event's type.
    #[must_use]
    pub fn event_type(&self) -> String {
        self.json()["type"].as_str().unwrap_or_default().to_owned()
    }
}

impl Receiver {
    /// One that answers so.
    #[must_use]
    pub fn start(replies: impl FnMut(&Posted) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let shared = Arc::new(Shared {
            posted: Mutex::default(),
            came: Condvar::new(),
            replies: Mutex::new(Box::new(replies)),
            ended: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if accepting.ended.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&accepting);
                thread::spawn(move || answer(connection, &shared));
            }
        });
        Self { address, shared }
    }

    /// One that takes everything.
    #[must_use]
    pub fn willing() -> Self {
        Self::start(|_| Reply::Status(200, "taken".to_owned()))
    }

    /// One that takes each delivery when it comes again, and not the first time. Nobody has to tell it in time.
    #[must_use]
    pub fn hesitant() -> Self {
        let mut seen = BTreeSet::new();
        Self::start(move |posted| {
            if seen.insert(posted.header("webhook-id").to_owned()) {
                Reply::Status(503, "later".to_owned())
            } else {
                Reply::Status(204, String::new())
            }
        })
    }

    /// An address of it.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers otherwise from now on.
    pub fn reply(&self, replies: impl FnMut(&Posted) -> Reply + Send + 'static) {
        *self.shared.replies.lock().unwrap() = Box::new(replies);
    }

    /// Everything that came.
    #[must_use]
    pub fn posted(&self) -> Vec<Posted> {
        self.shared.posted.lock().unwrap().clone()
    }

    /// Waits until what came is enough, and returns it.
    #[must_use]
    pub fn wait(&self, enough: impl Fn(&[Posted]) -> bool) -> Vec<Posted> {
        let posted = self.shared.posted.lock().unwrap();
        let (posted, waited) = self
            .shared
            .came
            .wait_timeout_while(posted, PATIENCE, |posted| !enough(posted))
            .unwrap();
        assert!(!waited.timed_out(), "only {} deliveries came", posted.len());
        posted.clone()
    }
}

impl Nowhere {
    /// Takes a port, on which it does not listen.
    #[must_use]
    pub fn keep() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a port is free");
        Self(socket)
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().expect("it has an address"))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Whoever waits for a connection gets one.
        let _ = TcpStream::connect(self.address);
    }
}

fn answer(connection: TcpStream, shared: &Shared) {
    let Some(posted) = read(&connection) else { return };
    let reply = (shared.replies.lock().unwrap())(&posted);
    shared.posted.lock().unwrap().push(posted);
    shared.came.notify_all();
    // Whoever does not listen any more has what they wanted.
    let _ = write(connection, &reply, shared);
}

fn read(connection: &TcpStream) -> Option<Posted> {
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Posted { path, headers, body })
}

fn write(mut connection: TcpStream, reply: &Reply, shared: &Shared) -> std::io::Result<()> {
    let mut whole = |status: u16, header: &str, body: &str| {
        let length = body.len();
        write!(
            connection,
            "HTTP/1.1 {status} Status\r\ncontent-length: {length}\r\n{header}\r\n{body}"
        )
    };
    match reply {
        Reply::Status(status, body) => whole(*status, "", body),
        Reply::Header(status, name, value) => whole(*status, &format!("{name}: {value}\r\n"), ""),
        Reply::Reset => Ok(()),
        Reply::Hang => {
            while !shared.ended.load(Ordering::SeqCst) {
                thread::park_timeout(Duration::from_millis(100));
            }
            Ok(())
        }
        Reply::EndlessHead => {
            write!(connection, "HTTP/1.1 200 OK\r\n")?;
            loop {
                write!(connection, "x-more: {}\r\n", "a".repeat(1_000))?;
            }
        }
        Reply::EndlessBody => {
            write!(
                connection,
                "HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n"
            )?;
            loop {
                connection.write_all(&[b'a'; 1_000])?;
            }
        }
    }
}
