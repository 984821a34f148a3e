//! Connections that stay open, on one machine: each is a task, and so is each thing that it follows.
//!
//! What a slow client has not taken waits in its own tasks: neither jobs nor other clients wait with it.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    Router,
    extract::{
        RawQuery, State, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket, close_code},
    },
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::any,
};
use bedrock_diy_api::{Api, FRAME_BYTES, Log, MESSAGE_BYTES, Ports, Socket};
use bedrock_diy_core::{
    JobId,
    access::{Caller, Refused},
    bearer,
    error::Result,
    follow::{ConnectionId, Had, Topic, jobs_so_far, pushes, pushes_of_many, so_far},
    limits,
    ports::{Following, Follows, Identity, Jobs},
};
use bedrock_diy_embedded::{EmbeddedBus, Tail};
use tokio::{
    sync::mpsc,
    task::AbortHandle,
    time::{Instant, interval, sleep, timeout},
};

/// Where connections are opened.
pub(crate) const PATH: &str = "/socket";

/// A client that does not take a message within this is gone, or as good as that.
const PATIENCE: Duration = Duration::from_secs(10);

/// So often a client is asked whether it is there; one that says nothing for three times as long is gone.
const PING: Duration = Duration::from_secs(30);

/// A connection ends after this, as API Gateway's do (Amazon API Gateway quotas, 2026-11): who may ask is asked anew.
const LONGEST: Duration = Duration::from_hours(2);

/// Messages that wait for a client; whoever has more for it waits.
const WAITING: usize = 8;

/// Memory that a connection sets aside for what it reads.
const READ_BUFFER: usize = 4 * 1_024;

/// So long a connection over which too much came stays open after it was said why it ends. What was sent is not read to its
/// end, so the system resets the connection when it is let go, and its client might never see the reason.
const FAREWELL: Duration = Duration::from_secs(1);

/// After storage was away, it is read again.
const PAUSE: Duration = Duration::from_secs(1);

/// The connections of this process.
pub(crate) struct Sockets {
    ports: Ports,
    bus: EmbeddedBus,
    open: Mutex<HashMap<ConnectionId, Connection>>,
}

struct Connection {
    outbox: mpsc::Sender<String>,
    followed: HashMap<Topic, AbortHandle>,
}

/// What a request for a connection goes by.
#[derive(Clone)]
struct Door {
    socket: Arc<Socket>,
    sockets: Arc<Sockets>,
    identity: Arc<dyn Identity>,
}

impl Sockets {
    /// None yet.
    pub(crate) fn new(ports: Ports, bus: EmbeddedBus) -> Arc<Self> {
        Arc::new(Self {
            ports,
            bus,
            open: Mutex::default(),
        })
    }

    /// The route on which this API's connections are opened, by whom this knows.
    pub(crate) fn router(self: Arc<Self>, api: Arc<Api>, identity: Arc<dyn Identity>) -> Router {
        let door = Door {
            socket: Arc::new(api.socket(self.clone())),
            sockets: self,
            identity,
        };
        Router::new().route(PATH, any(open)).with_state(door)
    }

    /// Closes all of them.
    pub(crate) fn close(&self) {
        for (_, connection) in self.open().drain() {
            connection.end();
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<ConnectionId, Connection>> {
        // A panic leaves a map that is as good as before.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    fn end(self) {
        for task in self.followed.values() {
            task.abort();
        }
    }
}

async fn open(
    State(door): State<Door>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    upgrade: WebSocketUpgrade,
) -> Response {
    let caller = match caller(&*door.identity, &headers, query.as_deref()).await {
        Ok(caller) => caller,
        Err(refused) => return refuse(&refused),
    };
    upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(MESSAGE_BYTES)
        .max_frame_size(FRAME_BYTES)
        .on_upgrade(move |socket| attend(door, caller, socket))
}

async fn caller(
    identity: &dyn Identity,
    headers: &HeaderMap,
    query: Option<&str>,
) -> std::result::Result<Caller, Refused> {
    let said = headers.get(header::AUTHORIZATION);
    let said = said.map(|said| said.to_str().unwrap_or_default());
    let parameter = bearer::parameter(query.unwrap_or_default())?;
    identity.caller(bearer::token(said, parameter.as_deref())?).await
}

fn refuse(refused: &Refused) -> Response {
    let status = match refused {
        Refused::Invalid(_) => StatusCode::UNAUTHORIZED,
        Refused::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, format!("{refused}.\n")).into_response()
}

/// Attends to a connection until it ends.
async fn attend(door: Door, caller: Caller, mut socket: WebSocket) {
    let id = ConnectionId::new(format!("{:032x}", rand::random::<u128>()));
    let (outbox, mut out) = mpsc::channel(WAITING);
    let connection = Connection {
        outbox,
        followed: HashMap::new(),
    };
    door.sockets.open().insert(id.clone(), connection);
    let until = Instant::now() + LONGEST;
    let mut heard = Instant::now();
    let mut pings = interval(PING);
    let farewell = loop {
        tokio::select! {
            message = socket.recv() => {
                heard = Instant::now();
                match message {
                    Some(Ok(Message::Text(text))) => {
                        // Apart: what answering takes is not set aside for as long as the connection is there.
                        let reply = Box::pin(door.socket.take(&id, &caller, &text)).await;
                        if !send(&mut socket, Message::text(reply)).await {
                            break None;
                        }
                    }
                    Some(Ok(Message::Binary(_))) => break Some((close_code::UNSUPPORTED, "send text")),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Err(error)) if is_too_long(&error) => {
                        break Some((close_code::SIZE, "a message has 128 KiB at most, a frame of it 32 KiB"));
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break None,
                }
            }
            message = out.recv() => match message {
                Some(text) => if !send(&mut socket, Message::text(text)).await {
                    break None;
                },
                None => break Some((close_code::AWAY, "the server is being stopped: come again")),
            },
            now = pings.tick() => {
                if now >= until {
                    break Some((close_code::AWAY, "two hours have gone by: come again"));
                }
                if now.duration_since(heard) > 3 * PING || !send(&mut socket, Message::Ping(bytes::Bytes::new())).await {
                    break None;
                }
            }
        }
    };
    if let Some(connection) = door.sockets.open().remove(&id) {
        connection.end();
    }
    if let Some((code, reason)) = farewell {
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        send(&mut socket, Message::Close(Some(frame))).await;
        if code == close_code::SIZE {
            sleep(FAREWELL).await;
        }
    }
}

/// Whether more was sent than is taken. The error's own type is not one that axum shows: only its words tell it from that
/// of a client which is gone.
fn is_too_long(error: &axum::Error) -> bool {
    error.to_string().contains("Message too long")
}

/// Whether a message was taken.
async fn send(socket: &mut WebSocket, message: Message) -> bool {
    matches!(timeout(PATIENCE, socket.send(message)).await, Ok(Ok(())))
}

#[async_trait]
impl Follows for Sockets {
    async fn follow(&self, connection: &ConnectionId, topic: &Topic, had: Option<Had>) -> Result<Following> {
        let Some(outbox) = self.open().get(connection).map(|open| open.outbox.clone()) else {
            // It is gone: there is nobody to be told.
            return Ok(Following::Told);
        };
        let telling: Pin<Box<dyn Future<Output = ()> + Send>> = if let Topic::Job(job) = topic {
            let log = Log::of(&self.ports, job.clone(), had.unwrap_or_else(|| Had::up_to(0)));
            Box::pin(tell_of_job(log, job.clone(), outbox))
        } else {
            // Before it is looked what has happened: what happens after that is heard of.
            let tail = self.bus.tail(topic)?;
            let (jobs, after) = match had {
                None => (Vec::new(), 0),
                Some(had) => match jobs_so_far(&*self.ports.job_index, topic).await? {
                    Some(jobs) => (jobs, had.events()),
                    None => return Ok(Following::TooManyJobs),
                },
            };
            let store = Arc::clone(&self.ports.jobs);
            Box::pin(tell_of_jobs(jobs, after, tail, store, outbox))
        };
        let mut open = self.open();
        let Some(connection) = open.get_mut(connection) else {
            return Ok(Following::Told);
        };
        if !connection.followed.contains_key(topic) {
            connection.followed.retain(|_, task| !task.is_finished());
            if connection.followed.len() >= limits::FOLLOWS {
                return Ok(Following::TooMany);
            }
        }
        let task = tokio::spawn(telling).abort_handle();
        if let Some(before) = connection.followed.insert(topic.clone(), task) {
            before.abort();
        }
        Ok(Following::Told)
    }

    async fn unfollow(&self, connection: &ConnectionId, topic: &Topic) -> Result<()> {
        let mut open = self.open();
        let followed = open
            .get_mut(connection)
            .and_then(|connection| connection.followed.remove(topic));
        if let Some(task) = followed {
            task.abort();
        }
        Ok(())
    }
}

/// Tells what happens to a job, until it has ended or nobody is there any more.
async fn tell_of_job(mut log: Log, job: JobId, outbox: mpsc::Sender<String>) {
    while !log.has_ended() {
        let Some(shown) = or_pause(log.next_shown(Instant::now() + LONGEST).await).await else {
            continue;
        };
        let messages = pushes(&job, &shown).into_iter().map(|message| message.text);
        if !tell(&outbox, messages).await {
            return;
        }
    }
}

/// Tells what has happened to these jobs after this number of an event, and then what happens to all that are meant.
async fn tell_of_jobs(
    jobs: Vec<JobId>,
    after: u64,
    mut tail: Tail,
    store: Arc<dyn Jobs>,
    outbox: mpsc::Sender<String>,
) {
    let mut told = HashMap::new();
    for job in jobs {
        let (messages, number) = loop {
            if let Some(found) = or_pause(so_far(&*store, &job, after).await).await {
                break found;
            }
        };
        if !tell(&outbox, messages).await {
            return;
        }
        told.insert(job, number);
    }
    loop {
        let Some(mut events) = or_pause(tail.next().await).await else {
            continue;
        };
        events.retain(|event| told.get(&event.job_id).is_none_or(|told| event.number > *told));
        for of_job in events.chunk_by(|event, next| event.job_id == next.job_id) {
            if !tell(&outbox, pushes_of_many(&of_job[0].job_id, of_job.to_vec())).await {
                return;
            }
        }
    }
}

/// Whether there is somebody who may take the messages.
async fn tell(outbox: &mpsc::Sender<String>, messages: impl IntoIterator<Item = String>) -> bool {
    for message in messages {
        if outbox.send(message).await.is_err() {
            return false;
        }
    }
    true
}

/// What was read; nothing, after a pause, where storage is away: it is to be read again.
async fn or_pause<T>(read: Result<T>) -> Option<T> {
    match read {
        Ok(read) => Some(read),
        Err(failure) => {
            tracing::warn!(error = %failure, "what happened can't be told yet");
            sleep(PAUSE).await;
            None
        }
    }
}
