//! Pipeline revisions: what a job was accepted with.

use serde::{Deserialize, Serialize};

use crate::{
    card::Card,
    error::{Code, Failure, Result},
    ids::{ProjectId, PromptId},
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
    /// Pins what the project runs today. `default_model` is for projects that name none: what a job
    /// runs on is decided when it is accepted, not by whoever happens to run it.
    ///
    /// Fails with [`Code::ProjectInactive`] or [`Code::NoActiveCards`].
    pub fn pin(project: &Project, cards: &[Card], default_model: &str) -> Result<Self> {
        if project.status == ProjectStatus::Inactive {
            return Err(Failure::new(
                Code::ProjectInactive,
                format!("the project {} is inactive", project.project_id),
            ));
        }
        let mut active: Vec<_> = cards.iter().filter(|card| card.is_active).collect();
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
