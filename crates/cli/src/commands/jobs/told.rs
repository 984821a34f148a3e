//! What happened to a job, told line by line.

use bedrock_diy_core::{
    JobId,
    error::Result,
    event::{Event, Fact},
};
use serde::Deserialize;

use super::{cannot_print, json};
use crate::{exit::Exit, remote::Remote, terminal::print};

/// So long the API waits for news before it says that there are none, in seconds.
const WAIT: &str = "20";

/// A page of a job's events, as the API shows it.
#[derive(Debug, Deserialize)]
struct Events {
    items: Vec<Event>,
    next: u64,
    ended: bool,
}

/// Tells what happened to a job of an API so far; and what will, until it has ended, where it is followed.
pub(super) async fn of_api(remote: &Remote, job: &JobId, as_json: bool, follows: bool) -> Result<Exit> {
    let mut after = 0;
    loop {
        let page: Events = remote
            .get(&format!("/api/jobs/{job}/events"))
            .query("after", &after.to_string())
            .query("wait", if follows { WAIT } else { "0" })
            .send()
            .await?
            .json()
            .await?;
        for event in &page.items {
            tell(event, as_json)?;
        }
        after = page.next;
        let has_more = !page.ended && (follows || !page.items.is_empty());
        if !has_more {
            return Ok(ended(page.items.last())
                .filter(|_| follows)
                .unwrap_or(Exit::Success));
        }
    }
}

/// Tells an event.
pub(super) fn tell(event: &Event, as_json: bool) -> Result<()> {
    if as_json {
        return print(json(event)?);
    }
    let facts = serde_json::to_value(&event.fact).map_err(|error| cannot_print(&error))?;
    let is_piece = matches!(event.fact, Fact::StageDelta(_));
    let facts: Vec<_> = facts
        .as_object()
        .into_iter()
        .flatten()
        // Of a piece of an answer, its text is what somebody wants to see.
        .filter(|(key, _)| *key != "type" && (!is_piece || *key == "text"))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    print(format_args!(
        "{:>4}  {}  {:<16} {}",
        event.number,
        event.at,
        event.fact.name(),
        facts.join(" ")
    ))
}

/// How a command ends that has followed a job to this event; nothing where the job goes on.
pub(super) fn ended(last: Option<&Event>) -> Option<Exit> {
    let last = last.filter(|event| event.fact.is_last())?;
    Some(match last.fact {
        Fact::JobSucceeded { .. } => Exit::Success,
        _ => Exit::SomeFailed,
    })
}
