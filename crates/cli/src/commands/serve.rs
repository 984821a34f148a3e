//! `bedrock-diy serve`: the API, the inbox folder and the workers, until it is stopped.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bedrock_diy_core::{
    Class, Code, Failure, ProjectId,
    article::{self, Bucket, ObjectRef},
    catalogue::Catalogue,
    error::Result,
    intake::{Drop, IntakeMessage, Lane},
    limits,
    page::PageRequest,
    ports::{Clock, Objects, Projects, Queue},
};
use bedrock_diy_embedded::{DELIVERY_QUEUE, Inbox, InboxFile, NOTIFY_QUEUE};
use bedrock_diy_sender::HttpSender;
use tokio::sync::watch;

use super::setup;
use crate::{
    api::{self, Listener},
    arguments::Serve,
    exit::Exit,
    machine::Machine,
    models,
    project_files::ProjectFiles,
    push, queues,
    terminal::say,
};

/// How often the inbox is looked at. A file counts as whole when two looks found it the same.
const LOOK: Duration = Duration::from_millis(500);

/// Of more projects it is not said where their articles are dropped.
const MOST_SHOWN: usize = 100;

/// Refuses two folders with one id: what the second one says would replace what the first one does.
fn each_for_itself(projects: &[ProjectFiles], folders: &[PathBuf]) -> Result<()> {
    for (place, project) in projects.iter().enumerate() {
        if let Some(first) = projects[..place].iter().position(|other| other.id == project.id) {
            return Err(Failure::new(
                Code::InvalidRequest,
                format!(
                    "{} and {} are both the project {}: give one of them another `id` in its project.yaml",
                    folders[first].display(),
                    folders[place].display(),
                    project.id
                ),
            ));
        }
    }
    Ok(())
}

/// Serves until it is stopped.
pub(super) async fn serve(data: &Path, catalogue: Catalogue, arguments: Serve) -> Result<Exit> {
    let mut projects = arguments
        .project
        .iter()
        .map(|dir| setup::read_project(dir, &catalogue))
        .collect::<Result<Vec<_>>>()?;
    each_for_itself(&projects, &arguments.project)?;
    let choice = models::choose(&mut projects, arguments.asking.model.as_deref(), &catalogue).await?;
    for project in &projects {
        setup::check_models(project, &choice, &catalogue)?;
    }
    let machine = Machine::open(data, Arc::new(catalogue))?;
    let _lock = setup::lock(&machine)?;
    say(&choice.notice);
    for project in &projects {
        push::push(&machine.projects, project, "serve", machine.clock.now()).await?;
    }
    let inbox = Inbox::open(machine.data.inbox(), machine.database.clone())?;
    let all = PageRequest {
        limit: MOST_SHOWN,
        cursor: None,
    };
    for project in machine.projects.projects(None, &all).await?.items {
        say(format_args!(
            "Drop articles into {}/{}/BATCH/",
            machine.data.inbox().display(),
            project.project_id
        ));
    }
    let models = setup::models(&machine, &choice).await?;
    let sender = Arc::new(HttpSender::new(arguments.webhooks_to_this_machine));
    let api = if arguments.until_idle {
        None
    } else {
        Some(Listener::bind(
            &machine,
            Arc::new(models.for_another_thread()),
            sender.clone(),
            &arguments.listening,
            &choice.default_model,
        )?)
    };
    if let Some(api) = &api {
        say(format_args!(
            "API: http://{}/docs{}",
            api.address(),
            token_hint(&machine, &arguments)
        ));
    }
    let workers = setup::workers(&machine, &models, &choice, arguments.asking.concurrency)?;
    let workers = workers.with_webhooks(sender);
    machine.take_up().await?;
    let (stopper, stop) = setup::stop_on_signal();
    let worked = stop.clone();
    let answering = stop.clone();
    let mut working = tokio::spawn(async move {
        let api = async {
            match api {
                Some(api) => api.serve(answering).await,
                None => Ok(()),
            }
        };
        tokio::try_join!(workers.run(worked), api).map(|_| ())
    });
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

/// Where the token is that the API takes.
fn token_hint(machine: &Machine, arguments: &Serve) -> String {
    if arguments.listening.oidc_issuer.is_some() {
        return String::new();
    }
    let token = api::token_file(machine.data.path()).with_file_name("token");
    format!("  (token in {})", token.display())
}

async fn watch_inbox(
    machine: &Machine,
    mut inbox: Inbox,
    until_idle: bool,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    let mut looked = 0_u64;
    while !*stop.borrow() {
        for file in inbox.look() {
            let taken = match take(machine, &file).await {
                Ok(()) => inbox.take(&file).await,
                Err(failure) => Err(failure),
            };
            // It may have been moved away, or be made readable yet, or the disk may be full for a while.
            if let Err(failure) = taken {
                inbox.leave_alone(&file, failure);
            }
        }
        looked += 1;
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
    let open = || -> Result<_> {
        let waiting = machine.queue.depth(Lane::Bulk.as_str())? + machine.queue.depth(Lane::Live.as_str())?;
        // Deliveries that are made just now, and those that are due soon; what waits longer waits for the next start.
        let deliveries = machine.queue.depth(NOTIFY_QUEUE)?
            + machine.queue.due(DELIVERY_QUEUE, queues::VISIBILITY_MILLIS)?;
        Ok(waiting + deliveries + machine.executions.open()?)
    };
    match open() {
        Ok(open) => Ok(open == 0),
        // The workers say what is wrong, and wait.
        Err(failure) if failure.code.class() == Class::Retryable => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// How large an article of the project may be that this key names.
async fn article_bytes(machine: &Machine, key: &str) -> Result<u64> {
    let project = article::parse_inbox_key(key).and_then(|(project, ..)| ProjectId::new(project).ok());
    let project = match project {
        Some(project) => machine.projects.project(&project).await?,
        None => None,
    };
    let said = project.and_then(|project| project.settings.limits.article_bytes);
    Ok(said.unwrap_or(limits::ARTICLE_BYTES))
}

async fn take(machine: &Machine, file: &InboxFile) -> Result<()> {
    let object = if file.size > article_bytes(machine, &file.key).await? {
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

#[cfg(test)]
mod tests {
    use std::fs;

    use bedrock_diy_core::{
        ports::Saved,
        project::{Project, ProjectStatus, Settings},
        time::Timestamp,
    };

    use super::*;

    #[tokio::test]
    async fn how_large_a_dropped_file_may_be_is_said_by_its_project() {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::open(folder.path(), Arc::new(Catalogue::own().unwrap())).unwrap();
        let mut settings = Settings::default();
        settings.limits.article_bytes = Some(10);
        let project = Project {
            project_id: ProjectId::new("news").unwrap(),
            name: "News".into(),
            description: String::new(),
            owner: "test".into(),
            members: Vec::new(),
            status: ProjectStatus::Active,
            settings,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            deleted_at: None,
            version: 1,
        };
        let saved = machine.projects.put_project(&project, None).await.unwrap();
        assert_eq!(saved, Saved::Done);
        for project in ["news", "unknown"] {
            let batch = machine.data.inbox().join(project).join("monday");
            fs::create_dir_all(&batch).unwrap();
            fs::write(batch.join("a.txt"), "eleven bytes and more").unwrap();
        }
        let mut inbox = Inbox::open(machine.data.inbox(), machine.database.clone()).unwrap();
        inbox.look();
        for file in inbox.look() {
            take(&machine, &file).await.unwrap();
        }
        let messages = machine.queue.receive("bulk", 10, 60_000).await.unwrap();
        assert_eq!(
            messages.len(),
            2,
            "a file that is too large is a job that says so"
        );
        for message in messages {
            let IntakeMessage::Drop(Drop { object }) = serde_json::from_str(&message.body).unwrap() else {
                panic!()
            };
            let is_stored = machine.objects.get(&object).await.is_ok();
            assert_eq!(is_stored, object.key.contains("unknown"), "{}", object.key);
        }
    }
}
