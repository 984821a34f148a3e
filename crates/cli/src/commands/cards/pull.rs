//! `bedrock-diy cards pull`: from an API's project to files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bedrock_diy_core::{Code, Failure, ProjectId, card::CardDraft, error::Result, ids::slug_of};

use super::{
    said::{SaidCard, SaidProject, Stored},
    synced::{Synced, SyncedProject},
};
use crate::{
    arguments::PullCards,
    exit::Exit,
    project_files::{
        FileCard, ProjectFiles, card_file, card_file_name, project_file, with_prompt, write_file,
    },
    remote::{PromptDocument, Remote},
    terminal::{print, say},
};

/// Writes the project's files.
pub(super) async fn pull(remote: &Remote, arguments: &PullCards) -> Result<Exit> {
    let dir = &arguments.dir;
    let local = local(dir, arguments.force)?;
    let id = project_id(arguments, local.as_ref())?;
    let stored = Stored::read(remote, &id).await?;
    let Some(project) = stored.project.as_ref().map(SaidProject::from) else {
        let detail = format!("{} has no project {id} that you work on", remote.address());
        return Err(Failure::new(Code::ProjectNotFound, detail));
    };
    let mut synced = Synced::read(dir)?;
    let last = synced.of(&remote.address(), &id);
    let mut pulling = Pulling::default();
    pulling.project(dir, &id, &project, local.as_ref(), last);
    for card in &stored.cards {
        pulling.card(dir, card, local.as_ref(), last);
    }
    let gone = |file: &&FileCard| stored.card(&file.prompt_id).is_none();
    for file in local.iter().flat_map(|local| &local.cards).filter(gone) {
        pulling.remove(file, last);
    }
    if !arguments.force {
        pulling.refuse_unpushed()?;
    }
    pulling.write()?;
    synced.set(
        &remote.address(),
        SyncedProject::of_stored(&id, &project, &stored),
    );
    synced.write()?;
    if let Err(faults) = ProjectFiles::read(dir) {
        say("What was pulled can't be pushed or run as it is:");
        for fault in faults {
            say(format_args!("  {fault}"));
        }
    }
    Ok(Exit::Success)
}

/// The project in this folder; nothing where there is none yet.
fn local(dir: &Path, force: bool) -> Result<Option<ProjectFiles>> {
    if !dir.join("project.yaml").exists() && !dir.join("cards").exists() {
        return Ok(None);
    }
    match ProjectFiles::read(dir) {
        Ok(files) => Ok(Some(files)),
        Err(_) if force => Ok(None),
        Err(faults) => {
            let faults: Vec<_> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
            let detail = format!(
                "nothing was pulled, because it can't be said what the folder has that was not pushed:{}\nMend that, or \
                 write over it with --force.",
                faults.concat()
            );
            Err(Failure::new(Code::InvalidRequest, detail))
        }
    }
}

fn project_id(arguments: &PullCards, local: Option<&ProjectFiles>) -> Result<ProjectId> {
    let wrong = |detail: String| Failure::new(Code::InvalidRequest, detail);
    match (&arguments.project, local.map(|local| &local.id)) {
        (Some(said), Some(there)) if said != there => Err(wrong(format!(
            "{} is the folder of the project {there}: choose another for {said}",
            arguments.dir.display()
        ))),
        (Some(id), _) | (None, Some(id)) => Ok(id.clone()),
        (None, None) => {
            let name = std::path::absolute(&arguments.dir).unwrap_or_default();
            let name = name
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            ProjectId::new(slug_of(&name)).map_err(|_| {
                let dir = arguments.dir.display();
                wrong(format!(
                    "say which project {dir} is to be the folder of, with --project ID"
                ))
            })
        }
    }
}

/// What is to be written and removed.
#[derive(Default)]
struct Pulling {
    written: Vec<(PathBuf, String)>,
    removed: Vec<PathBuf>,
    /// Files with changes that were not pushed.
    unpushed: Vec<PathBuf>,
}

impl Pulling {
    fn project(
        &mut self,
        dir: &Path,
        id: &ProjectId,
        project: &SaidProject,
        local: Option<&ProjectFiles>,
        last: Option<&SyncedProject>,
    ) {
        let path = dir.join("project.yaml");
        if let Some(there) = local.map(SaidProject::from) {
            if there == *project {
                return;
            }
            if !last.is_some_and(|last| last.had_project(&there)) {
                self.unpushed.push(path.clone());
            }
        }
        let SaidProject {
            name,
            description,
            status,
            settings,
        } = project;
        self.written
            .push((path, project_file(id, name, description, *status, settings)));
    }

    fn card(
        &mut self,
        dir: &Path,
        card: &PromptDocument,
        local: Option<&ProjectFiles>,
        last: Option<&SyncedProject>,
    ) {
        let said = SaidCard::from(card);
        let path = dir
            .join("cards")
            .join(card_file_name(card.step_order, &card.prompt_id));
        let file = local.and_then(|local| local.cards.iter().find(|file| file.prompt_id == card.prompt_id));
        let Some(file) = file else {
            self.written.push((path, card_file(&said.draft, said.is_active)));
            return;
        };
        let there = SaidCard::from(file);
        if there == said {
            return;
        }
        if !last.is_some_and(|last| last.had_card(&card.prompt_id, &there)) {
            self.unpushed.push(file.path.clone());
        }
        // Its name may have zeros in front of the number: it keeps them.
        let moved = there.step_order != said.step_order;
        let text = changed(file, &there, &said);
        if moved {
            self.removed.push(file.path.clone());
        }
        self.written
            .push((if moved { path } else { file.path.clone() }, text));
    }

    fn remove(&mut self, file: &FileCard, last: Option<&SyncedProject>) {
        if !last.is_some_and(|last| last.had_card(&file.prompt_id, &SaidCard::from(file))) {
            self.unpushed.push(file.path.clone());
        }
        self.removed.push(file.path.clone());
    }

    fn refuse_unpushed(&self) -> Result<()> {
        if self.unpushed.is_empty() {
            return Ok(());
        }
        let files: Vec<_> = self
            .unpushed
            .iter()
            .map(|path| format!("\n  {}", path.display()))
            .collect();
        Err(Failure::new(
            Code::InvalidRequest,
            format!(
                "nothing was pulled, because of changes that were not pushed:{}\nPush them with `bedrock-diy cards push`, \
                 or write over them with --force.",
                files.concat()
            ),
        ))
    }

    fn write(&self) -> Result<()> {
        let unwritable = |path: &Path, error: &std::io::Error| {
            let detail = format!("{} can't be written: {error}", path.display());
            Failure::new(Code::StorageUnavailable, detail)
        };
        for (path, text) in &self.written {
            write_file(path, text).map_err(|error| unwritable(path, &error))?;
            print(format_args!("wrote {}", path.display()))?;
        }
        for path in &self.removed {
            fs::remove_file(path).map_err(|error| unwritable(path, &error))?;
            print(format_args!("removed {}", path.display()))?;
        }
        if self.written.is_empty() && self.removed.is_empty() {
            print("Nothing to pull: the folder is what the API has.")?;
        }
        Ok(())
    }
}

/// The text of a file that says something else now. Where that is only its prompt, the rest stays as it is written.
fn changed(file: &FileCard, there: &SaidCard, said: &SaidCard) -> String {
    let only_prompt = CardDraft {
        content: said.draft.content.clone(),
        ..there.draft.clone()
    };
    let kept = (only_prompt == said.draft && there.is_active == said.is_active)
        .then(|| fs::read(&file.path).ok())
        .flatten();
    let kept = kept.and_then(|bytes| with_prompt(&bytes, &said.draft.content));
    kept.unwrap_or_else(|| card_file(&said.draft, said.is_active))
}
