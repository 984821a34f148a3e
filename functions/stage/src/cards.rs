//! Prompt cards, compiled and kept: a revision is immutable, so what was compiled once stays right.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bedrock_diy_core::{
    ProjectId, PromptId, card::CardRevision, error::Result, judge::OutputSchema, pipeline::PipelineCard,
    ports::Projects, render::Template,
};

/// A card's revision with its template and schema compiled.
#[derive(Debug)]
pub(crate) struct Card {
    saved: Arc<CardRevision>,
    template: Template,
    schema: Option<OutputSchema>,
}

/// The cards that were used lately.
#[derive(Debug, Default)]
pub(crate) struct Cards(Mutex<HashMap<(ProjectId, PromptId, u32), Arc<Card>>>);

/// More cards than this and all are compiled anew: it is a cache, not a copy.
const KEPT: usize = 1_024;

impl Cards {
    /// The card as the pipeline names it.
    pub(crate) async fn card(
        &self,
        projects: &dyn Projects,
        project: &ProjectId,
        card: &PipelineCard,
    ) -> Result<Arc<Card>> {
        let key = (project.clone(), card.prompt_id.clone(), card.revision);
        if let Some(kept) = self.kept().get(&key) {
            return Ok(Arc::clone(kept));
        }
        let saved = projects
            .card_revision(project, &card.prompt_id, card.revision)
            .await?;
        let template = Template::parse(&saved.draft.content)?;
        let schema = saved
            .draft
            .settings
            .output_schema
            .as_ref()
            .map(OutputSchema::parse)
            .transpose()?;
        let compiled = Arc::new(Card {
            saved,
            template,
            schema,
        });
        let mut kept = self.kept();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(key, Arc::clone(&compiled));
        Ok(compiled)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<(ProjectId, PromptId, u32), Arc<Card>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Card {
    pub(crate) fn prompt_id(&self) -> &PromptId {
        &self.saved.prompt_id
    }

    pub(crate) fn title(&self) -> &str {
        &self.saved.draft.title
    }

    pub(crate) fn revision(&self) -> u32 {
        self.saved.revision
    }

    pub(crate) fn settings(&self) -> &bedrock_diy_core::card::CardSettings {
        &self.saved.draft.settings
    }

    pub(crate) fn template(&self) -> &Template {
        &self.template
    }

    pub(crate) fn schema(&self) -> Option<&OutputSchema> {
        self.schema.as_ref()
    }
}
