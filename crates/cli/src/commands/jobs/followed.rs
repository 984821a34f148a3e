//! `bedrock-diy follow`: a job or a batch, here or of an API.

use std::{path::Path, sync::Arc};

use bedrock_diy_core::{
    BatchId, Code, Failure, ProjectId,
    catalogue::Catalogue,
    error::Result,
    ports::{Jobs as _, Watches as _},
};

use super::{LOOK, PAGE, batch, elsewhere, find, told};
use crate::{
    arguments::{Elsewhere, Follow},
    exit::Exit,
    following::ended,
    machine::Machine,
    remote::Remote,
};

/// Tells what happens to a job, or to the jobs of a batch, until all have ended.
pub(in crate::commands) async fn follow(
    elsewhere: &Elsewhere,
    data: &Path,
    catalogue: Catalogue,
    arguments: &Follow,
) -> Result<Exit> {
    let as_json = arguments.json;
    let remote = Remote::named(elsewhere, data)?;
    let whose = match (&arguments.job, &arguments.batch, &arguments.project) {
        (Some(job), ..) => Whose::Job(job),
        (None, Some(batch), Some(project)) => Whose::Batch(project, batch),
        // The arguments' own rules leave no other case; this one says what they ask for.
        (None, ..) => {
            let detail = "say what to follow: JOB, or --batch NAME --project ID";
            return Err(Failure::new(Code::InvalidRequest, detail));
        }
    };
    if let Some(remote) = remote {
        return match whose {
            Whose::Job(job) => elsewhere::follow(&remote, job, as_json).await,
            Whose::Batch(project, batch) => batch::follow(&remote, project, batch, as_json).await,
        };
    }
    let machine = Machine::open(data, Arc::new(catalogue))?;
    match whose {
        Whose::Job(job) => follow_here(&machine, job, as_json).await,
        Whose::Batch(project, batch) => batch::follow(&machine, project, batch, as_json).await,
    }
}

/// What is followed.
enum Whose<'a> {
    Job(&'a str),
    Batch(&'a ProjectId, &'a BatchId),
}

async fn follow_here(machine: &Machine, job: &str, as_json: bool) -> Result<Exit> {
    let job = find(machine, job).await?;
    let mut watch = machine.bus.watch(&job.job_id);
    let mut after = 0;
    loop {
        let events = machine.jobs.events(&job.job_id, after, PAGE).await?;
        for event in &events {
            told::tell(event, as_json)?;
        }
        if let Some(exit) = ended(events.last()) {
            return Ok(exit);
        }
        after = events.last().map_or(after, |event| event.number);
        watch.changed(LOOK).await;
    }
}
