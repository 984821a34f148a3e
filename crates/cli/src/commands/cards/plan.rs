//! What a push would change.

use bedrock_diy_core::{changes, changes::FieldChange};
use serde_json::Value;

use super::said::{SaidCard, SaidProject, Stored};
use crate::{
    project_files::{FileCard, ProjectFiles},
    remote::PromptDocument,
};

/// What is to be done, in this order.
pub(super) struct Plan<'a> {
    pub(super) project: ProjectStep,
    /// In the order of the cards' stages: a template may name only what comes before it, which is there then.
    pub(super) cards: Vec<CardStep<'a>>,
    /// The last stage first: none is deleted whose output another uses.
    pub(super) deleted: Vec<&'a PromptDocument>,
}

/// What becomes of the project itself.
pub(super) enum ProjectStep {
    Same,
    Create,
    Change(Vec<FieldChange>),
}

/// What becomes of a card.
pub(super) enum CardStep<'a> {
    Create(&'a FileCard),
    Change(CardChange<'a>),
}

/// A card that says something else.
pub(super) struct CardChange<'a> {
    pub(super) file: &'a FileCard,
    pub(super) stored: &'a PromptDocument,
    /// Whether its prompt does.
    pub(super) content: bool,
    /// What else does.
    pub(super) fields: Vec<FieldChange>,
}

impl<'a> Plan<'a> {
    /// What makes `stored` what `files` say.
    pub(super) fn between(files: &'a ProjectFiles, stored: &'a Stored) -> Self {
        let project = stored.project.as_ref().map_or(ProjectStep::Create, |project| {
            let (before, after) = (SaidProject::from(project), SaidProject::from(files));
            if before == after {
                ProjectStep::Same
            } else {
                ProjectStep::Change(changes::fields(&before.document(), &after.document()))
            }
        });
        let cards = files.cards.iter().filter_map(|file| {
            let Some(stored) = stored.card(&file.prompt_id) else {
                return Some(CardStep::Create(file));
            };
            let (before, after) = (SaidCard::from(stored), SaidCard::from(file));
            (before != after).then(|| {
                CardStep::Change(CardChange {
                    file,
                    stored,
                    content: before.draft.content != after.draft.content,
                    fields: changes::fields(&before.about(), &after.about()),
                })
            })
        });
        let is_gone =
            |card: &&PromptDocument| !files.cards.iter().any(|file| file.prompt_id == card.prompt_id);
        Self {
            project,
            cards: cards.collect(),
            deleted: stored.cards.iter().rev().filter(is_gone).collect(),
        }
    }

    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self.project, ProjectStep::Same) && self.cards.is_empty() && self.deleted.is_empty()
    }
}

/// A value of a document with fewer fields: those that differ, whole where they are groups.
pub(super) fn narrowed(document: &Value, fields: &[FieldChange]) -> Value {
    let mut narrowed = serde_json::Map::new();
    for change in fields {
        let name = change.field.split('/').nth(1).unwrap_or_default();
        if let Some(value) = document.get(name) {
            narrowed.insert(name.to_owned(), value.clone());
        }
    }
    Value::Object(narrowed)
}
