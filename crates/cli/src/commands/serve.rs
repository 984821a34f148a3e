//! `bedrock-diy serve`: works what lands in the inbox folder, as the bucket's notifications do on AWS.

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

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
use crate::{arguments::Serve, exit::Exit, machine::Machine, models, push, terminal::say};

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
    let _lock = setup::lock(&machine)?;
    say(&choice.notice);
    for project in &projects {
        push::push(&machine, project, "serve").await?;
    }
    let inbox = Inbox::open(machine.data.inbox(), machine.database.clone())?;
    for project in machine.projects.projects()? {
        say(format_args!(
            "Drop articles into {}/{}/BATCH/",
            machine.data.inbox().display(),
            project.project_id
        ));
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
    let mut left_alone = LeftAlone::default();
    let mut unreadable = None;
    while !*stop.borrow() {
        let whole = match inbox.look() {
            Ok(whole) => {
                unreadable = None;
                whole
            }
            // A folder may be removed while it is looked at; the next look finds what is there then.
            Err(error) => {
                if unreadable.replace(error.kind()) != Some(error.kind()) {
                    tracing::warn!(%error, "the inbox can't be looked at for now");
                }
                Vec::new()
            }
        };
        looked += 1;
        let mut taken = 0;
        for file in whole {
            match take(machine, &file).await {
                Ok(()) => {
                    inbox.take(&file).await?;
                    left_alone.forget(&file);
                    taken += 1;
                }
                // It may have been moved away, or its owner may yet make it readable.
                Err(failure) => {
                    if left_alone.is_new(&file) {
                        tracing::warn!(key = %file.key, error = %failure, "a file in the inbox is left alone for now");
                    }
                }
            }
        }
        left_alone.looked(taken);
        let expecting = inbox.is_expecting() && !left_alone.is_all();
        if until_idle && looked > 2 && unreadable.is_none() && !expecting && is_idle(machine)? {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.changed() => {}
        }
    }
    Ok(())
}

/// Files that could not be taken. They are tried at every look, and told of once.
#[derive(Default)]
struct LeftAlone {
    files: HashMap<String, (u64, i64)>,
    /// Looks in a row at which nothing was taken.
    quiet: u32,
}

impl LeftAlone {
    /// Whether this file, as it is now, was not left alone before.
    fn is_new(&mut self, file: &InboxFile) -> bool {
        let shape = (file.size, file.modified);
        self.files.insert(file.key.clone(), shape) != Some(shape)
    }

    fn forget(&mut self, file: &InboxFile) {
        self.files.remove(&file.key);
    }

    fn looked(&mut self, taken: usize) {
        self.quiet = if taken == 0 { self.quiet + 1 } else { 0 };
    }

    /// Whether what is still expected are such files: a whole file would have been taken meanwhile.
    fn is_all(&self) -> bool {
        !self.files.is_empty() && self.quiet > 2
    }
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
