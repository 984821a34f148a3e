//! `bedrock-diy serve`: works what lands in the inbox folder, as the bucket's notifications do on AWS.

use std::{path::Path, sync::Arc, time::Duration};

use bedrock_diy_core::{
    Code, Failure,
    article::{Bucket, ObjectRef},
    catalogue::Catalogue,
    error::Result,
    intake::{Drop, IntakeMessage, Lane},
    limits,
    ports::{Objects, Queue},
};
use bedrock_diy_embedded::{Inbox, InboxFile};
use tokio::sync::watch;

use super::setup;
use crate::{arguments::Serve, exit::Exit, machine::Machine, models, push};

/// How often the inbox is looked at. A file counts as whole when two looks found it the same.
const LOOK: Duration = Duration::from_millis(500);

/// Serves until it is stopped.
pub(super) async fn serve(data: &Path, catalogue: Catalogue, arguments: Serve) -> Result<Exit> {
    let mut projects = arguments
        .project
        .iter()
        .map(|dir| setup::read_project(dir, &catalogue))
        .collect::<Result<Vec<_>>>()?;
    let choice = models::choose(&mut projects, arguments.asking.model.as_deref(), &catalogue).await?;
    for project in &projects {
        setup::check_models(project, &choice, &catalogue)?;
    }
    let machine = Machine::open(data, Arc::new(catalogue))?;
    let _lock = machine.data.lock()?;
    eprintln!("{}", choice.notice);
    for project in &projects {
        push::push(&machine, project, "serve").await?;
    }
    let inbox = Inbox::open(machine.data.inbox(), machine.database.clone())?;
    for project in machine.projects.projects()? {
        eprintln!(
            "Drop articles into {}/{}/BATCH/",
            machine.data.inbox().display(),
            project.project_id
        );
    }
    let workers = setup::workers(&machine, &choice, arguments.asking.concurrency).await?;
    let (stopper, stop) = setup::stop_on_signal();
    let mut working = tokio::spawn(workers.run(stop.clone()));
    let watched = tokio::select! {
        watched = watch_inbox(&machine, inbox, arguments.until_idle, stop.clone()) => watched,
        ended = &mut working => return ended
            .map_err(|error| Failure::new(Code::InternalError, format!("the workers ended early: {error}")))?
            .map(|()| Exit::Interrupted),
    };
    let interrupted = *stop.borrow();
    let _ = stopper.send(true);
    working
        .await
        .map_err(|error| Failure::new(Code::InternalError, format!("the workers ended early: {error}")))??;
    watched?;
    Ok(if interrupted {
        Exit::Interrupted
    } else {
        Exit::Success
    })
}

async fn watch_inbox(
    machine: &Machine,
    mut inbox: Inbox,
    until_idle: bool,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    let mut looked = 0_u64;
    while !*stop.borrow() {
        let whole = inbox.look().map_err(|error| {
            Failure::new(
                Code::StorageUnavailable,
                format!("the inbox folder can't be read: {error}"),
            )
        })?;
        looked += 1;
        for file in whole {
            match take(machine, &file).await {
                Ok(()) => inbox.take(&file).await?,
                // It may have been moved away, or its owner may yet make it readable.
                Err(failure) => {
                    tracing::warn!(key = %file.key, error = %failure, "a file in the inbox is left alone for now");
                }
            }
        }
        if until_idle && looked > 2 && !inbox.is_expecting() && is_idle(machine)? {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.changed() => {}
        }
    }
    Ok(())
}

fn is_idle(machine: &Machine) -> Result<bool> {
    let waiting = machine.queue.depth(Lane::Bulk.as_str())? + machine.queue.depth(Lane::Live.as_str())?;
    Ok(waiting == 0 && machine.executions.open()? == 0)
}

async fn take(machine: &Machine, file: &InboxFile) -> Result<()> {
    let object = if file.size > limits::ARTICLE_BYTES {
        // Its job says that it is too large; nobody need read it for that.
        let version = Some(format!("{}-{}", file.size, file.modified));
        ObjectRef {
            bucket: Bucket::Articles,
            key: file.key.clone(),
            version,
            size: file.size,
        }
    } else {
        let path = file.path.clone();
        let bytes = tokio::task::spawn_blocking(move || crate::inputs::read(&path))
            .await
            .map_err(|error| {
                Failure::new(
                    Code::InternalError,
                    format!("reading a file ended early: {error}"),
                )
            })??;
        machine.objects.put(Bucket::Articles, &file.key, bytes).await?
    };
    machine
        .queue
        .send(Lane::Bulk, vec![IntakeMessage::Drop(Drop { object })])
        .await
}
