//! What happens to a job, as it happens: by asking again and again, or as a stream.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{
        IntoResponse, Response, Sse,
        sse::{self, KeepAlive},
    },
};
use bedrock_diy_core::{
    JobId,
    access::Action,
    error::Result as Outcome,
    event::{Event, Fact, StageDelta},
    job::Job,
    ports::Watch,
};
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Api,
    body::Json,
    caller::By,
    page::Asking,
    problem::Problem,
    routes::{At, jobs::JobPath},
};

const TAG: &str = "Jobs";

/// The media type of server-sent events (HTML Standard, section 9.2).
const EVENT_STREAM: &str = "text/event-stream";

/// What a client has had last (the same section).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Events in an answer at most: a job of the most stages has some hundred.
const PAGE: usize = 200;

/// The longest that a question waits for news, in seconds: proxies wait for half a minute.
const LONGEST_WAIT: u32 = 20;

/// So often a stream without news says that it is still there.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// After this a client whose connection broke comes again.
const COME_AGAIN: Duration = Duration::from_secs(1);

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(events))
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those after this number; all where nothing is said.
    #[serde(default)]
    #[param(required = false)]
    after: u64,
    /// So many seconds to wait for news where there are none.
    #[serde(default)]
    #[param(required = false, maximum = 20)]
    wait: u32,
}

/// What happened to a job, or a part of it.
#[derive(Debug, Serialize, ToSchema)]
struct Events {
    /// In order.
    items: Vec<Event>,
    /// The number of the last one that you have had now: send it as `after` for what comes next.
    next: u64,
    /// Whether nothing will come after these.
    ended: bool,
}

/// An event of a stream.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it describes what is written as a stream")]
pub(crate) struct StreamedEvent {
    /// The event's number; with more behind it where a piece of an answer is shown before it has a number. Whatever it
    /// is, send it as `Last-Event-ID`.
    id: String,
    /// Its type, such as `stage.completed`.
    event: String,
    /// The event, as JSON.
    data: String,
}

/// Follow a job: its events after a number, at once or when there are any; as a stream of server-sent events where
/// `Accept` says `text/event-stream`
///
/// A stream goes on until the job has ended or two minutes have gone by; `Last-Event-ID` goes on where it ended.
/// Where nothing will come any more, that is answered with 204: `EventSource` comes again no more. It can set no header,
/// so that here, and nowhere else, the token may stand in the address: `?access_token=…`, instead of the header.
#[utoipa::path(
    get, path = "/api/jobs/{jobId}/events", tag = TAG, operation_id = "followJob",
    params(
        JobPath, Which,
        ("Last-Event-ID" = Option<String>, Header, description = "Of a stream: the `id` of the last event that you have had. Counts before `after`."),
    ),
    responses(
        (status = OK, content((Events = "application/json"), (StreamedEvent = "text/event-stream"))),
        (status = NO_CONTENT, description = "Of a stream: nothing will come any more"),
    )
)]
async fn events(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<JobPath>,
    Asking(which): Asking<Which>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if which.wait > LONGEST_WAIT {
        let rule = format!("it must be at most {LONGEST_WAIT} seconds");
        return Err(Problem::parameter("wait", rule));
    }
    let streams = wants_stream(&headers);
    let had = match last_event(&headers)? {
        Some(had) if streams => had,
        _ => Had::events(which.after),
    };
    let after = had.events;
    let job = api.job(&caller, &at.job_id, Action::Read).await?;
    if streams {
        return Ok(if has_nothing_after(&job, after) {
            StatusCode::NO_CONTENT.into_response()
        } else {
            stream_of(api, job.job_id, had).into_response()
        });
    }
    let mut log = Log::of(&api, job.job_id.clone(), had);
    let patience = Instant::now() + Duration::from_secs(which.wait.into());
    let items = if has_nothing_after(&job, after) {
        Vec::new()
    } else {
        log.next(&api, patience).await?
    };
    let events = Events {
        next: log.had.events,
        ended: log.has_ended || has_nothing_after(&job, log.had.events),
        items,
    };
    Ok(Json(events).into_response())
}

/// Whether an answer is to be a stream.
pub(crate) fn wants_stream(headers: &HeaderMap) -> bool {
    let mut wanted = headers.get_all(header::ACCEPT).iter();
    wanted.any(|accept| accept.to_str().is_ok_and(|accept| accept.contains(EVENT_STREAM)))
}

/// What a client of a stream has had. Fails with 400 where it says what no stream has told it.
fn last_event(headers: &HeaderMap) -> Result<Option<Had>, Problem> {
    let Some(id) = headers.get(LAST_EVENT_ID).filter(|id| !id.is_empty()) else {
        return Ok(None);
    };
    let had = id.to_str().ok().and_then(Had::of_id);
    let wrong = || Problem::parameter("Last-Event-ID", "it must be the id of an event of this stream");
    had.map(Some).ok_or_else(wrong)
}

/// What somebody who follows a job has had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Had {
    /// The number of the last event.
    events: u64,
    /// What they have had of an answer.
    answer: Option<PartOfAnswer>,
    /// Whether that is more than the events up to that one tell.
    is_ahead: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct PartOfAnswer {
    answer: String,
    characters: u64,
}

impl Had {
    /// All events up to this number.
    pub(crate) fn events(events: u64) -> Self {
        Self {
            events,
            answer: None,
            is_ahead: false,
        }
    }

    /// What the id of a streamed event says: the number, and where the event is a piece of an answer that has none
    /// yet, of which answer how much.
    fn of_id(id: &str) -> Option<Self> {
        let Some((events, part)) = id.split_once(':') else {
            return Some(Self::events(id.parse().ok()?));
        };
        let (answer, characters) = part.split_once(':')?;
        Some(Self {
            events: events.parse().ok()?,
            answer: Some(PartOfAnswer {
                answer: answer.to_owned(),
                characters: characters.parse().ok()?,
            }),
            is_ahead: true,
        })
    }

    fn id(&self) -> String {
        match &self.answer {
            Some(PartOfAnswer { answer, characters }) if self.is_ahead => {
                format!("{}:{answer}:{characters}", self.events)
            }
            _ => self.events.to_string(),
        }
    }

    /// Takes a piece of an answer, and returns what is new of it.
    fn take(&mut self, delta: &StageDelta) -> StageDelta {
        let had = self.answer.as_ref().filter(|had| had.answer == delta.answer);
        let had = had.map_or(0, |had| had.characters);
        self.is_ahead = had > delta.end();
        self.answer = Some(PartOfAnswer {
            answer: delta.answer.clone(),
            characters: had.max(delta.end()),
        });
        delta.after(had)
    }
}

/// A piece of an answer that is not stored yet, and has no number.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LivePiece<'a> {
    job_id: &'a JobId,
    #[serde(flatten)]
    fact: Fact,
}

/// A job's version is the number of its last event.
fn has_nothing_after(job: &Job, after: u64) -> bool {
    job.status.is_terminal() && after >= job.version
}

/// A job's events after what somebody has had, as they come, and pieces of answers before they are events.
pub(crate) fn stream_of(
    api: Arc<Api>,
    job: JobId,
    had: Had,
) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    struct Following {
        log: Log,
        until: Instant,
        come: VecDeque<sse::Event>,
        api: Arc<Api>,
    }

    let following = Following {
        log: Log::of(&api, job, had),
        until: Instant::now() + api.settings.longest_stream,
        come: VecDeque::from([sse::Event::default().retry(COME_AGAIN)]),
        api,
    };
    let events = stream::unfold(following, |mut following| async move {
        if following.come.is_empty() && !following.log.has_ended {
            match following.log.next_shown(&following.api, following.until).await {
                Ok(events) => following.come.extend(events),
                // The client comes again, and goes on after what it has had.
                Err(failure) => tracing::warn!(error = %failure, "a stream of events ended early"),
            }
        }
        let event = following.come.pop_front()?;
        Some((Ok(event), following))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT))
}

fn shown(id: &str, name: &str, event: &impl Serialize) -> sse::Event {
    let frame = sse::Event::default().id(id).event(name);
    // What can't be written as JSON does not exist here; an empty event says so rather than nothing.
    frame.json_data(event).unwrap_or_default()
}

/// A job's events, read in order.
struct Log {
    job: JobId,
    had: Had,
    /// Whether the last event was the job's last one.
    has_ended: bool,
    /// Whether there may be events that were not read.
    may_have_more: bool,
    watch: Box<dyn Watch>,
}

impl Log {
    fn of(api: &Api, job: JobId, had: Had) -> Self {
        Self {
            // Before anything is read: what is stored after that is heard of.
            watch: api.ports.watches.watch(&job),
            job,
            had,
            has_ended: false,
            may_have_more: true,
        }
    }

    /// The next events; none where there were none until then.
    async fn next(&mut self, api: &Api, until: Instant) -> Outcome<Vec<Event>> {
        loop {
            let events = self.read(api).await?;
            if !events.is_empty() || !self.has_news(until).await {
                return Ok(events);
            }
        }
    }

    /// What is to be shown next to somebody who looks on; nothing where there was nothing until then.
    async fn next_shown(&mut self, api: &Api, until: Instant) -> Outcome<Vec<sse::Event>> {
        loop {
            if let Some(piece) = self.unstored() {
                return Ok(vec![piece]);
            }
            if self.may_have_more {
                let events = self.read(api).await?;
                if !events.is_empty() {
                    return Ok(events.into_iter().map(|event| self.show(event)).collect());
                }
            }
            if !self.has_news(until).await {
                return Ok(Vec::new());
            }
        }
    }

    async fn read(&mut self, api: &Api) -> Outcome<Vec<Event>> {
        let events = api.ports.jobs.events(&self.job, self.had.events, PAGE).await?;
        self.may_have_more = !events.is_empty();
        if let Some(last) = events.last() {
            self.has_ended = last.fact.is_last();
            self.had.events = last.number;
        }
        Ok(events)
    }

    /// Waits for news. False where the time was up before.
    async fn has_news(&mut self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        self.watch.changed(left).await;
        self.may_have_more = true;
        true
    }

    /// An event, without what is had of it already.
    fn show(&mut self, mut event: Event) -> sse::Event {
        self.had.events = event.number;
        match &mut event.fact {
            Fact::StageDelta(delta) => *delta = self.had.take(delta),
            // More of an answer may have been shown than was told when this happened.
            Fact::JobWaiting { .. } => {}
            _ => self.had.is_ahead = false,
        }
        shown(&self.had.id(), event.fact.name(), &event)
    }

    /// A piece of an answer that comes right after the last event and was not had.
    fn unstored(&mut self) -> Option<sse::Event> {
        let unstored = self.watch.unstored()?;
        if unstored.after != self.had.events {
            return None;
        }
        let rest = self.had.take(&unstored.delta);
        if rest.text.is_empty() {
            return None;
        }
        self.had.is_ahead = true;
        let fact = Fact::StageDelta(rest);
        let name = fact.name();
        let piece = LivePiece {
            job_id: &self.job,
            fact,
        };
        Some(shown(&self.had.id(), name, &piece))
    }
}
