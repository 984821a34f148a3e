//! What a project and its cards say, from files or from an API.

use bedrock_diy_core::{
    ProjectId, PromptId,
    card::CardDraft,
    error::Result,
    project::{Project, ProjectStatus, Settings},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use crate::{
    project_files::{FileCard, ProjectFiles, as_a_file_has_it},
    remote::{PromptDocument, PromptSummary, Remote},
};

/// Cards that are read at once.
const AT_ONCE: usize = 8;

/// What an API has of a project.
pub(super) struct Stored {
    /// Nothing where it is not there.
    pub(super) project: Option<Project>,
    /// Its cards, the first stage first.
    pub(super) cards: Vec<PromptDocument>,
}

impl Stored {
    /// Reads it.
    pub(super) async fn read(remote: &Remote, id: &ProjectId) -> Result<Self> {
        let at = format!("/api/projects/{id}");
        let project: Project = match remote.get(&at).send().await {
            Ok(answer) => answer.json().await?,
            Err(refusal) if refusal.is_not_found() => {
                return Ok(Self {
                    project: None,
                    cards: Vec::new(),
                });
            }
            Err(refusal) => return Err(refusal.into()),
        };
        let listed: Vec<PromptSummary> = remote.list(&format!("{at}/prompts"), Vec::new()).all().await?;
        let read = stream::iter(listed).map(|listed| {
            let at = format!("{at}/prompts/{}", listed.prompt_id);
            async move { remote.get(&at).send().await?.json::<PromptDocument>().await }
        });
        Ok(Self {
            project: Some(project),
            cards: read.buffered(AT_ONCE).try_collect().await?,
        })
    }

    /// A card.
    pub(super) fn card(&self, id: &PromptId) -> Option<&PromptDocument> {
        self.cards.iter().find(|card| card.prompt_id == *id)
    }
}

/// What people write of a project, beside its cards.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SaidProject {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) status: ProjectStatus,
    pub(super) settings: Settings,
}

impl SaidProject {
    /// All of it as a document.
    pub(super) fn document(&self) -> Value {
        json!({
            "name": self.name, "description": self.description, "status": self.status, "settings": self.settings,
        })
    }
}

impl From<&ProjectFiles> for SaidProject {
    fn from(files: &ProjectFiles) -> Self {
        Self {
            name: files.name.clone(),
            description: files.description.clone(),
            status: files.status,
            settings: files.settings.clone(),
        }
    }
}

impl From<&Project> for SaidProject {
    fn from(project: &Project) -> Self {
        Self {
            name: project.name.clone(),
            description: project.description.clone(),
            status: project.status,
            settings: project.settings.clone(),
        }
    }
}

/// What people write of a card.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SaidCard {
    /// Its prompt is as a file has it: that an API keeps blank lines at its end is no difference.
    pub(super) draft: CardDraft,
    pub(super) is_active: bool,
    pub(super) step_order: u32,
}

impl SaidCard {
    /// All of it but the prompt, as a document.
    pub(super) fn about(&self) -> Value {
        json!({
            "title": self.draft.title, "tags": self.draft.tags, "isActive": self.is_active, "stepOrder": self.step_order,
            "settings": self.draft.settings,
        })
    }

    /// All of it, as a document.
    pub(super) fn document(&self) -> Value {
        let mut document = self.about();
        document["content"] = json!(self.draft.content);
        document
    }
}

impl From<&FileCard> for SaidCard {
    fn from(card: &FileCard) -> Self {
        Self {
            draft: card.draft.clone(),
            is_active: card.is_active,
            step_order: card.step_order,
        }
    }
}

impl From<&PromptDocument> for SaidCard {
    fn from(card: &PromptDocument) -> Self {
        let draft = card.draft();
        Self {
            draft: CardDraft {
                content: as_a_file_has_it(&draft.content),
                ..draft
            },
            is_active: card.is_active,
            step_order: card.step_order,
        }
    }
}
