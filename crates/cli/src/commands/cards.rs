//! `bedrock-diy cards …`: a project's files, and an API's project.

mod apply;
mod plan;
mod pull;
mod said;
mod shown;
mod synced;

use std::path::Path;

use bedrock_diy_core::{Code, Failure, catalogue::Catalogue, error::Result};

use self::{
    plan::Plan,
    said::Stored,
    synced::{Synced, SyncedProject},
};
use super::setup;
use crate::{
    arguments::{Cards, DiffCards, Elsewhere, PushCards},
    exit::Exit,
    project_files::ProjectFiles,
    remote::Remote,
    terminal::{confirm, print, say},
};

/// Does what was asked for with cards.
pub(super) async fn cards(
    elsewhere: &Elsewhere,
    data: &Path,
    catalogue: &Catalogue,
    command: Cards,
) -> Result<Exit> {
    let remote = Remote::needed(elsewhere, data, "`cards`")?;
    match command {
        Cards::Push(push) => self::push(&remote, catalogue, &push).await,
        Cards::Pull(pull) => pull::pull(&remote, &pull).await,
        Cards::Diff(diff) => self::diff(&remote, catalogue, &diff).await,
    }
}

async fn push(remote: &Remote, catalogue: &Catalogue, arguments: &PushCards) -> Result<Exit> {
    let files = setup::read_project(&arguments.dir, catalogue)?;
    let stored = Stored::read(remote, &files.id).await?;
    let mut synced = Synced::read(&arguments.dir)?;
    let plan = Plan::between(&files, &stored);
    if plan.is_empty() {
        print(format_args!(
            "Nothing to push: {} is what the folder says.",
            files.id
        ))?;
        return note(&mut synced, remote, &files);
    }
    refuse_conflicts(&plan, &synced, remote, &files, &stored, arguments.force)?;
    print(shown::plan(&plan, &files, &stored))?;
    if !arguments.yes && !confirm(&format!("Push this to {}?", remote.address()))? {
        say("Nothing was pushed.");
        return Ok(Exit::Success);
    }
    apply::apply(remote, &plan, &files, &stored, &arguments.note).await?;
    say(format_args!("Pushed {} to {}.", files.id, remote.address()));
    note(&mut synced, remote, &files)
}

async fn diff(remote: &Remote, catalogue: &Catalogue, arguments: &DiffCards) -> Result<Exit> {
    let files = setup::read_project(&arguments.dir, catalogue)?;
    let stored = Stored::read(remote, &files.id).await?;
    let synced = Synced::read(&arguments.dir)?;
    let plan = Plan::between(&files, &stored);
    if plan.is_empty() {
        print(format_args!(
            "Nothing differs: {} is what the folder says.",
            files.id
        ))?;
        return Ok(Exit::Success);
    }
    print(shown::plan(&plan, &files, &stored))?;
    for theirs in conflicts(&synced, remote, &files, &stored) {
        say(format_args!("Since your last push or pull, {theirs}."));
    }
    Ok(Exit::Success)
}

/// What somebody else has changed is theirs to lose, not ours.
fn refuse_conflicts(
    plan: &Plan<'_>,
    synced: &Synced,
    remote: &Remote,
    files: &ProjectFiles,
    stored: &Stored,
    force: bool,
) -> Result<()> {
    let theirs = conflicts(synced, remote, files, stored);
    if force || theirs.is_empty() {
        return Ok(());
    }
    print(shown::plan(plan, files, stored))?;
    let theirs: Vec<_> = theirs.iter().map(|what| format!("\n  {what}")).collect();
    Err(Failure::new(
        Code::InvalidRequest,
        format!(
            "nothing was pushed, because since your last push or pull:{}\nTake that over with `bedrock-diy cards pull`, or \
             push over it with --force.",
            theirs.concat()
        ),
    ))
}

fn conflicts(synced: &Synced, remote: &Remote, files: &ProjectFiles, stored: &Stored) -> Vec<String> {
    let last = synced.of(&remote.address(), &files.id);
    last.map_or_else(Vec::new, |last| {
        last.conflicts(&SyncedProject::of_files(files), stored)
    })
}

/// Notes that folder and API say the same.
fn note(synced: &mut Synced, remote: &Remote, files: &ProjectFiles) -> Result<Exit> {
    synced.set(&remote.address(), SyncedProject::of_files(files));
    synced.write()?;
    Ok(Exit::Success)
}
