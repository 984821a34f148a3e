//! Projects and their settings.

use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    fault::{self, Fault},
    ids::ProjectId,
    limits,
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
    /// Who made it: the subject of a caller.
    pub owner: String,
    /// The subjects of the callers who may work on it beside the owner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// Whether it takes articles.
    pub status: ProjectStatus,
    /// What its cards start from.
    #[serde(default)]
    pub settings: Settings,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was deleted. It is still stored then, because running jobs and old results refer to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// How often it was saved: whoever changes it says which one they have read.
    pub version: u32,
}

impl Project {
    /// Whether it was deleted.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    /// Everything that is wrong with what people write of it.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.name.trim().is_empty() {
            faults.push(Fault::invalid("/name", "the project has no name"));
        }
        if self.name.len() > limits::TITLE_BYTES {
            faults.push(Fault::invalid(
                "/name",
                format!(
                    "the project's name has {} bytes, {} are allowed",
                    self.name.len(),
                    limits::TITLE_BYTES
                ),
            ));
        }
        if self.description.len() > limits::DESCRIPTION_BYTES {
            faults.push(Fault::invalid(
                "/description",
                format!(
                    "the project's description has {} bytes, {} are allowed",
                    self.description.len(),
                    limits::DESCRIPTION_BYTES
                ),
            ));
        }
        if self.members.len() > limits::MEMBERS {
            faults.push(Fault::invalid(
                "/members",
                format!(
                    "the project has {} members, {} are allowed",
                    self.members.len(),
                    limits::MEMBERS
                ),
            ));
        }
        let is_subject = |member: &str| {
            (1..=limits::SUBJECT_BYTES).contains(&member.len()) && !member.chars().any(char::is_control)
        };
        for (place, _) in self
            .members
            .iter()
            .enumerate()
            .filter(|(_, member)| !is_subject(member))
        {
            faults.push(Fault::invalid(
                format!("/members/{place}"),
                format!(
                    "a member is a subject of 1 to {} bytes without control characters",
                    limits::SUBJECT_BYTES
                ),
            ));
        }
        faults.extend(self.settings.faults("/settings"));
        faults
    }
}

/// Whether a project takes articles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum ProjectStatus {
    /// It does.
    #[default]
    Active,
    /// Its articles fail with [`Code::ProjectInactive`](crate::Code::ProjectInactive).
    Inactive,
}

/// What a project says for all its cards. A card's own settings come first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The model that cards use which name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(min_length = 1, max_length = 2048, nullable = false)
    )]
    pub model: Option<String>,
    /// Inference parameters.
    #[serde(default, skip_serializing_if = "InferenceParameters::is_empty")]
    pub parameters: InferenceParameters,
    /// How long one model call may take, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 780, nullable = false))]
    pub timeout_seconds: Option<u32>,
    /// The Bedrock guardrail that every call goes through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub guardrail: Option<Guardrail>,
    /// What one article may cost in bytes and dollars.
    #[serde(default, skip_serializing_if = "ArticleLimits::is_default")]
    pub limits: ArticleLimits,
}

/// Inference parameters as Bedrock's Converse names them; what is `None` was not said.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InferenceParameters {
    /// The longest answer, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(minimum = 1, maximum = 1_000_000, nullable = false)
    )]
    pub max_tokens: Option<u32>,
    /// How freely the model chooses, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 1, nullable = false))]
    pub temperature: Option<f64>,
    /// The share of likely tokens that the model chooses from, above 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "openapi",
        schema(exclusive_minimum = 0, maximum = 1, nullable = false)
    )]
    pub top_p: Option<f64>,
    /// Texts at which the model stops; at most four, as Converse takes no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(max_items = 4))]
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
        fault::check(&self.faults(""))
    }

    /// Everything that is out of those ranges; `at` is the pointer of the parameters.
    #[must_use]
    pub fn faults(&self, at: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.max_tokens == Some(0) {
            faults.push(Fault::invalid(
                format!("{at}/maxTokens"),
                "`maxTokens` is 0: it must be at least 1",
            ));
        }
        if let Some(value) = self.temperature.filter(|value| !(0.0..=1.0).contains(value)) {
            faults.push(Fault::invalid(
                format!("{at}/temperature"),
                format!("`temperature` is {value}: it must lie between 0 and 1"),
            ));
        }
        if let Some(value) = self.top_p.filter(|value| !(*value > 0.0 && *value <= 1.0)) {
            faults.push(Fault::invalid(
                format!("{at}/topP"),
                format!("`topP` is {value}: it must lie above 0 and be at most 1"),
            ));
        }
        if self.stop_sequences.len() > 4 || self.stop_sequences.iter().any(String::is_empty) {
            faults.push(Fault::invalid(
                format!("{at}/stopSequences"),
                "`stopSequences` takes up to four texts, none of them empty",
            ));
        }
        faults
    }
}

/// A Bedrock guardrail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Guardrail {
    /// Its identifier or ARN.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 2048))]
    pub id: String,
    /// Its version, or `DRAFT`.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 2048))]
    pub version: String,
}

/// What one article may cost.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArticleLimits {
    /// The largest file, in bytes; [`crate::limits::ARTICLE_BYTES`] where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(maximum = 1_000_000_000, nullable = false))]
    pub article_bytes: Option<u64>,
    /// The most that the stages of one article may cost together, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(exclusive_minimum = 0, nullable = false))]
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
        fault::check(&self.faults(""))
    }

    /// Everything that is wrong without knowing the model; `at` is the pointer of the settings.
    #[must_use]
    pub fn faults(&self, at: &str) -> Vec<Fault> {
        let mut faults = model_faults(self.model.as_deref(), at);
        faults.extend(self.parameters.faults(&format!("{at}/parameters")));
        faults.extend(timeout_fault(self.timeout_seconds, at));
        faults.extend(guardrail_faults(self.guardrail.as_ref(), at));
        let cost = self.limits.cost_per_article;
        if let Some(cost) = cost.filter(|cost| !(cost.is_finite() && *cost > 0.0)) {
            faults.push(Fault::invalid(
                format!("{at}/limits/costPerArticle"),
                format!("`limits.costPerArticle` is {cost}: it must be a sum of dollars above 0"),
            ));
        }
        faults
    }
}

/// Checks a `timeoutSeconds`.
pub fn check_timeout(seconds: Option<u32>) -> Result<()> {
    timeout_fault(seconds, "").map_or(Ok(()), |fault| fault::check(&[fault]))
}

/// What is wrong with the `timeoutSeconds` of the settings at this pointer.
pub(crate) fn timeout_fault(seconds: Option<u32>, at: &str) -> Option<Fault> {
    let most = limits::LONGEST_TIMEOUT_SECONDS;
    let seconds = seconds.filter(|seconds| !(1..=most).contains(seconds))?;
    Some(Fault::invalid(
        format!("{at}/timeoutSeconds"),
        format!("`timeoutSeconds` is {seconds}: it must lie between 1 and {most}"),
    ))
}

/// What is wrong with the `model` of the settings at this pointer.
pub(crate) fn model_faults(model: Option<&str>, at: &str) -> Vec<Fault> {
    let fault = model.and_then(|model| name_fault("model", model, format!("{at}/model")));
    fault.into_iter().collect()
}

/// What is wrong with the `guardrail` of the settings at this pointer.
pub(crate) fn guardrail_faults(guardrail: Option<&Guardrail>, at: &str) -> Vec<Fault> {
    let Some(Guardrail { id, version }) = guardrail else {
        return Vec::new();
    };
    let id = name_fault("guardrail.id", id, format!("{at}/guardrail/id"));
    let version = name_fault("guardrail.version", version, format!("{at}/guardrail/version"));
    id.into_iter().chain(version).collect()
}

/// What is wrong with what Bedrock is to know something by.
fn name_fault(what: &str, name: &str, field: String) -> Option<Fault> {
    let most = limits::MODEL_ID_BYTES;
    if name.trim().is_empty() {
        return Some(Fault::invalid(field, format!("`{what}` is empty")));
    }
    (name.len() > most).then(|| {
        Fault::invalid(
            field,
            format!("`{what}` has {} bytes, {most} are allowed", name.len()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn project() -> Project {
        Project {
            project_id: ProjectId::new("news").unwrap(),
            name: "News".into(),
            description: String::new(),
            owner: "the owner".into(),
            members: vec!["a member".into()],
            status: ProjectStatus::Active,
            settings: Settings::default(),
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            deleted_at: None,
            version: 1,
        }
    }

    #[test]
    fn all_that_is_wrong_with_a_project_is_said_at_once() {
        assert_eq!(project().faults(), []);
        let mut wrong = Project {
            name: " ".into(),
            description: "a".repeat(limits::DESCRIPTION_BYTES + 1),
            members: vec!["fine".into(), String::new(), "two\nlines".into()],
            settings: Settings {
                model: Some(String::new()),
                timeout_seconds: Some(0),
                guardrail: Some(Guardrail {
                    id: "a".repeat(limits::MODEL_ID_BYTES + 1),
                    version: String::new(),
                }),
                ..Settings::default()
            },
            ..project()
        };
        wrong.settings.parameters.max_tokens = Some(0);
        wrong.settings.parameters.temperature = Some(f64::NAN);
        wrong.settings.parameters.top_p = Some(0.0);
        wrong.settings.parameters.stop_sequences = vec![String::new()];
        wrong.settings.limits.cost_per_article = Some(-1.0);
        let faults = wrong.faults();
        let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "/name",
                "/description",
                "/members/1",
                "/members/2",
                "/settings/model",
                "/settings/parameters/maxTokens",
                "/settings/parameters/temperature",
                "/settings/parameters/topP",
                "/settings/parameters/stopSequences",
                "/settings/timeoutSeconds",
                "/settings/guardrail/id",
                "/settings/guardrail/version",
                "/settings/limits/costPerArticle",
            ]
        );
        assert!(faults.iter().all(|fault| fault.code == Code::InvalidRequest));
    }

    #[test]
    fn a_name_and_a_list_of_members_have_an_end() {
        let wrong = Project {
            name: "n".repeat(limits::TITLE_BYTES + 1),
            members: (0..=limits::MEMBERS).map(|number| number.to_string()).collect(),
            ..project()
        };
        let faults = wrong.faults();
        let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["/name", "/members"]);
    }
}
