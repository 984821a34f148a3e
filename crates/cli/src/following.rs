//! A job of an API, followed by whoever waits for it.

mod transcript;

use bedrock_diy_core::{
    JobId,
    error::Result,
    event::{Event, Fact},
};
use serde::Deserialize;

pub(crate) use self::transcript::Transcript;
use crate::{exit::Exit, remote::Remote};

/// So long the API waits for news before it says that there are none, in seconds.
const WAIT: &str = "20";

/// The events of a job, as they come.
pub(crate) struct Following<'a> {
    remote: &'a Remote,
    job: JobId,
    /// The number of the last one that was had.
    after: u64,
    waits: bool,
    /// Whether the API has answered: then it is there, and comes back.
    was_answered: bool,
    is_over: bool,
}

/// A page of a job's events, as the API shows it.
#[derive(Debug, Deserialize)]
struct Page {
    items: Vec<Event>,
    next: u64,
    ended: bool,
}

impl<'a> Following<'a> {
    /// From the first event to the job's last.
    pub(crate) fn to_its_end(remote: &'a Remote, job: JobId) -> Self {
        Self {
            remote,
            job,
            after: 0,
            waits: true,
            was_answered: false,
            is_over: false,
        }
    }

    /// From the first event to the last one so far.
    pub(crate) fn so_far(remote: &'a Remote, job: JobId) -> Self {
        Self {
            waits: false,
            ..Self::to_its_end(remote, job)
        }
    }

    /// The next events; none where there was no news for a while, and nothing after the last one. What was had stays
    /// had where nobody waits for the answer any more.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Event>>> {
        if self.is_over {
            return Ok(None);
        }
        let call = self
            .remote
            .get(&format!("/api/jobs/{}/events", self.job))
            .query("after", &self.after.to_string())
            .query("wait", if self.waits { WAIT } else { "0" });
        let call = if self.was_answered {
            call.patient()
        } else {
            call.persistent()
        };
        let page: Page = call.send().await?.json().await?;
        self.was_answered = true;
        self.after = page.next;
        self.is_over = page.ended || (!self.waits && page.items.is_empty());
        Ok(Some(page.items))
    }
}

/// How a command ends that has followed a job to this event; nothing where the job goes on.
pub(crate) fn ended(last: Option<&Event>) -> Option<Exit> {
    let last = last.filter(|event| event.fact.is_last())?;
    Some(match last.fact {
        Fact::JobSucceeded { .. } => Exit::Success,
        _ => Exit::SomeFailed,
    })
}
