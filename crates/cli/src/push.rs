//! From project files to the store: what has changed becomes a new revision, the rest stays.

use bedrock_diy_core::{
    Code, Failure, ProjectId,
    card::{Card, CardRevision},
    error::Result,
    fault,
    pipeline::PipelineRevision,
    ports::{Projects, Saved},
    project::Project,
    time::Timestamp,
};

use crate::project_files::ProjectFiles;

/// Makes the stored project what the files say. Cards that are no longer there are switched off:
/// jobs that run with them go on. A card that was deleted comes back where its file is there; a project that was
/// deleted does not.
pub async fn push(projects: &dyn Projects, files: &ProjectFiles, author: &str, now: Timestamp) -> Result<()> {
    let stored = projects.project(&files.id).await?;
    if stored.as_ref().is_some_and(Project::is_deleted) {
        return Err(Failure::new(
            Code::InvalidRequest,
            format!(
                "the project {} was deleted, and its id is taken for good: write another `id` into project.yaml",
                files.id
            ),
        ));
    }
    let project = Project {
        project_id: files.id.clone(),
        name: files.name.clone(),
        description: files.description.clone(),
        owner: stored
            .as_ref()
            .map_or_else(|| author.to_owned(), |project| project.owner.clone()),
        members: stored
            .as_ref()
            .map_or_else(Vec::new, |project| project.members.clone()),
        status: files.status,
        settings: files.settings.clone(),
        created_at: stored.as_ref().map_or(now, |project| project.created_at),
        updated_at: stored.as_ref().map_or(now, |project| project.updated_at),
        deleted_at: None,
        version: stored.as_ref().map_or(0, |project| project.version),
    };
    if stored.as_ref() != Some(&project) {
        let changed = Project {
            updated_at: now,
            version: project.version + 1,
            ..project
        };
        fault::check(&changed.faults())?;
        done(projects.put_project(&changed, stored.as_ref()).await?, &files.id)?;
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
            deleted_at: None,
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
    let pipeline = PipelineRevision::pin(&project, &cards, default_model)?;
    projects.keep_pipeline(&pipeline).await?;
    Ok(pipeline)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bedrock_diy_core::{PromptId, card::CardDraft, catalogue::Catalogue, project::Settings};

    use super::*;
    use crate::{machine::Machine, project_files::FileCard};

    fn files(prompt: &str) -> ProjectFiles {
        ProjectFiles {
            id: ProjectId::new("news").unwrap(),
            name: "News".into(),
            description: String::new(),
            status: bedrock_diy_core::project::ProjectStatus::Active,
            settings: Settings::default(),
            cards: vec![FileCard {
                prompt_id: PromptId::new("facts").unwrap(),
                step_order: 10,
                is_active: true,
                draft: CardDraft {
                    title: "Facts".into(),
                    content: prompt.into(),
                    ..CardDraft::default()
                },
                path: "10-facts.md".into(),
            }],
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000)
    }

    #[tokio::test]
    async fn a_deleted_card_comes_back_with_its_file_and_a_deleted_project_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::open(folder.path(), Arc::new(Catalogue::own().unwrap())).unwrap();
        let projects = &machine.projects;
        let id = files("").id;
        push(projects, &files("Do it."), "a test", at(1)).await.unwrap();
        for (prompt, revision) in [("Do it.", 1), ("Do it well.", 2)] {
            let card = projects.cards(&id).await.unwrap().remove(0);
            let deleted = Card {
                is_active: false,
                deleted_at: Some(at(2)),
                version: card.version + 1,
                ..card
            };
            let saved = projects.put_card(&deleted, None).await.unwrap();
            assert_eq!(saved, Saved::Done);
            pin(projects, &files(prompt), "model").await.unwrap_err();

            push(projects, &files(prompt), "a test", at(3)).await.unwrap();
            let back = projects.cards(&id).await.unwrap().remove(0);
            assert!(back.is_active && !back.is_deleted());
            assert_eq!(
                back.revision, revision,
                "only what says something else is a revision"
            );
            pin(projects, &files(prompt), "model").await.unwrap();
        }

        let project = projects.project(&id).await.unwrap().unwrap();
        let deleted = Project {
            deleted_at: Some(at(4)),
            version: project.version + 1,
            ..project.clone()
        };
        let saved = projects.put_project(&deleted, Some(&project)).await.unwrap();
        assert_eq!(saved, Saved::Done);
        let refused = push(projects, &files("Do it."), "a test", at(5))
            .await
            .unwrap_err();
        assert!(
            refused.detail.contains("the project news was deleted"),
            "{refused}"
        );
        assert_eq!(projects.project(&id).await.unwrap(), Some(deleted));
        let gone = pin(projects, &files("Do it."), "model").await.unwrap_err();
        assert_eq!(gone.code, Code::ProjectNotFound);
    }

    #[tokio::test]
    async fn members_stay_and_what_is_too_long_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::open(folder.path(), Arc::new(Catalogue::own().unwrap())).unwrap();
        let projects = &machine.projects;
        let id = files("").id;
        push(projects, &files("Do it."), "a test", at(1)).await.unwrap();
        let project = projects.project(&id).await.unwrap().unwrap();
        let shared = Project {
            members: vec!["a colleague".into()],
            version: project.version + 1,
            ..project.clone()
        };
        let saved = projects.put_project(&shared, Some(&project)).await.unwrap();
        assert_eq!(saved, Saved::Done);
        let renamed = ProjectFiles {
            name: "Newsroom".into(),
            ..files("Do it.")
        };
        push(projects, &renamed, "a test", at(2)).await.unwrap();
        let stored = projects.project(&id).await.unwrap().unwrap();
        assert_eq!(
            (stored.name.as_str(), stored.members),
            ("Newsroom", shared.members)
        );

        let long = ProjectFiles {
            description: "a".repeat(5_000),
            ..files("Do it.")
        };
        let refused = push(projects, &long, "a test", at(3)).await.unwrap_err();
        assert!(refused.detail.contains("5000 bytes"), "{refused}");
    }
}
