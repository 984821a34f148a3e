use bedrock_diy_core::{
    ProjectId, PromptId,
    card::{Card, CardRevision, CardSettings},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body::Document;

/// A prompt card that is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewPrompt {
    /// Its id, and its name in templates; made from its title where nothing is said. The id of a deleted card
    /// brings that one back.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$", nullable = false)]
    #[serde(default)]
    pub(crate) prompt_id: Option<PromptId>,
    /// Its title for people, and the head of its column in results.
    #[schema(min_length = 1, max_length = 500)]
    pub(crate) title: String,
    /// Words to find it by.
    #[schema(max_items = 50, required = false)]
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    /// The system prompt: a minijinja template over `article`, `previous`, `stages.<name>.output` and `meta.*`.
    #[schema(min_length = 1, max_length = 262_144)]
    pub(crate) content: String,
    /// How its stage runs.
    #[schema(required = false)]
    #[serde(default)]
    pub(crate) settings: CardSettings,
    /// Whether new jobs run it.
    #[schema(default = true, required = false)]
    #[serde(default = "yes")]
    pub(crate) is_active: bool,
    /// Its place among the project's cards; behind all others where nothing is said.
    #[schema(minimum = 0, maximum = 1_000_000, nullable = false)]
    #[serde(default)]
    pub(crate) step_order: Option<u32>,
    /// Why, for whoever reads the revisions.
    #[schema(max_length = 500, required = false)]
    #[serde(default)]
    pub(crate) note: String,
}

/// A change of a prompt card: what is not said stays. Another title, content, settings or tags make a new
/// revision.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PromptChange {
    /// Its title for people.
    #[schema(min_length = 1, max_length = 500, nullable = false)]
    #[serde(default)]
    pub(crate) title: Option<String>,
    /// Words to find it by: all of them.
    #[schema(max_items = 50, nullable = false)]
    #[serde(default)]
    pub(crate) tags: Option<Vec<String>>,
    /// The system prompt.
    #[schema(min_length = 1, max_length = 262_144, nullable = false)]
    #[serde(default)]
    pub(crate) content: Option<String>,
    /// How its stage runs: all of it.
    #[schema(nullable = false)]
    #[serde(default)]
    pub(crate) settings: Option<CardSettings>,
    /// Whether new jobs run it.
    #[schema(nullable = false)]
    #[serde(default)]
    pub(crate) is_active: Option<bool>,
    /// Its place among the project's cards.
    #[schema(minimum = 0, maximum = 1_000_000, nullable = false)]
    #[serde(default)]
    pub(crate) step_order: Option<u32>,
    /// Why, for whoever reads the revisions.
    #[schema(max_length = 500, required = false)]
    #[serde(default)]
    pub(crate) note: String,
}

/// The order of a project's prompt cards.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PromptOrder {
    /// The ids of all of them, the first stage first.
    #[schema(value_type = Vec<String>, max_items = 100)]
    pub(crate) order: Vec<PromptId>,
}

/// Back to what a prompt card said before.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Rollback {
    /// The revision that is to be the current one again, as a new revision.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub(crate) revision: u32,
    /// Why, for whoever reads the revisions.
    #[schema(max_length = 500, required = false)]
    #[serde(default)]
    pub(crate) note: String,
}

impl Document for NewPrompt {}
impl Document for PromptChange {}
impl Document for PromptOrder {}
impl Document for Rollback {}

fn yes() -> bool {
    true
}

/// A prompt card in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PromptSummary {
    #[schema(value_type = String)]
    prompt_id: PromptId,
    /// Its title for people.
    title: String,
    /// Words to find it by.
    tags: Vec<String>,
    /// Whether new jobs run it.
    is_active: bool,
    /// Its place among the project's cards; equal places are ordered by id.
    step_order: u32,
    /// The number of its current revision, counted from 1.
    revision: u32,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// How often it was saved: its `ETag`.
    version: u32,
}

/// A prompt card with what it says.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Prompt)]
pub(crate) struct PromptDocument {
    #[schema(value_type = String)]
    project_id: ProjectId,
    #[serde(flatten)]
    summary: PromptSummary,
    /// The system prompt.
    content: String,
    /// How its stage runs.
    settings: CardSettings,
}

/// A saved revision of a prompt card.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Revision)]
pub(crate) struct RevisionDocument {
    #[schema(value_type = String)]
    prompt_id: PromptId,
    /// Counted from 1.
    revision: u32,
    /// Its title for people.
    title: String,
    /// Words to find it by.
    tags: Vec<String>,
    /// The system prompt.
    content: String,
    /// How its stage runs.
    settings: CardSettings,
    /// The subject of whoever saved it.
    author: String,
    /// Why, in their words.
    note: String,
    #[schema(value_type = String, format = DateTime)]
    saved_at: Timestamp,
}

/// What differs between two revisions.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RevisionDiff {
    /// The older one.
    pub(crate) from: u32,
    /// The newer one.
    pub(crate) to: u32,
    /// The system prompt's lines as a unified diff; empty where it is the same.
    pub(crate) content: String,
    /// What else differs.
    pub(crate) fields: Vec<FieldDiff>,
}

/// A field that differs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldDiff {
    /// Which: a JSON Pointer into the revision.
    pub(crate) field: String,
    /// What the older one says; not there where it says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<serde_json::Value>,
    /// What the newer one says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<serde_json::Value>,
}

impl PromptSummary {
    /// The card as it stands, with its current revision.
    pub(crate) fn of(card: &Card, current: &CardRevision) -> Self {
        Self {
            prompt_id: card.prompt_id.clone(),
            title: current.draft.title.clone(),
            tags: current.draft.tags.clone(),
            is_active: card.is_active,
            step_order: card.step_order,
            revision: card.revision,
            created_at: card.created_at,
            updated_at: card.updated_at,
            version: card.version,
        }
    }
}

impl PromptDocument {
    /// The card as it stands, with its current revision.
    pub(crate) fn of(card: &Card, current: &CardRevision) -> Self {
        Self {
            project_id: card.project_id.clone(),
            summary: PromptSummary::of(card, current),
            content: current.draft.content.clone(),
            settings: current.draft.settings.clone(),
        }
    }
}

impl From<&CardRevision> for RevisionDocument {
    fn from(saved: &CardRevision) -> Self {
        Self {
            prompt_id: saved.prompt_id.clone(),
            revision: saved.revision,
            title: saved.draft.title.clone(),
            tags: saved.draft.tags.clone(),
            content: saved.draft.content.clone(),
            settings: saved.draft.settings.clone(),
            author: saved.author.clone(),
            note: saved.note.clone(),
            saved_at: saved.saved_at,
        }
    }
}
