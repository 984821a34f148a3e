//! From a job and its card to the request that goes to the model.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bedrock_diy_core::{
    Code, Failure, PromptId,
    article::{self, Bucket, ObjectRef},
    ask::Asking,
    card::CardInput,
    error::Result,
    history,
    job::Job,
    limits, memo,
    model::ModelRequest,
    pipeline::PipelineRevision,
    render::{Needs, Variables},
};

use crate::{Stage, cards::Card};

/// A stage, ready to be asked.
pub(crate) struct Prepared {
    pub(crate) card: Arc<Card>,
    pub(crate) pipeline: Arc<PipelineRevision>,
    pub(crate) request: ModelRequest,
    pub(crate) memo_key: String,
    pub(crate) deadline: Duration,
    /// The stage's number, counted from 1.
    pub(crate) stage: u32,
    /// Who holds the place in the model's line.
    pub(crate) holder: String,
    /// What a call takes of the model's quota of tokens, about.
    pub(crate) quota_tokens: u64,
    /// About how many tokens are to be read.
    pub(crate) input_tokens: u64,
    pub(crate) next_card: Option<PromptId>,
}

/// What a job was accepted with, for one stage.
pub(crate) struct Pinned {
    pipeline: Arc<PipelineRevision>,
    card: Arc<Card>,
    pub(crate) model: String,
}

/// The name of a stage among those who wait for a model.
pub(crate) fn holder(job: &Job, stage: u32) -> String {
    format!("{}#{stage}", job.job_id)
}

impl Prepared {
    /// Where the stage's output lies; its size is known when there is one.
    pub(crate) fn output(&self, job: &Job, stage: u32) -> ObjectRef {
        let key = article::output_key(&job.project_id, &job.job_id, stage, self.card.prompt_id());
        ObjectRef {
            bucket: Bucket::Results,
            key,
            version: None,
            size: 0,
        }
    }
}

impl Stage {
    /// The stage's card and model, as they were when the job was accepted.
    pub(crate) async fn pinned(&self, job: &Job, stage: u32) -> Result<Pinned> {
        let hash = job.pipeline.as_deref().unwrap_or_default();
        let pipeline = self.ports.projects.pipeline(&job.project_id, hash).await?;
        let card = self
            .cards
            .card(&*self.ports.projects, &job.project_id, pipeline.card(stage)?)
            .await?;
        let model = Asking {
            prompt_id: card.prompt_id(),
            card: card.settings(),
            project: &pipeline.settings,
            stage,
        }
        .model()?;
        Ok(Pinned {
            pipeline,
            card,
            model,
        })
    }

    /// Renders the stage and checks that it fits the model, before anything is paid.
    pub(crate) async fn prepare(&self, job: &Job, stage: u32) -> Result<Prepared> {
        let Pinned { pipeline, card, .. } = self.pinned(job, stage).await?;
        let next_card = pipeline.card(stage + 1).ok().map(|card| card.prompt_id.clone());
        let asking = Asking {
            prompt_id: card.prompt_id(),
            card: card.settings(),
            project: &pipeline.settings,
            stage,
        };
        let variables = self
            .variables(job, &pipeline, stage, asking.input(), card.template().needs())
            .await?;
        let history = self.history(job).await?;
        let request = asking.request(&self.catalogue, card.template(), &variables, history)?;
        let deadline = asking.deadline();
        let input_tokens = self.catalogue.estimated_input_tokens(&request);
        self.catalogue.check_fits(&request, input_tokens)?;
        Ok(Prepared {
            memo_key: memo::memo_key(&job.project_id, &request),
            holder: holder(job, stage),
            quota_tokens: self.catalogue.estimated_quota_tokens(&request, input_tokens),
            input_tokens,
            stage,
            deadline,
            card,
            request,
            next_card,
            pipeline,
        })
    }

    async fn variables(
        &self,
        job: &Job,
        pipeline: &PipelineRevision,
        stage: u32,
        input: CardInput,
        needs: &Needs,
    ) -> Result<Variables> {
        let first = stage == 1;
        let wants_previous = needs.previous || input != CardInput::Article;
        let wants_article = needs.article || input != CardInput::Previous || (first && wants_previous);
        let article: Arc<str> = match (&job.article.text, wants_article) {
            (Some(text), true) => self.text(text).await?.into(),
            _ => Arc::default(),
        };
        let previous = match (&job.last_output, wants_previous) {
            (_, true) if first => Arc::clone(&article),
            (Some(output), true) => self.text(output).await?.into(),
            _ => Arc::default(),
        };
        let mut stages = BTreeMap::new();
        for (number, earlier) in (1..stage).zip(&pipeline.cards) {
            if needs.stages.contains(&earlier.prompt_id) {
                let key = article::output_key(&job.project_id, &job.job_id, number, &earlier.prompt_id);
                let output = ObjectRef {
                    bucket: Bucket::Results,
                    key,
                    version: None,
                    size: 0,
                };
                stages.insert(earlier.prompt_id.clone(), self.text(&output).await?.into());
            }
        }
        Ok(Variables {
            article,
            previous,
            stages,
            meta: job.article.meta.clone(),
            more: self.metadata(job, needs).await?,
        })
    }

    /// What else is known about the article, where the card asks for it.
    async fn metadata(&self, job: &Job, needs: &Needs) -> Result<serde_json::Map<String, serde_json::Value>> {
        match &job.article.meta.more {
            Some(object) if needs.metadata => {
                serde_json::from_str(&self.text(object).await?).map_err(|error| {
                    Failure::new(
                        Code::InternalError,
                        format!("{} was stored as a JSON object and is none: {error}", object.key),
                    )
                })
            }
            _ => Ok(serde_json::Map::new()),
        }
    }

    async fn history(&self, job: &Job) -> Result<Vec<bedrock_diy_core::model::Message>> {
        let Some(session) = &job.session_id else {
            return Ok(Vec::new());
        };
        let exchanges = self
            .ports
            .history
            .recent(&job.project_id, session, limits::HISTORY_MESSAGES / 2)
            .await?;
        Ok(history::messages(&exchanges))
    }

    /// A stored text.
    pub(crate) async fn text(&self, object: &ObjectRef) -> Result<String> {
        let bytes = self.ports.objects.get(object).await?;
        String::from_utf8(bytes).map_err(|_| {
            Failure::new(
                Code::InternalError,
                format!("{} was stored as text and is none", object.key),
            )
        })
    }
}
