//! Shows the stages of a submitted file's jobs while they run.

use std::time::Instant;

use bedrock_diy_core::{JobId, error::Result, event::Fact, job::JobStatus};

use super::{
    Jobs, Submitted,
    told::Told,
    waiting::{PAUSE, Waiting, is_late, late},
};
use crate::{
    commands::jobs::told::tell,
    following::{Following, Transcript},
    remote::Remote,
    terminal::{plain, say},
};

/// Follows every job of a file to its end, one after the other.
pub(super) async fn follow(waiting: &Waiting<'_>, told: &mut Told, file: Submitted) -> Result<()> {
    let remote = waiting.remote;
    match file.jobs {
        Jobs::One { id, before, .. } => follow_job(remote, told, &file.name, id, before).await,
        Jobs::Uploaded {
            name,
            records,
            before,
        } => {
            let since = Instant::now();
            loop {
                let jobs = waiting.of_upload(&name).await?;
                if jobs.len() < records && !is_late(since) {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                if jobs.len() < records {
                    told.refused(&file.name, &late(&file.name, "been made").into())?;
                }
                for (id, record) in jobs {
                    let name = format!("{}{record}", file.name);
                    follow_job(remote, told, &name, id, before).await?;
                }
                return Ok(());
            }
        }
        Jobs::Refused(why) => told.refused(&file.name, &why),
    }
}

async fn follow_job(remote: &Remote, told: &mut Told, name: &str, job: JobId, before: bool) -> Result<()> {
    if !told.json {
        say(plain(name));
    }
    let mut following = Following::to_its_end(remote, job.clone());
    let mut transcript = Transcript::of(remote, job.clone());
    let mut status = JobStatus::Accepted;
    while let Some(events) = following.next().await? {
        for event in &events {
            match event.fact {
                Fact::JobSucceeded { .. } => status = JobStatus::Succeeded,
                Fact::JobFailed { .. } => status = JobStatus::Failed,
                Fact::JobCancelled { .. } => status = JobStatus::Cancelled,
                _ => {}
            }
            if told.json {
                tell(event, true)?;
            } else {
                transcript.tell(event).await?;
            }
        }
    }
    told.ended(name, &job, status, before)
}
