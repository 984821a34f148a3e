//! Prompt cards and their revisions.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    error::{Code, Failure, Result},
    ids::{ProjectId, PromptId},
    limits,
    project::{Guardrail, InferenceParameters, check_timeout},
    render::Template,
    time::Timestamp,
};

/// A prompt card as it stands today: which revision is the current one, and where it comes in the
/// order of stages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Card {
    /// The project that owns it.
    pub project_id: ProjectId,
    /// Its id, and its name in templates.
    pub prompt_id: PromptId,
    /// Its place among the project's cards; equal places are ordered by id.
    pub step_order: u32,
    /// Whether new jobs run it.
    pub is_active: bool,
    /// The number of its current revision, counted from 1.
    pub revision: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// How often it was saved, with a new revision or without.
    pub version: u32,
}

/// What somebody saved: immutable from then on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CardRevision {
    /// The project that owns the card.
    pub project_id: ProjectId,
    /// The card.
    pub prompt_id: PromptId,
    /// Counted from 1.
    pub revision: u32,
    /// What was saved.
    #[serde(flatten)]
    pub draft: CardDraft,
    /// Who saved it.
    pub author: String,
    /// Why, in the author's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// When.
    pub saved_at: Timestamp,
}

/// What a revision says: the part of a card that people write.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CardDraft {
    /// Its title for people, and the head of its column in results.
    pub title: String,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The system prompt: a minijinja template.
    pub content: String,
    /// How its stage runs.
    #[serde(default)]
    pub settings: CardSettings,
}

/// How a card's stage runs; what is not said comes from the project's settings.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CardSettings {
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Inference parameters.
    #[serde(default, skip_serializing_if = "InferenceParameters::is_empty")]
    pub parameters: InferenceParameters,
    /// How long the model call may take, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// What the model is given to work on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<CardInput>,
    /// The JSON Schema that the output must satisfy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// The guardrail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guardrail: Option<Guardrail>,
}

/// What a stage's user message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CardInput {
    /// The previous stage's output; the article on the first stage. The default.
    Previous,
    /// The article.
    Article,
    /// Both, the article first.
    Both,
}

impl CardDraft {
    /// Checks everything that can be checked when a card is saved: its template with all variables
    /// (`names` are the project's cards), its schema, its parameters.
    ///
    /// Fails with [`Code::TemplateInvalid`] or [`Code::InvalidRequest`], naming what is wrong.
    pub fn check(&self, names: &[PromptId]) -> Result<()> {
        if self.title.trim().is_empty() {
            return Err(Failure::new(Code::InvalidRequest, "the card has no title"));
        }
        let too_long = |text: &String| text.len() > limits::TITLE_BYTES;
        if too_long(&self.title) || self.tags.iter().any(too_long) || self.tags.len() > limits::TAGS {
            return Err(Failure::new(
                Code::InvalidRequest,
                format!(
                    "a card has a title and up to {} tags, each of up to {} bytes",
                    limits::TAGS,
                    limits::TITLE_BYTES
                ),
            ));
        }
        if self.content.trim().is_empty() {
            return Err(Failure::new(
                Code::TemplateInvalid,
                "the card is empty: write below the front matter what the model is to do",
            ));
        }
        if self.content.len() > limits::CARD_BYTES {
            return Err(Failure::new(
                Code::TemplateInvalid,
                format!(
                    "the card has {} bytes, {} are allowed",
                    self.content.len(),
                    limits::CARD_BYTES
                ),
            ));
        }
        Template::parse(&self.content)?.check(names)?;
        self.settings.parameters.check()?;
        check_timeout(self.settings.timeout_seconds)?;
        if let Some(schema) = &self.settings.output_schema {
            let bytes = schema.to_string().len();
            if bytes > limits::SCHEMA_BYTES {
                return Err(Failure::new(
                    Code::InvalidRequest,
                    format!(
                        "the card's `outputSchema` has {bytes} bytes, {} are allowed",
                        limits::SCHEMA_BYTES
                    ),
                ));
            }
            crate::judge::OutputSchema::parse(schema)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn draft() -> CardDraft {
        CardDraft {
            title: "Facts".into(),
            content: "Extract the facts.".into(),
            ..CardDraft::default()
        }
    }

    #[test]
    fn what_is_too_long_for_an_item_is_refused_when_it_is_saved() {
        let refused = |change: &dyn Fn(&mut CardDraft)| {
            let mut draft = draft();
            change(&mut draft);
            draft.check(&[]).unwrap_err().code
        };
        draft().check(&[]).unwrap();
        let long = "a".repeat(limits::TITLE_BYTES + 1);
        assert_eq!(
            refused(&|draft| draft.title.clone_from(&long)),
            Code::InvalidRequest
        );
        assert_eq!(
            refused(&|draft| draft.tags = vec![long.clone()]),
            Code::InvalidRequest
        );
        assert_eq!(
            refused(&|draft| draft.tags = vec!["a".into(); limits::TAGS + 1]),
            Code::InvalidRequest
        );
        let schema = json!({"description": "a".repeat(limits::SCHEMA_BYTES)});
        assert_eq!(
            refused(&|draft| draft.settings.output_schema = Some(schema.clone())),
            Code::InvalidRequest
        );
    }
}
