//! From project files to the store: what has changed becomes a new revision, the rest stays.

use bedrock_diy_core::{
    card::{Card, CardRevision},
    error::Result,
    pipeline::PipelineRevision,
    ports::Projects,
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
    };
    if stored.as_ref() != Some(&project) {
        projects
            .put_project(&Project {
                updated_at: now,
                ..project
            })
            .await?;
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
        };
        if card != Some(&wanted) {
            projects
                .put_card(
                    &Card {
                        updated_at: now,
                        ..wanted
                    },
                    revision.as_ref(),
                )
                .await?;
        }
    }
    for gone in cards
        .iter()
        .filter(|card| card.is_active && !files.cards.iter().any(|file| file.prompt_id == card.prompt_id))
    {
        projects
            .put_card(
                &Card {
                    is_active: false,
                    updated_at: now,
                    ..gone.clone()
                },
                None,
            )
            .await?;
    }
    Ok(())
}

/// What the project runs today.
pub async fn pin(
    projects: &dyn Projects,
    files: &ProjectFiles,
    default_model: &str,
) -> Result<PipelineRevision> {
    let project = projects.project(&files.id).await?;
    let cards = projects.cards(&files.id).await?;
    let project = project.ok_or_else(|| {
        bedrock_diy_core::Failure::new(
            bedrock_diy_core::Code::ProjectNotFound,
            format!("there is no project {}", files.id),
        )
    })?;
    PipelineRevision::pin(&project, &cards, default_model)
}
