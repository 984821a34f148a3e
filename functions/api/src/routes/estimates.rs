//! Estimates: tokens, cost and time of articles before they are run.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use bedrock_diy_core::{
    Code, PromptId,
    access::Action,
    ask::Asking,
    card::{Card, CardInput},
    fault::Fault,
    job::JobStatus,
    limits,
    model::{Message, ModelRequest, Usage},
    page::PageRequest,
    ports::JobFilter,
};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Api,
    body::{Document, Json},
    caller::By,
    problem::Problem,
    routes::{At, projects::ProjectPath},
};

const TAG: &str = "Articles";

/// Finished jobs that are looked at for how long answers are.
const LOOKED_AT: usize = 50;

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(estimate))
}

/// The articles to estimate for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EstimateRequest {
    /// Their texts, or how long they are.
    #[schema(min_items = 1, max_items = 10_000)]
    articles: Vec<ArticleSize>,
    /// The cards to run, in order; the project's active ones where nothing is said.
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 100, nullable = false)]
    #[serde(default)]
    prompts: Option<Vec<PromptId>>,
}

/// A text, or how long one is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ArticleSize {
    /// The text.
    #[schema(nullable = false)]
    #[serde(default)]
    text: Option<String>,
    /// Its length in characters, where there is no text: taken for English.
    #[schema(maximum = 50_000_000, nullable = false)]
    #[serde(default)]
    characters: Option<u32>,
    /// How many such articles there are.
    #[schema(minimum = 1, maximum = 1_000_000, required = false, default = 1)]
    #[serde(default = "one")]
    count: u32,
}

fn one() -> u32 {
    1
}

impl Document for EstimateRequest {
    const MAX_BYTES: usize = crate::documents::articles::INLINE_BYTES;
}

/// What the articles would take, about. What the memo has need not be paid and is not subtracted.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Estimate {
    /// How many articles.
    articles: u64,
    /// What each stage would take for all of them.
    stages: Vec<StageEstimate>,
    /// Tokens of all stages.
    usage: Usage,
    /// US dollars; not there where a model has no price.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    /// How long one article takes from stage to stage; not there where a card has not run yet.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_per_article: Option<f64>,
}

/// What a stage would take for all articles.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StageEstimate {
    #[schema(value_type = String)]
    prompt_id: PromptId,
    model: String,
    usage: Usage,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    /// What the length of its answers is taken from.
    basis: Basis,
    /// Articles that do not fit the model's context window, and would fail.
    too_long: u64,
}

/// What the length of answers is taken from.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Basis {
    /// The card's latest answers.
    History,
    /// The longest answer that the card allows: it is rather less.
    Limit,
}

/// How a card has answered lately, on average.
#[derive(Debug, Default, Clone, Copy)]
struct Habit {
    answers: f64,
    output_tokens: f64,
    seconds: f64,
}

/// Estimate tokens, cost and time of articles before they are run
#[utoipa::path(
    post, path = "/api/projects/{projectId}/estimate", tag = TAG, operation_id = "estimate",
    params(ProjectPath), request_body = EstimateRequest,
    responses((status = OK, body = Estimate), (status = CONFLICT, description = "The project has no active card"))
)]
async fn estimate(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<ProjectPath>,
    Json(asked): Json<EstimateRequest>,
) -> Result<Json<Estimate>, Problem> {
    let project = api.project(&caller, &at.project_id, Action::Read).await?;
    sound(&asked.articles)?;
    let cards = api.chosen(&at, asked.prompts).await?;
    let habits = api.habits(&at).await?;
    let mut settings = project.settings;
    settings
        .model
        .get_or_insert_with(|| api.settings.default_model.clone());
    let articles: u64 = asked
        .articles
        .iter()
        .map(|article| u64::from(article.count))
        .sum();
    let current = try_join_all(cards.iter().map(|card| api.current(card))).await?;
    let mut stages = Vec::new();
    // What each article's stage gets from the one before, in tokens.
    let mut previous: Option<f64> = None;
    for (stage, saved) in (1..).zip(&current) {
        let asking = Asking {
            prompt_id: &saved.prompt_id,
            card: &saved.draft.settings,
            project: &settings,
            stage,
        };
        let habit = habits.get(&saved.prompt_id).copied();
        let (shown, output) = api.stage(&asking, &saved.draft.content, &asked.articles, previous, habit)?;
        stages.push(shown);
        previous = Some(output);
    }
    let mut usage = Usage::default();
    for stage in &stages {
        usage += stage.usage;
    }
    let seconds = current
        .iter()
        .map(|saved| Some(habits.get(&saved.prompt_id)?.seconds));
    Ok(Json(Estimate {
        articles,
        usage,
        cost: stages.iter().map(|stage| stage.cost).sum(),
        seconds_per_article: seconds.sum(),
        stages,
    }))
}

fn sound(articles: &[ArticleSize]) -> Result<(), Problem> {
    let faults: Vec<_> = articles
        .iter()
        .enumerate()
        .filter(|(_, article)| article.text.is_some() == article.characters.is_some())
        .map(|(place, _)| {
            let field = format!("/articles/{place}");
            Fault::new(
                Code::InvalidRequest,
                field,
                "say either its `text` or its `characters`",
            )
        })
        .collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(faults))
    }
}

impl Api {
    async fn chosen(&self, at: &ProjectPath, prompts: Option<Vec<PromptId>>) -> Result<Vec<Card>, Problem> {
        let cards = self.cards(&at.project_id).await?;
        let Some(prompts) = prompts else {
            let active: Vec<_> = cards.into_iter().filter(|card| card.is_active).collect();
            if active.is_empty() {
                return Err(Problem::conflict(format!(
                    "The project {} has no active card.",
                    at.project_id
                )));
            }
            return Ok(active);
        };
        let find = |(place, id): (usize, &PromptId)| {
            cards
                .iter()
                .find(|card| card.prompt_id == *id)
                .cloned()
                .ok_or_else(|| {
                    let detail = format!("the project has no card {id}");
                    Fault::new(Code::InvalidRequest, format!("/prompts/{place}"), detail)
                })
        };
        let (mut found, mut faults) = (Vec::new(), Vec::new());
        for card in prompts.iter().enumerate().map(find) {
            match card {
                Ok(card) => found.push(card),
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() {
            Ok(found)
        } else {
            Err(Problem::invalid(faults))
        }
    }

    /// How the project's cards have answered lately.
    async fn habits(&self, at: &ProjectPath) -> Result<BTreeMap<PromptId, Habit>, Problem> {
        let filter = JobFilter {
            status: Some(JobStatus::Succeeded),
            ..JobFilter::of(at.project_id.clone())
        };
        let page = PageRequest {
            limit: LOOKED_AT,
            cursor: None,
        };
        let jobs = self.ports.job_index.list(&filter, &page).await?.items;
        let stages = try_join_all(jobs.iter().map(|job| self.ports.jobs.stages(&job.job_id))).await?;
        let mut habits: BTreeMap<PromptId, Habit> = BTreeMap::new();
        // Answers from the memo took no time and no tokens.
        for stage in stages
            .iter()
            .flat_map(|stages| stages.iter())
            .filter(|stage| !stage.memo_hit)
        {
            let habit = habits.entry(stage.prompt_id.clone()).or_default();
            habit.answers += 1.0;
            habit.output_tokens += stage.usage.output_tokens as f64;
            habit.seconds += stage.model_ms as f64 / 1_000.0;
        }
        for habit in habits.values_mut() {
            habit.output_tokens /= habit.answers;
            habit.seconds /= habit.answers;
        }
        Ok(habits)
    }

    /// A stage for all articles, and how many tokens an answer of it has.
    fn stage(
        &self,
        asking: &Asking<'_>,
        content: &str,
        articles: &[ArticleSize],
        previous: Option<f64>,
        habit: Option<Habit>,
    ) -> Result<(StageEstimate, f64), Problem> {
        let model = asking.model()?;
        let parameters = asking.card.parameters.or(&asking.project.parameters);
        let most = self.catalogue.parameters(&model, &parameters)?.max_tokens;
        let most = f64::from(most.unwrap_or(limits::MAX_TOKENS));
        let (output, basis) = match habit {
            Some(habit) => (habit.output_tokens, Basis::History),
            None => (most, Basis::Limit),
        };
        let tokens = |text: &str| self.tokens(&model, text);
        let around = tokens(content)
            + asking
                .card
                .output_schema
                .as_ref()
                .map_or(0.0, |schema| tokens(&schema.to_string()));
        let window = self
            .catalogue
            .family(&model)
            .map(|family| family.context_window as f64);
        let (mut input, mut count, mut too_long) = (0.0, 0.0, 0);
        for article in articles {
            let own = match (&article.text, article.characters) {
                (Some(text), _) => tokens(text),
                (None, characters) => {
                    f64::from(characters.unwrap_or_default()) * tokens(&"a".repeat(SAMPLE)) / SAMPLE as f64
                }
            };
            let read = around
                + match (asking.input(), previous) {
                    (CardInput::Previous, Some(previous)) => previous,
                    (CardInput::Both, Some(previous)) => own + previous,
                    (CardInput::Both, None) => own + own,
                    (CardInput::Previous, None) | (CardInput::Article, _) => own,
                };
            if window.is_some_and(|window| read + most > window) {
                too_long += u64::from(article.count);
            }
            count += f64::from(article.count);
            input += read * f64::from(article.count);
        }
        let usage = Usage {
            input_tokens: whole(input),
            output_tokens: whole(output * count),
            ..Usage::default()
        };
        let shown = StageEstimate {
            prompt_id: asking.prompt_id.clone(),
            cost: self.catalogue.cost(&model, &usage),
            model,
            usage,
            basis,
            too_long,
        };
        Ok((shown, output))
    }

    /// About how many tokens a text makes.
    fn tokens(&self, model: &str, text: &str) -> f64 {
        let request = ModelRequest {
            model: model.to_owned(),
            parameters: bedrock_diy_core::project::InferenceParameters::default(),
            system: String::new(),
            messages: vec![Message::user(text)],
            guardrail: None,
            output_schema: None,
            send_schema: false,
        };
        self.catalogue.estimated_input_tokens(&request) as f64
    }
}

/// Characters of which the tokens are estimated for a length.
const SAMPLE: usize = 1_000;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of tokens are positive and far below 2^53"
)]
fn whole(tokens: f64) -> u64 {
    tokens.ceil() as u64
}
