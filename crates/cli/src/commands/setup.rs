//! What `run` and `serve` begin with: projects from files, a model, workers.

use std::{path::Path, sync::Arc};

use bedrock_diy_core::{Code, Failure, catalogue::Catalogue, error::Result};
use bedrock_diy_embedded::DataFolderLock;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::{
    machine::{Machine, Workers},
    models::{Choice, Models},
    project_files::{FileFault, ProjectFiles},
    terminal::say,
};

/// Reads a project's folder; says everything that is wrong with it at once.
pub(super) fn read_project(dir: &Path, catalogue: &Catalogue) -> Result<ProjectFiles> {
    ProjectFiles::read_with(dir, catalogue).map_err(|faults| refused(&dir.display().to_string(), &faults))
}

/// Checks that the models which were chosen take what the cards say.
pub(super) fn check_models(project: &ProjectFiles, choice: &Choice, catalogue: &Catalogue) -> Result<()> {
    project
        .check_models(&choice.default_model, catalogue)
        .map_err(|faults| refused(&format!("the project {}", project.id), &faults))
}

fn refused(what: &str, faults: &[FileFault]) -> Failure {
    let faults: Vec<_> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
    Failure::new(
        Code::InvalidRequest,
        format!("{what} can't be used:{}", faults.concat()),
    )
}

/// The right to work jobs. That another process has it is no mistake of whoever asks: it passes.
pub(super) fn lock(machine: &Machine) -> Result<DataFolderLock> {
    machine
        .data
        .lock()
        .map_err(|failure| Failure::new(Code::StorageUnavailable, failure.detail))
}

/// The models, ready to be asked.
pub(super) async fn models(machine: &Machine, choice: &Choice) -> Result<Models> {
    let models = Models::new(machine.data.path().join("models"));
    models.prepare(&choice.default_model).await?;
    Ok(models)
}

/// Workers with these models.
pub(super) fn workers(
    machine: &Machine,
    models: &Models,
    choice: &Choice,
    concurrency: u16,
) -> Result<Workers> {
    machine.workers(
        || Arc::new(models.for_another_thread()),
        choice.default_model.clone(),
        usize::from(concurrency),
    )
}

/// Turns Ctrl-C (and a polite kill) into a stop; a second one ends the process where it stands, which
/// loses nothing but the answers that are just being written.
pub(super) fn stop_on_signal() -> (watch::Sender<bool>, watch::Receiver<bool>) {
    let (sender, receiver) = watch::channel(false);
    let signalled = sender.clone();
    let mut signals = Signals::listen();
    tokio::spawn(async move {
        signals.next().await;
        say("Stopping: answers that are being written are finished first. Ctrl-C again stops at once.");
        let _ = signalled.send(true);
        signals.next().await;
        std::process::exit(crate::exit::Exit::Interrupted as i32);
    });
    (sender, receiver)
}

/// Ctrl-C and a polite kill. Both are listened for from the beginning: what comes while nobody waits is not lost. What
/// can't be listened for never comes.
#[cfg(unix)]
struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> Self {
        Self {
            interrupt: signal(SignalKind::interrupt()).ok(),
            terminate: signal(SignalKind::terminate()).ok(),
        }
    }

    async fn next(&mut self) {
        let Self { interrupt, terminate } = self;
        tokio::select! {
            Some(()) = async { interrupt.as_mut()?.recv().await } => {}
            Some(()) = async { terminate.as_mut()?.recv().await } => {}
            else => std::future::pending().await,
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Self {
        Self
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
