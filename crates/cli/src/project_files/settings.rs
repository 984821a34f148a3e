//! The settings that projects and cards share, each with its place. What is allowed is the domain's to say: every
//! value is put to it alone, so that all that are wrong are named, each in its line.

use bedrock_diy_core::{
    Failure,
    catalogue::Catalogue,
    project::{ArticleLimits, Guardrail, InferenceParameters, Settings, check_timeout},
};

use super::{
    fault::{Faults, Located, Place},
    fields::Fields,
};

/// Inference parameters, and where each of them stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct SaidParameters {
    /// All of them.
    pub(super) all: InferenceParameters,
    /// Each alone.
    singles: Vec<Located<InferenceParameters>>,
}

impl SaidParameters {
    /// Reads the group `parameters`.
    pub(super) fn read(fields: &mut Fields, faults: &mut Faults) -> Self {
        let mut group = fields.group("parameters", faults);
        let mut said = Self::default();
        if let Some(tokens) = group.whole("maxTokens", faults) {
            said.all.max_tokens = Some(tokens.value);
            said.add(tokens.place, |single| single.max_tokens = Some(tokens.value));
        }
        if let Some(temperature) = group.number("temperature", faults) {
            said.all.temperature = Some(temperature.value);
            said.add(temperature.place, |single| {
                single.temperature = Some(temperature.value);
            });
        }
        if let Some(top_p) = group.number("topP", faults) {
            said.all.top_p = Some(top_p.value);
            said.add(top_p.place, |single| single.top_p = Some(top_p.value));
        }
        if let Some(stops) = group.texts("stopSequences", faults) {
            said.all.stop_sequences.clone_from(&stops.value);
            said.add(stops.place, |single| single.stop_sequences = stops.value);
        }
        for single in &said.singles {
            judged(single.value.check(), single.place, faults);
        }
        said
    }

    /// Checks that this model takes them, and those of `project` that they leave standing. What is wrong on the
    /// card goes to `faults`, what is wrong with the project's to `project_faults`.
    pub(super) fn check_for(
        &self,
        model: &str,
        catalogue: &Catalogue,
        project: &Self,
        faults: &mut Faults,
        project_faults: &mut Faults,
    ) {
        let refusal = |said: &InferenceParameters| catalogue.parameters(model, said).err();
        let mut alone = true;
        for single in &self.singles {
            if let Some(failure) = refusal(&single.value) {
                faults.at(single.place, failure.detail);
                alone = false;
            }
        }
        let inherited = || {
            let overridden = |single: &InferenceParameters| self.all.or(single) == self.all;
            project
                .singles
                .iter()
                .filter(move |single| !overridden(&single.value))
        };
        for single in inherited() {
            if let Some(failure) = refusal(&single.value) {
                project_faults.at(single.place, failure.detail);
                alone = false;
            }
        }
        if alone && let Some(failure) = refusal(&self.all.or(&project.all)) {
            match (self.singles.last(), inherited().next_back()) {
                (Some(said), _) => faults.at(said.place, failure.detail),
                (None, Some(said)) => project_faults.at(said.place, failure.detail),
                (None, None) => faults.whole(failure.detail),
            }
        }
    }

    fn add(&mut self, place: Place, say: impl FnOnce(&mut InferenceParameters)) {
        let mut value = InferenceParameters::default();
        say(&mut value);
        self.singles.push(Located { value, place });
    }
}

/// Reads `timeoutSeconds`.
pub(super) fn timeout(fields: &mut Fields, faults: &mut Faults) -> Option<u32> {
    let said = fields.whole("timeoutSeconds", faults)?;
    judged(check_timeout(Some(said.value)), said.place, faults);
    Some(said.value)
}

/// Reads `model`.
pub(super) fn model(fields: &mut Fields, faults: &mut Faults) -> Option<String> {
    let said = fields.text("model", faults)?;
    if said.value.trim().is_empty() {
        faults.at(
            said.place,
            "`model` is empty: write a model id, or remove the line",
        );
    }
    Some(said.value)
}

/// Reads the group `guardrail`: both its fields or none.
pub(super) fn guardrail(fields: &mut Fields, faults: &mut Faults) -> Option<Guardrail> {
    let mut group = fields.group("guardrail", faults);
    let id = group.text("id", faults);
    let version = group.text("version", faults);
    match (id, version) {
        (Some(id), Some(version)) => Some(Guardrail {
            id: id.value,
            version: version.value,
        }),
        (None, None) => None,
        (Some(id), None) => {
            faults.at(
                id.place,
                "a guardrail needs its `version` too: a number, or `DRAFT`",
            );
            None
        }
        (None, Some(version)) => {
            faults.at(
                version.place,
                "a guardrail needs its `id` too: its identifier or ARN",
            );
            None
        }
    }
}

/// Reads the group `limits`.
pub(super) fn limits(fields: &mut Fields, faults: &mut Faults) -> ArticleLimits {
    let mut group = fields.group("limits", faults);
    let article_bytes = group.whole("articleBytes", faults);
    let cost = group.number("costPerArticle", faults);
    let limits = ArticleLimits {
        article_bytes: article_bytes.map(|said| said.value),
        cost_per_article: cost.as_ref().map(|said| said.value),
    };
    let settings = Settings {
        limits: limits.clone(),
        ..Settings::default()
    };
    if let Some(place) = cost.map(|said| said.place) {
        judged(settings.check(), place, faults);
    }
    limits
}

/// What the domain says of a value, in the value's place.
pub(super) fn judged(judgement: Result<(), Failure>, place: Place, faults: &mut Faults) {
    if let Err(failure) = judgement {
        faults.at(place, failure.detail);
    }
}
