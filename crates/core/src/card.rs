//! Prompt cards and their revisions.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    error::{Code, Result},
    fault::{self, Fault},
    ids::{ProjectId, PromptId},
    judge::OutputSchema,
    limits,
    project::{Guardrail, InferenceParameters, guardrail_faults, model_faults, timeout_fault},
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
    /// When it was deleted. It is still stored then, because running jobs and old results refer to it, and it is
    /// never active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// How often it was saved, with a new revision or without.
    pub version: u32,
}

impl Card {
    /// Whether it was deleted.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CardSettings {
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(min_length = 1, max_length = 2048, nullable = false)
    )]
    pub model: Option<String>,
    /// Inference parameters.
    #[serde(default, skip_serializing_if = "InferenceParameters::is_empty")]
    pub parameters: InferenceParameters,
    /// How long the model call may take, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 780, nullable = false))]
    pub timeout_seconds: Option<u32>,
    /// What the model is given to work on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub input: Option<CardInput>,
    /// The JSON Schema that the output must satisfy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>, nullable = false))]
    pub output_schema: Option<Value>,
    /// The guardrail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub guardrail: Option<Guardrail>,
}

/// What a stage's user message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum CardInput {
    /// The previous stage's output; the article on the first stage. The default.
    Previous,
    /// The article.
    Article,
    /// Both, the article first.
    Both,
}

impl CardSettings {
    /// Everything that is wrong without knowing the model; `at` is the pointer of the settings.
    #[must_use]
    pub fn faults(&self, at: &str) -> Vec<Fault> {
        let mut faults = model_faults(self.model.as_deref(), at);
        faults.extend(self.parameters.faults(&format!("{at}/parameters")));
        faults.extend(timeout_fault(self.timeout_seconds, at));
        faults.extend(guardrail_faults(self.guardrail.as_ref(), at));
        if let Some(schema) = &self.output_schema {
            let field = format!("{at}/outputSchema");
            let bytes = schema.to_string().len();
            if bytes > limits::SCHEMA_BYTES {
                faults.push(Fault::invalid(
                    field,
                    format!(
                        "the card's `outputSchema` has {bytes} bytes, {} are allowed",
                        limits::SCHEMA_BYTES
                    ),
                ));
            } else if let Err(failure) = OutputSchema::parse(schema) {
                faults.push(Fault::new(failure.code, field, failure.detail));
            }
        }
        faults
    }
}

impl CardDraft {
    /// Checks everything that can be checked when a card is saved: its template with all variables
    /// (`names` are the project's cards), its schema, its parameters.
    ///
    /// Fails with [`Code::TemplateInvalid`] or [`Code::InvalidRequest`], naming what is wrong.
    pub fn check(&self, names: &[PromptId]) -> Result<()> {
        fault::check(&self.faults(names))
    }

    /// Everything that is wrong with it, as far as it can be said when a card is saved; `names` are the project's
    /// cards.
    #[must_use]
    pub fn faults(&self, names: &[PromptId]) -> Vec<Fault> {
        let mut faults = self.title_faults();
        faults.extend(
            self.content_faults(names)
                .into_iter()
                .map(|detail| Fault::new(Code::TemplateInvalid, "/content", detail)),
        );
        faults.extend(self.settings.faults("/settings"));
        faults
    }

    /// What is wrong with title and tags.
    fn title_faults(&self) -> Vec<Fault> {
        let too_much = |field: String| {
            Fault::invalid(
                field,
                format!(
                    "a card has a title and up to {} tags, each of up to {} bytes",
                    limits::TAGS,
                    limits::TITLE_BYTES
                ),
            )
        };
        let mut faults = Vec::new();
        if self.title.trim().is_empty() {
            faults.push(Fault::invalid("/title", "the card has no title"));
        }
        if self.title.len() > limits::TITLE_BYTES {
            faults.push(too_much("/title".into()));
        }
        if self.tags.len() > limits::TAGS {
            faults.push(too_much("/tags".into()));
        }
        let tags = self.tags.iter().enumerate();
        faults.extend(
            tags.filter(|(_, tag)| tag.len() > limits::TITLE_BYTES)
                .map(|(place, _)| too_much(format!("/tags/{place}"))),
        );
        faults
    }

    /// What is wrong with the system prompt, in sentences.
    fn content_faults(&self, names: &[PromptId]) -> Vec<String> {
        if self.content.trim().is_empty() {
            return vec!["the card is empty: write below the front matter what the model is to do".into()];
        }
        if self.content.len() > limits::CARD_BYTES {
            return vec![format!(
                "the card has {} bytes, {} are allowed",
                self.content.len(),
                limits::CARD_BYTES
            )];
        }
        Template::parse(&self.content)
            .and_then(|template| template.faults(names))
            .unwrap_or_else(|failure| vec![failure.detail])
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

    #[test]
    fn all_that_is_wrong_with_a_card_is_said_at_once() {
        let mut draft = CardDraft {
            title: String::new(),
            tags: vec!["fine".into(), "a".repeat(limits::TITLE_BYTES + 1)],
            content: "{{ artcle }} {{ previos }}".into(),
            ..CardDraft::default()
        };
        draft.settings.timeout_seconds = Some(0);
        draft.settings.parameters.top_p = Some(2.0);
        draft.settings.output_schema = Some(json!(1));
        let faults = draft.faults(&[]);
        let fields: Vec<_> = faults
            .iter()
            .map(|fault| (fault.field.as_str(), fault.code))
            .collect();
        assert_eq!(
            fields,
            [
                ("/title", Code::InvalidRequest),
                ("/tags/1", Code::InvalidRequest),
                ("/content", Code::TemplateInvalid),
                ("/content", Code::TemplateInvalid),
                ("/settings/parameters/topP", Code::InvalidRequest),
                ("/settings/timeoutSeconds", Code::InvalidRequest),
                ("/settings/outputSchema", Code::InvalidRequest),
            ]
        );
        let detail = draft.check(&[]).unwrap_err().detail;
        assert!(detail.starts_with("the card has no title; "), "{detail}");
        assert!(
            detail.contains("`artcle`") && detail.contains("`previos`"),
            "{detail}"
        );
    }
}
