//! What columns a table has.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bedrock_diy_core::{ProjectId, PromptId, error::Result, pipeline::PipelineRevision, ports::Projects};
use serde_json::Value;

use crate::cell::Kind;

/// The columns before those of the cards.
const BEFORE: [&str; 4] = ["article", "status", "error", "message"];

/// The columns after those of the cards.
const AFTER: [(&str, Kind); 3] = [
    ("tokens", Kind::Integer),
    ("cost", Kind::Number),
    ("jobId", Kind::Text),
];

/// The columns of a table: `article`, `status`, `error` and `message` (the code and the sentence of a
/// failure), those of the cards, `tokens`, `cost` (estimated US dollars) and `jobId`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Columns {
    /// The cards in the order of their columns, each once.
    pub cards: Vec<CardColumn>,
}

/// The columns of a card: `{card}` with the whole output, and `{card}.{field}` for each field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardColumn {
    /// The card.
    pub prompt_id: PromptId,
    /// The fields of its outputs, in the order of its schema; none where it has no schema.
    pub fields: Vec<String>,
}

impl Columns {
    /// The columns of these cards, each with its output schema where it has one: a field is a property at
    /// the schema's top. A card may come several times, as its revisions: it has the fields of the first,
    /// and after them those that only the others have.
    #[must_use]
    pub fn of_cards<'a>(cards: impl IntoIterator<Item = (&'a PromptId, Option<&'a Value>)>) -> Self {
        let mut columns = Self::default();
        for (prompt_id, schema) in cards {
            let fields = &mut columns.card(prompt_id).fields;
            let properties = schema.and_then(|schema| schema.get("properties")?.as_object());
            for field in properties.into_iter().flat_map(|properties| properties.keys()) {
                if !fields.contains(field) {
                    fields.push(field.clone());
                }
            }
        }
        columns
    }

    /// The columns of the cards that jobs ran with, by their pipeline revisions: in the project's order of
    /// today, and after them what the project has no more. Fields are those of the revisions that the jobs
    /// ran with, the newest first.
    ///
    /// Fails as the port does.
    pub async fn of_pipelines(
        projects: &dyn Projects,
        project: &ProjectId,
        pipelines: &[Arc<PipelineRevision>],
    ) -> Result<Self> {
        let mut revisions: BTreeMap<&PromptId, BTreeSet<u32>> = BTreeMap::new();
        for card in pipelines.iter().flat_map(|pipeline| &pipeline.cards) {
            revisions
                .entry(&card.prompt_id)
                .or_default()
                .insert(card.revision);
        }
        let mut today = projects.cards(project).await?;
        today.sort_by(|a, b| (a.step_order, &a.prompt_id).cmp(&(b.step_order, &b.prompt_id)));
        let in_order = today.iter().map(|card| &card.prompt_id);
        let of_the_jobs = pipelines.iter().flat_map(|pipeline| &pipeline.cards);
        let mut cards = Vec::new();
        for prompt_id in in_order.chain(of_the_jobs.map(|card| &card.prompt_id)) {
            // What stood before is not there any more, and what no job ran never was.
            for revision in revisions.remove(prompt_id).into_iter().flatten().rev() {
                cards.push(projects.card_revision(project, prompt_id, revision).await?);
            }
        }
        Ok(Self::of_cards(cards.iter().map(|card| {
            (&card.prompt_id, card.draft.settings.output_schema.as_ref())
        })))
    }

    /// The names of the columns, each once.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.heads().into_iter().map(|(name, _)| name).collect()
    }

    /// The names of the columns, and what they hold.
    pub(crate) fn heads(&self) -> Vec<(String, Kind)> {
        let before = BEFORE.map(|name| (name.to_owned(), Kind::Text));
        let cards = self.cards.iter().flat_map(|card| {
            let field = |field| format!("{}.{field}", card.prompt_id);
            std::iter::once(card.name())
                .chain(card.fields.iter().map(field))
                .map(|name| (name, Kind::Text))
        });
        let after = AFTER.map(|(name, kind)| (name.to_owned(), kind));
        before.into_iter().chain(cards).chain(after).collect()
    }

    /// The columns of this card, made where they are not there.
    fn card(&mut self, prompt_id: &PromptId) -> &mut CardColumn {
        let place = self.cards.iter().position(|card| card.prompt_id == *prompt_id);
        let place = place.unwrap_or_else(|| {
            self.cards.push(CardColumn {
                prompt_id: prompt_id.clone(),
                fields: Vec::new(),
            });
            self.cards.len() - 1
        });
        &mut self.cards[place]
    }
}

impl CardColumn {
    /// The name of the column with the whole output: the card's. A card that is called as one of the other
    /// columns is told apart; a card's id has no brackets, so that nothing else is called so.
    fn name(&self) -> String {
        let card = self.prompt_id.as_str();
        if BEFORE.contains(&card) || AFTER.iter().any(|(name, _)| *name == card) {
            format!("{card} (card)")
        } else {
            card.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{columns, prompt};

    #[test]
    fn a_field_is_a_property_at_the_top_of_the_schema_in_its_order() {
        let (facts, headline) = (prompt("facts"), prompt("headline"));
        let newer = json!({"type": "object", "properties": {
            "who": {"type": "array"}, "b": {"properties": {"deep": {}}}, "a": {}
        }});
        let older = json!({"properties": {"when": {}, "who": {}}});
        let none = json!({"type": "string", "properties": 3});
        let made = Columns::of_cards([
            (&facts, Some(&newer)),
            (&headline, None),
            (&facts, Some(&older)),
            (&facts, Some(&none)),
        ]);
        assert_eq!(
            made,
            columns([("facts", &["who", "b", "a", "when"]), ("headline", &[])])
        );
    }

    #[test]
    fn no_two_columns_have_one_name() {
        let columns = columns([("article", &["title"]), ("error", &[]), ("facts", &["", "a"])]);
        assert_eq!(
            columns.names(),
            [
                "article",
                "status",
                "error",
                "message",
                "article (card)",
                "article.title",
                "error (card)",
                "facts",
                "facts.",
                "facts.a",
                "tokens",
                "cost",
                "jobId"
            ]
        );
    }
}
