//! What is pushed to whoever follows over a connection that stays open.

use serde::Serialize;

use super::{News, Shown};
use crate::{ids::JobId, limits};

/// What is new of a job, as a message.
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
    /// What you have had of the job now: send it as `after` when you follow it again.
    position: &'a str,
    /// Its events, in order. One without a `number` is a piece of an answer before it is an event.
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

/// The messages that tell what is new of a job, in order, each as long as a frame may be at most.
#[must_use]
pub fn pushes(job: &JobId, shown: &[Shown]) -> Vec<String> {
    let mut messages = Vec::new();
    let mut from = 0;
    let mut bytes = 0;
    for (index, next) in shown.iter().enumerate() {
        let size = serde_json::to_string(&next.news).map_or(0, |json| json.len() + 1);
        if index > from && bytes + size > limits::PUSH_BYTES {
            messages.extend(push(job, &shown[from..index]));
            (from, bytes) = (index, 0);
        }
        bytes += size;
    }
    messages.extend(push(job, &shown[from..]));
    messages
}

fn push(job_id: &JobId, shown: &[Shown]) -> Option<String> {
    let push = Push {
        kind: Kind::Events,
        job_id,
        position: &shown.last()?.id,
        items: shown.iter().map(|shown| &shown.news).collect(),
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

    #[test]
    fn whatever_is_pushed_fits_into_frames_and_nothing_is_left_out() {
        let job = JobId::new("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        let mut had = Had::up_to(0);
        let longest = "\u{1}".repeat(limits::DELTA_BYTES);
        let shown: Vec<_> = (1..=9)
            .map(|number| {
                had.take(Event {
                    job_id: job.clone(),
                    project_id: ProjectId::new("p".repeat(63)).unwrap(),
                    number,
                    at: Timestamp::default(),
                    fact: Fact::StageDelta(StageDelta {
                        stage: 1,
                        prompt_id: PromptId::new("c".repeat(63)).unwrap(),
                        answer: "1c9f03ab".into(),
                        offset: (number - 1) * longest.len() as u64,
                        text: longest.clone(),
                    }),
                })
            })
            .collect();
        let messages = pushes(&job, &shown);
        let mut numbers = Vec::new();
        for message in &messages {
            assert!(message.len() <= FRAME, "{} bytes", message.len());
            let message: serde_json::Value = serde_json::from_str(message).unwrap();
            let items = message["items"].as_array().unwrap();
            numbers.extend(items.iter().map(|item| item["number"].as_u64().unwrap()));
            assert_eq!(message["position"], numbers.last().unwrap().to_string());
        }
        assert_eq!(numbers, (1..=9).collect::<Vec<_>>());
        assert!(pushes(&job, &[]).is_empty());
    }
}
