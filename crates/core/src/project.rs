//! Projects and their settings.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Code, Failure, Result},
    ids::ProjectId,
    time::Timestamp,
};

/// Owns prompt cards, settings and members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Project {
    /// The project's id.
    pub project_id: ProjectId,
    /// Its name for people.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Who made it.
    pub owner: String,
    /// Whether it takes articles.
    pub status: ProjectStatus,
    /// What its cards start from.
    #[serde(default)]
    pub settings: Settings,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// How often it was saved: whoever changes it says which one they have read.
    pub version: u32,
}

/// Whether a project takes articles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ProjectStatus {
    /// It does.
    #[default]
    Active,
    /// Its articles fail with [`Code::ProjectInactive`].
    Inactive,
}

/// What a project says for all its cards. A card's own settings come first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The model that cards use which name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Inference parameters.
    #[serde(default, skip_serializing_if = "InferenceParameters::is_empty")]
    pub parameters: InferenceParameters,
    /// How long one model call may take, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// The Bedrock guardrail that every call goes through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guardrail: Option<Guardrail>,
    /// What one article may cost in bytes and dollars.
    #[serde(default, skip_serializing_if = "ArticleLimits::is_default")]
    pub limits: ArticleLimits,
}

/// Inference parameters as Bedrock's Converse names them; what is `None` was not said.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InferenceParameters {
    /// The longest answer, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// How freely the model chooses, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The share of likely tokens that the model chooses from, above 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Texts at which the model stops; at most four, as Converse takes no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<String>,
}

impl InferenceParameters {
    /// Whether nothing was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These parameters, and `fallback`'s where these say nothing.
    #[must_use]
    pub fn or(&self, fallback: &Self) -> Self {
        let stops = if self.stop_sequences.is_empty() {
            fallback
        } else {
            self
        };
        Self {
            max_tokens: self.max_tokens.or(fallback.max_tokens),
            temperature: self.temperature.or(fallback.temperature),
            top_p: self.top_p.or(fallback.top_p),
            stop_sequences: stops.stop_sequences.clone(),
        }
    }

    /// Checks the ranges that Converse documents for every model
    /// (`InferenceConfiguration`, Bedrock API reference, 2026-11).
    pub fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Failure::new(Code::InvalidRequest, what));
        if self.max_tokens == Some(0) {
            return wrong("`maxTokens` is 0: it must be at least 1".into());
        }
        if let Some(value) = self.temperature.filter(|value| !(0.0..=1.0).contains(value)) {
            return wrong(format!("`temperature` is {value}: it must lie between 0 and 1"));
        }
        if let Some(value) = self.top_p.filter(|value| !(*value > 0.0 && *value <= 1.0)) {
            return wrong(format!("`topP` is {value}: it must lie above 0 and be at most 1"));
        }
        if self.stop_sequences.len() > 4 || self.stop_sequences.iter().any(String::is_empty) {
            return wrong("`stopSequences` takes up to four texts, none of them empty".into());
        }
        Ok(())
    }
}

/// A Bedrock guardrail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Guardrail {
    /// Its identifier or ARN.
    pub id: String,
    /// Its version, or `DRAFT`.
    pub version: String,
}

/// What one article may cost.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArticleLimits {
    /// The largest file, in bytes; [`crate::limits::ARTICLE_BYTES`] where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub article_bytes: Option<u64>,
    /// The most that the stages of one article may cost together, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_per_article: Option<f64>,
}

impl ArticleLimits {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Settings {
    /// Checks everything that can be checked without knowing the model.
    pub fn check(&self) -> Result<()> {
        self.parameters.check()?;
        check_timeout(self.timeout_seconds)?;
        if let Some(cost) = self
            .limits
            .cost_per_article
            .filter(|cost| !(cost.is_finite() && *cost > 0.0))
        {
            return Err(Failure::new(
                Code::InvalidRequest,
                format!("`limits.costPerArticle` is {cost}: it must be a sum of dollars above 0"),
            ));
        }
        Ok(())
    }
}

/// Checks a `timeoutSeconds`.
pub fn check_timeout(seconds: Option<u32>) -> Result<()> {
    match seconds {
        Some(seconds) if !(1..=crate::limits::LONGEST_TIMEOUT_SECONDS).contains(&seconds) => {
            Err(Failure::new(
                Code::InvalidRequest,
                format!(
                    "`timeoutSeconds` is {seconds}: it must lie between 1 and {}",
                    crate::limits::LONGEST_TIMEOUT_SECONDS
                ),
            ))
        }
        _ => Ok(()),
    }
}
