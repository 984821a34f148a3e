//! What happened to a job, told line by line.

use bedrock_diy_core::{
    JobId,
    error::Result,
    event::{Event, Fact},
};

use super::{cannot_print, json};
use crate::{
    exit::Exit,
    following::{Following, ended},
    remote::Remote,
    terminal::print,
};

/// Tells what happened to a job of an API so far; and what will, until it has ended, where it is followed.
pub(super) async fn of_api(remote: &Remote, job: &JobId, as_json: bool, follows: bool) -> Result<Exit> {
    let mut following = if follows {
        Following::to_its_end(remote, job.clone())
    } else {
        Following::so_far(remote, job.clone())
    };
    let mut exit = None;
    while let Some(events) = following.next().await? {
        for event in &events {
            tell(event, as_json)?;
        }
        exit = ended(events.last()).or(exit);
    }
    Ok(exit.filter(|_| follows).unwrap_or(Exit::Success))
}

/// Tells an event.
pub(in crate::commands) fn tell(event: &Event, as_json: bool) -> Result<()> {
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
