//! Pipeline revisions: what a job was accepted with.

use serde::{Deserialize, Serialize};

use crate::{
    card::Card,
    error::{Code, Failure, Result},
    ids::{ProjectId, PromptId},
    ports::Projects,
    project::{Project, ProjectStatus, Settings},
    text::sha256_hex,
};

/// The ordered cards, each with its revision, that were active when a job was accepted, and the
/// project's settings. Immutable, and named by its own hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PipelineRevision {
    /// SHA-256 over everything below, in hexadecimal.
    pub hash: String,
    /// The project.
    pub project_id: ProjectId,
    /// The cards in their order: stage 1 is `cards[0]`.
    pub cards: Vec<PipelineCard>,
    /// The project's settings.
    pub settings: Settings,
}

/// One card of a pipeline revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PipelineCard {
    /// The card.
    pub prompt_id: PromptId,
    /// Its revision.
    pub revision: u32,
}

impl PipelineRevision {
    /// What the project runs now, kept so that jobs can name it.
    ///
    /// Fails as [`PipelineRevision::pin`] does, and with [`Code::ProjectNotFound`] for a project that is not
    /// there.
    pub async fn current(
        projects: &dyn Projects,
        project_id: &ProjectId,
        default_model: &str,
    ) -> Result<Self> {
        let project = projects.project(project_id).await?.ok_or_else(|| {
            Failure::new(Code::ProjectNotFound, format!("there is no project {project_id}"))
        })?;
        let cards = projects.cards(project_id).await?;
        let pipeline = Self::pin(&project, &cards, default_model)?;
        projects.keep_pipeline(&pipeline).await?;
        Ok(pipeline)
    }

    /// Pins what the project runs today. `default_model` is for projects that name none: what a job
    /// runs on is decided when it is accepted, not by whoever happens to run it.
    ///
    /// Fails with [`Code::ProjectNotFound`] for a deleted project, with [`Code::ProjectInactive`] or
    /// [`Code::NoActiveCards`].
    pub fn pin(project: &Project, cards: &[Card], default_model: &str) -> Result<Self> {
        if project.is_deleted() {
            return Err(Failure::new(
                Code::ProjectNotFound,
                format!("the project {} was deleted", project.project_id),
            ));
        }
        if project.status == ProjectStatus::Inactive {
            return Err(Failure::new(
                Code::ProjectInactive,
                format!("the project {} is inactive", project.project_id),
            ));
        }
        let mut active: Vec<_> = cards
            .iter()
            .filter(|card| card.is_active && !card.is_deleted())
            .collect();
        if active.is_empty() {
            return Err(Failure::new(
                Code::NoActiveCards,
                format!("the project {} has no active prompt card", project.project_id),
            ));
        }
        active.sort_by(|a, b| (a.step_order, &a.prompt_id).cmp(&(b.step_order, &b.prompt_id)));
        let cards = active
            .into_iter()
            .map(|card| PipelineCard {
                prompt_id: card.prompt_id.clone(),
                revision: card.revision,
            })
            .collect();
        let mut settings = project.settings.clone();
        settings.model.get_or_insert_with(|| default_model.to_owned());
        let mut pipeline = Self {
            hash: String::new(),
            project_id: project.project_id.clone(),
            cards,
            settings,
        };
        pipeline.hash = pipeline.digest()?;
        Ok(pipeline)
    }

    /// The number of stages.
    #[must_use]
    pub fn stages(&self) -> u32 {
        u32::try_from(self.cards.len()).unwrap_or(u32::MAX)
    }

    /// The card of a stage, counted from 1.
    pub fn card(&self, stage: u32) -> Result<&PipelineCard> {
        usize::try_from(stage)
            .ok()
            .and_then(|stage| self.cards.get(stage.checked_sub(1)?))
            .ok_or_else(|| {
                Failure::new(
                    Code::InternalError,
                    format!(
                        "stage {stage} was asked for, the pipeline has {}",
                        self.cards.len()
                    ),
                )
            })
    }

    fn digest(&self) -> Result<String> {
        let json = serde_json::to_vec(&(&self.project_id, &self.cards, &self.settings)).map_err(|error| {
            Failure::new(
                Code::InternalError,
                format!("a pipeline revision can't be written as JSON: {error}"),
            )
        })?;
        Ok(sha256_hex(&json))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn project() -> Project {
        Project {
            project_id: ProjectId::new("news").unwrap(),
            name: "News".into(),
            description: String::new(),
            owner: "somebody".into(),
            members: Vec::new(),
            status: ProjectStatus::Active,
            settings: Settings::default(),
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            deleted_at: None,
            version: 1,
        }
    }

    fn card(id: &str) -> Card {
        Card {
            project_id: project().project_id,
            prompt_id: PromptId::new(id).unwrap(),
            step_order: 1,
            is_active: true,
            revision: 1,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            deleted_at: None,
            version: 1,
        }
    }

    #[test]
    fn what_was_deleted_never_runs() {
        let deleted = Card {
            deleted_at: Some(Timestamp::default()),
            ..card("deleted")
        };
        let pinned = PipelineRevision::pin(&project(), &[deleted.clone(), card("facts")], "model").unwrap();
        let cards: Vec<_> = pinned.cards.iter().map(|card| card.prompt_id.as_str()).collect();
        assert_eq!(cards, ["facts"]);
        let refused = |project: &Project, cards: &[Card]| {
            PipelineRevision::pin(project, cards, "model").unwrap_err().code
        };
        assert_eq!(refused(&project(), &[deleted]), Code::NoActiveCards);
        let gone = Project {
            deleted_at: Some(Timestamp::default()),
            ..project()
        };
        assert_eq!(refused(&gone, &[card("facts")]), Code::ProjectNotFound);
    }
}
