//! From project files to the store: what has changed becomes a new revision, the rest stays.

use bedrock_diy_core::{
    Code, Failure, ProjectId,
    card::{Card, CardRevision},
    error::Result,
    pipeline::PipelineRevision,
    ports::{Projects, Saved},
    project::Project,
    time::Timestamp,
};

use crate::project_files::ProjectFiles;

/// Makes the stored project what the files say. Cards that are no longer there are switched off:
/// jobs that run with them go on.
pub async fn push(projects: &dyn Projects, files: &ProjectFiles, author: &str, now: Timestamp) -> Result<()> {
    let stored = projects.project(&files.id).await?;
    let project = Project {
        project_id: files.id.clone(),
        name: files.name.clone(),
        description: files.description.clone(),
        owner: stored
            .as_ref()
            .map_or_else(|| author.to_owned(), |project| project.owner.clone()),
        status: files.status,
        settings: files.settings.clone(),
        created_at: stored.as_ref().map_or(now, |project| project.created_at),
        updated_at: stored.as_ref().map_or(now, |project| project.updated_at),
        version: stored.as_ref().map_or(0, |project| project.version),
    };
    if stored.as_ref() != Some(&project) {
        let changed = Project {
            updated_at: now,
            version: project.version + 1,
            ..project
        };
        done(projects.put_project(&changed).await?, &files.id)?;
    }
    let cards = projects.cards(&files.id).await?;
    for file in &files.cards {
        let card = cards.iter().find(|card| card.prompt_id == file.prompt_id);
        let saved = match card {
            Some(card) => Some(
                projects
                    .card_revision(&files.id, &card.prompt_id, card.revision)
                    .await?,
            ),
            None => None,
        };
        let revision = saved
            .as_ref()
            .is_none_or(|saved| saved.draft != file.draft)
            .then(|| CardRevision {
                project_id: files.id.clone(),
                prompt_id: file.prompt_id.clone(),
                revision: card.map_or(1, |card| card.revision + 1),
                draft: file.draft.clone(),
                author: author.to_owned(),
                note: String::new(),
                saved_at: now,
            });
        let wanted = Card {
            project_id: files.id.clone(),
            prompt_id: file.prompt_id.clone(),
            step_order: file.step_order,
            is_active: file.is_active,
            revision: revision
                .as_ref()
                .map_or_else(|| card.map_or(1, |card| card.revision), |new| new.revision),
            created_at: card.map_or(now, |card| card.created_at),
            updated_at: card.map_or(now, |card| card.updated_at),
            version: card.map_or(0, |card| card.version),
        };
        if card != Some(&wanted) {
            let changed = Card {
                updated_at: now,
                version: wanted.version + 1,
                ..wanted
            };
            done(projects.put_card(&changed, revision.as_ref()).await?, &files.id)?;
        }
    }
    for gone in cards
        .iter()
        .filter(|card| card.is_active && !files.cards.iter().any(|file| file.prompt_id == card.prompt_id))
    {
        let off = Card {
            is_active: false,
            updated_at: now,
            version: gone.version + 1,
            ..gone.clone()
        };
        done(projects.put_card(&off, None).await?, &files.id)?;
    }
    Ok(())
}

/// What was not stored because somebody else was faster is for whoever pushes to look at again.
fn done(saved: Saved, project: &ProjectId) -> Result<()> {
    match saved {
        Saved::Done => Ok(()),
        Saved::Stale => Err(Failure::new(
            Code::InvalidRequest,
            format!(
                "somebody else has changed the project {project} just now: look at it, and do this again"
            ),
        )),
    }
}

/// What the project runs today.
pub async fn pin(
    projects: &dyn Projects,
    files: &ProjectFiles,
    default_model: &str,
) -> Result<PipelineRevision> {
    let project = projects.project(&files.id).await?;
    let cards = projects.cards(&files.id).await?;
    let project = project
        .ok_or_else(|| Failure::new(Code::ProjectNotFound, format!("there is no project {}", files.id)))?;
    PipelineRevision::pin(&project, &cards, default_model)
}
