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
    JobId, access::Action, error::Result as Outcome, event::Event, job::Job, ports::Watch,
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

/// The number of the last event that a client has had (the same section).
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
    /// The event's number.
    id: u64,
    /// Its type, such as `stage.completed`.
    event: String,
    /// The event, as JSON.
    data: String,
}

/// Follow a job: its events after a number, at once or when there are any; as a stream of server-sent events where
/// `Accept` says `text/event-stream`
///
/// A stream goes on until the job has ended or two minutes have gone by; `Last-Event-ID` goes on where it ended.
/// Where nothing will come any more, that is answered with 204: `EventSource` comes again no more.
#[utoipa::path(
    get, path = "/api/jobs/{jobId}/events", tag = TAG, operation_id = "followJob",
    params(
        JobPath, Which,
        ("Last-Event-ID" = Option<u64>, Header, description = "Of a stream: as `after`, and counts before that."),
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
    let after = match last_event(&headers)? {
        Some(last) if streams => last,
        _ => which.after,
    };
    let job = api.job(&caller, &at.job_id, Action::Read).await?;
    if streams {
        return Ok(if has_nothing_after(&job, after) {
            StatusCode::NO_CONTENT.into_response()
        } else {
            stream_of(api, job.job_id, after).into_response()
        });
    }
    let mut log = Log::of(&api, job.job_id.clone(), after);
    let patience = Instant::now() + Duration::from_secs(which.wait.into());
    let items = if has_nothing_after(&job, after) {
        Vec::new()
    } else {
        log.next(&api, patience).await?
    };
    let events = Events {
        next: log.after,
        ended: log.has_ended || has_nothing_after(&job, log.after),
        items,
    };
    Ok(Json(events).into_response())
}

/// Whether an answer is to be a stream.
pub(crate) fn wants_stream(headers: &HeaderMap) -> bool {
    let mut wanted = headers.get_all(header::ACCEPT).iter();
    wanted.any(|accept| accept.to_str().is_ok_and(|accept| accept.contains(EVENT_STREAM)))
}

/// The last event that a client of a stream has had. Fails with 400 where that is no number.
fn last_event(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(id) = headers.get(LAST_EVENT_ID).filter(|id| !id.is_empty()) else {
        return Ok(None);
    };
    let number = id.to_str().ok().and_then(|id| id.parse().ok());
    let wrong = || Problem::parameter("Last-Event-ID", "it must be the number of an event");
    number.map(Some).ok_or_else(wrong)
}

/// A job's version is the number of its last event.
fn has_nothing_after(job: &Job, after: u64) -> bool {
    job.status.is_terminal() && after >= job.version
}

/// A job's events after this number, as they come.
pub(crate) fn stream_of(
    api: Arc<Api>,
    job: JobId,
    after: u64,
) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    struct Following {
        log: Log,
        until: Instant,
        come: VecDeque<sse::Event>,
        api: Arc<Api>,
    }

    let following = Following {
        log: Log::of(&api, job, after),
        until: Instant::now() + api.settings.longest_stream,
        come: VecDeque::from([sse::Event::default().retry(COME_AGAIN)]),
        api,
    };
    let events = stream::unfold(following, |mut following| async move {
        if following.come.is_empty() && !following.log.has_ended {
            match following.log.next(&following.api, following.until).await {
                Ok(events) => following.come.extend(events.iter().map(shown)),
                // The client comes again, and goes on after what it has had.
                Err(failure) => tracing::warn!(error = %failure, "a stream of events ended early"),
            }
        }
        let event = following.come.pop_front()?;
        Some((Ok(event), following))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT))
}

fn shown(event: &Event) -> sse::Event {
    let frame = sse::Event::default()
        .id(event.number.to_string())
        .event(event.fact.name());
    // What can't be written as JSON does not exist here; an empty event says so rather than nothing.
    frame.json_data(event).unwrap_or_default()
}

/// A job's events, read in order.
struct Log {
    job: JobId,
    /// The number of the last one that was read.
    after: u64,
    /// Whether that was the job's last one.
    has_ended: bool,
    watch: Box<dyn Watch>,
}

impl Log {
    fn of(api: &Api, job: JobId, after: u64) -> Self {
        Self {
            // Before anything is read: what is stored after that is heard of.
            watch: api.ports.watches.watch(&job),
            job,
            after,
            has_ended: false,
        }
    }

    /// The next events; none where there were none until then.
    async fn next(&mut self, api: &Api, until: Instant) -> Outcome<Vec<Event>> {
        loop {
            let events = api.ports.jobs.events(&self.job, self.after, PAGE).await?;
            if let Some(last) = events.last() {
                self.after = last.number;
                self.has_ended = last.fact.is_last();
                return Ok(events);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(events);
            }
            self.watch.changed(left).await;
        }
    }
}
