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
    event::Event,
    follow::{Had, Shown},
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
    following::{Log, has_nothing_after},
    page::Asking,
    problem::Problem,
    routes::{At, jobs::JobPath},
};

const TAG: &str = "Jobs";

/// The media type of server-sent events (HTML Standard, section 9.2).
const EVENT_STREAM: &str = "text/event-stream";

/// What a client has had last (the same section).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

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
        _ => Had::up_to(which.after),
    };
    let after = had.events();
    let job = api.job(&caller, &at.job_id, Action::Read).await?;
    if streams {
        return Ok(if has_nothing_after(&job, after) {
            StatusCode::NO_CONTENT.into_response()
        } else {
            stream_of(&api, job.job_id, had).into_response()
        });
    }
    let mut log = Log::of(&api.ports, job.job_id.clone(), had);
    let patience = Instant::now() + Duration::from_secs(which.wait.into());
    let items = if has_nothing_after(&job, after) {
        Vec::new()
    } else {
        log.next(patience).await?
    };
    let events = Events {
        next: log.had().events(),
        ended: log.has_ended() || has_nothing_after(&job, log.had().events()),
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
    let had = id.to_str().ok().and_then(|id| id.parse().ok());
    let wrong = || Problem::parameter("Last-Event-ID", "it must be the id of an event of this stream");
    had.map(Some).ok_or_else(wrong)
}

/// A job's events after what somebody has had, as they come, and pieces of answers before they are events.
pub(crate) fn stream_of(
    api: &Api,
    job: JobId,
    had: Had,
) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>> + use<>> {
    struct Following {
        log: Log,
        until: Instant,
        come: VecDeque<sse::Event>,
    }

    let following = Following {
        log: Log::of(&api.ports, job, had),
        until: Instant::now() + api.settings.longest_stream,
        come: VecDeque::from([sse::Event::default().retry(COME_AGAIN)]),
    };
    let events = stream::unfold(following, |mut following| async move {
        if following.come.is_empty() && !following.log.has_ended() {
            match following.log.next_shown(following.until).await {
                Ok(shown) => following.come.extend(shown.iter().map(frame)),
                // The client comes again, and goes on after what it has had.
                Err(failure) => tracing::warn!(error = %failure, "a stream of events ended early"),
            }
        }
        let event = following.come.pop_front()?;
        Some((Ok(event), following))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT))
}

fn frame(shown: &Shown) -> sse::Event {
    let frame = sse::Event::default()
        .id(&shown.id)
        .event(shown.news.fact().name());
    // What can't be written as JSON does not exist here; an empty event says so rather than nothing.
    frame.json_data(&shown.news).unwrap_or_default()
}
