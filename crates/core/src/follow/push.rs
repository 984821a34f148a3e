//! What is pushed to whoever follows over a connection that stays open.

use serde::Serialize;

use super::{News, Shown};
use crate::{event::Event, ids::JobId, limits};

/// What is new of a job, as a message.
///
/// Whoever follows a batch or project MUST NOT count on an order: on AWS its events come as the bus hands them on, in any
/// order and perhaps twice. The job and the number name an event.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Push<'a> {
    /// `events`.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^events$"))]
    kind: Kind,
    /// The job.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    job_id: &'a JobId,
    /// What you have had of the job now: send it as `after` when you follow it again. Only where you follow the job itself:
    /// the events of a batch's or project's jobs come in any order, so the number of the last one says nothing of those
    /// before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    position: Option<&'a str>,
    /// Its events: in order, where you follow the job itself. Those of a batch's or project's jobs come in any order on AWS,
    /// perhaps twice: `jobId` and `number` name an event. One without a `number` is a piece of an answer before it is an
    /// event.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<NewsDocument>))]
    items: Vec<&'a News>,
}

/// An event; or a piece of an answer before it is one, which has no number, time and project yet.
#[cfg(feature = "openapi")]
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = News)]
struct NewsDocument {
    #[schema(value_type = String)]
    job_id: JobId,
    #[schema(value_type = Option<String>, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<crate::ids::ProjectId>,
    #[schema(minimum = 1, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<crate::time::Timestamp>,
    #[serde(flatten)]
    fact: crate::event::Fact,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Kind {
    Events,
}

/// A message that tells what is new of a job to whoever follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The message.
    pub text: String,
    /// What whoever gets it has had with it, as text.
    pub position: String,
}

/// The messages that tell what is new of a job to whoever follows it, in order, each as long as a frame may be at most.
#[must_use]
pub fn pushes(job: &JobId, shown: &[Shown]) -> Vec<Message> {
    let messages = frames(shown, |shown| &shown.news).filter_map(|shown| {
        let position = &shown.last()?.id;
        let news = shown.iter().map(|shown| &shown.news);
        Some(Message {
            text: push(job, Some(position), news.collect())?,
            position: position.clone(),
        })
    });
    messages.collect()
}

/// The messages that tell these events of one job to whoever follows its batch or project, each as long as a frame may be
/// at most. They say no position: there is none, where an event may come before an earlier one.
#[must_use]
pub fn pushes_of_many(job: &JobId, events: Vec<Event>) -> Vec<String> {
    let news: Vec<_> = events.into_iter().map(News::Event).collect();
    frames(&news, |news| news)
        .filter_map(|news| push(job, None, news.iter().collect()))
        .collect()
}

/// What goes into one message each.
fn frames<T>(items: &[T], news: impl Fn(&T) -> &News) -> impl Iterator<Item = &[T]> {
    let mut frames = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (index, next) in items.iter().enumerate() {
        let size = serde_json::to_string(news(next)).map_or(0, |json| json.len() + 1);
        if index > from && bytes + size > limits::PUSH_BYTES {
            frames.push(&items[from..index]);
            (from, bytes) = (index, 0);
        }
        bytes += size;
    }
    if from < items.len() {
        frames.push(&items[from..]);
    }
    frames.into_iter()
}

fn push(job_id: &JobId, position: Option<&str>, items: Vec<&News>) -> Option<String> {
    let push = Push {
        kind: Kind::Events,
        job_id,
        position,
        items,
    };
    // Strings and numbers can always be written as JSON.
    serde_json::to_string(&push).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Event, Fact, StageDelta},
        follow::Had,
        ids::{ProjectId, PromptId},
        time::Timestamp,
    };

    /// What a frame of API Gateway holds.
    const FRAME: usize = 32 * 1_024;

    /// Nine events that are as long as an event can be.
    fn longest(job: &JobId) -> Vec<Event> {
        let text = "\u{1}".repeat(limits::DELTA_BYTES);
        let event = |number| Event {
            job_id: job.clone(),
            project_id: ProjectId::new("p".repeat(63)).unwrap(),
            number,
            at: Timestamp::default(),
            fact: Fact::StageDelta(StageDelta {
                stage: 1,
                prompt_id: PromptId::new("c".repeat(63)).unwrap(),
                answer: "1c9f03ab".into(),
                offset: (number - 1) * text.len() as u64,
                text: text.clone(),
            }),
        };
        (1..=9).map(event).collect()
    }

    fn numbers(message: &serde_json::Value) -> Vec<u64> {
        let items = message["items"].as_array().unwrap();
        items
            .iter()
            .map(|item| item["number"].as_u64().unwrap())
            .collect()
    }

    #[test]
    fn whatever_is_pushed_fits_into_frames_and_nothing_is_left_out() {
        let job = JobId::new("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        let mut had = Had::up_to(0);
        let shown: Vec<_> = longest(&job).into_iter().map(|event| had.take(event)).collect();
        let mut told = Vec::new();
        for Message { text, position } in pushes(&job, &shown) {
            assert!(text.len() <= FRAME, "{} bytes", text.len());
            let message: serde_json::Value = serde_json::from_str(&text).unwrap();
            told.extend(numbers(&message));
            assert_eq!(position, told.last().unwrap().to_string());
            assert_eq!(message["position"], position);
        }
        assert_eq!(told, (1..=9).collect::<Vec<_>>());
        assert!(pushes(&job, &[]).is_empty());
    }

    #[test]
    fn whoever_follows_many_jobs_is_told_no_position() {
        let job = JobId::new("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        let mut told = Vec::new();
        for text in pushes_of_many(&job, longest(&job)) {
            assert!(text.len() <= FRAME, "{} bytes", text.len());
            let message: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(message.get("position"), None);
            told.extend(numbers(&message));
        }
        assert_eq!(told, (1..=9).collect::<Vec<_>>());
        assert!(pushes_of_many(&job, Vec::new()).is_empty());
    }
}
