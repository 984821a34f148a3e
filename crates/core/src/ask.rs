//! What a model is asked for a stage: the card's settings over the project's, rendered.

use std::time::Duration;

use crate::{
    card::{CardInput, CardSettings},
    catalogue::Catalogue,
    error::{Code, Failure, Result},
    ids::PromptId,
    limits,
    model::{Message, ModelRequest},
    project::Settings,
    render::{self, Template, Variables},
};

/// A card within a pipeline: what it says of itself, and what its project says for all cards.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The card, for messages.
    pub prompt_id: &'a PromptId,
    /// What the card says.
    pub card: &'a CardSettings,
    /// What its project says.
    pub project: &'a Settings,
    /// The stage's number, counted from 1.
    pub stage: u32,
}

impl Asking<'_> {
    /// The model. Fails with [`Code::ModelNotFound`] where none is named.
    pub fn model(&self) -> Result<String> {
        let named = self.card.model.as_ref().or(self.project.model.as_ref());
        named.cloned().ok_or_else(|| {
            Failure::new(
                Code::ModelNotFound,
                format!("no model is named for the card {}", self.prompt_id),
            )
        })
    }

    /// What the stage works on.
    #[must_use]
    pub fn input(&self) -> CardInput {
        self.card.input.unwrap_or(CardInput::Previous)
    }

    /// How long the call may take.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        let said = self.card.timeout_seconds.or(self.project.timeout_seconds);
        Duration::from_secs(u64::from(said.unwrap_or(limits::TIMEOUT_SECONDS)))
    }

    /// The request, after what was said before in the session. Fails as rendering does, and where the model takes
    /// no such parameters.
    pub fn request(
        &self,
        catalogue: &Catalogue,
        template: &Template,
        variables: &Variables,
        mut before: Vec<Message>,
    ) -> Result<ModelRequest> {
        let model = self.model()?;
        let parameters = self.card.parameters.or(&self.project.parameters);
        let (article, previous) = (&variables.article, &variables.previous);
        before.push(render::user_message(self.input(), self.stage, article, previous));
        Ok(ModelRequest {
            parameters: catalogue.parameters(&model, &parameters)?,
            send_schema: catalogue
                .family(&model)
                .is_some_and(|family| family.structured_output),
            system: template.render(variables)?,
            model,
            messages: before,
            guardrail: self
                .card
                .guardrail
                .clone()
                .or_else(|| self.project.guardrail.clone()),
            output_schema: self.card.output_schema.clone(),
        })
    }
}
