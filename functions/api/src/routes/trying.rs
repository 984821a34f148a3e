//! Trying a prompt card, saved or not: one call, shown while it is answered, and nothing stored.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use bedrock_diy_core::{
    Code, Failure, JobId, PromptId,
    access::{Action, Caller},
    article::ArticleMeta,
    ask::Asking,
    card::{CardDraft, CardSettings},
    fault::Fault,
    judge::{self, OutputSchema, Verdict},
    model::{ModelAnswer, ModelRequest, Usage},
    project::Project,
    render::{Template, Variables},
};
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Api,
    body::{Document, Json},
    caller::By,
    problem::Problem,
    routes::{At, prompts, prompts::PromptPath},
};

const TAG: &str = "Prompt cards";

/// So long a connection without a word is closed by proxies; API Gateway's limit is 29 seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Pieces of an answer that wait for a slow reader.
const PIECES: usize = 256;

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(try_card))
}

/// What to try a prompt card with: a text, or what a job's stage worked on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Trial {
    /// What the card would say; what it says now where nothing is said.
    #[schema(nullable = false)]
    #[serde(default)]
    draft: Option<TrialDraft>,
    /// The text: the article, and the output of the stage before.
    #[schema(min_length = 1, nullable = false)]
    #[serde(default)]
    text: Option<String>,
    /// A job whose article passed this card, or came as far: its article, and the output of the stage before.
    #[schema(value_type = Option<String>, nullable = false)]
    #[serde(default)]
    job_id: Option<JobId>,
    /// What is known about the article, where it is a text: `meta.*` in the template.
    #[schema(value_type = Object, required = false)]
    #[serde(default)]
    metadata: Map<String, Value>,
}

/// What a prompt card would say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TrialDraft {
    /// The system prompt.
    #[schema(min_length = 1, max_length = 262_144)]
    content: String,
    /// How its stage would run.
    #[schema(required = false)]
    #[serde(default)]
    settings: CardSettings,
}

impl Document for Trial {
    const MAX_BYTES: usize = crate::documents::articles::INLINE_BYTES;
}

/// An event of a trial.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it describes what is written as a stream")]
struct TrialEvent {
    /// What happened.
    event: TrialEventKind,
    /// A JSON document. Of `rendered`: `model`, `system`, `messages`, `parameters`, `estimatedInputTokens` …; of
    /// `delta`: `text`; of `completed`: `text`, `usage`, `cost`, `modelMs`; of `failed`: `code`, `detail`, and
    /// `usage` and `cost` where an answer was paid all the same.
    data: String,
}

/// What happened in a trial.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "it describes what is written as a stream")]
enum TrialEventKind {
    Rendered,
    Delta,
    Completed,
    Failed,
}

/// What the model is asked, before it is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rendered<'a> {
    #[serde(flatten)]
    request: &'a ModelRequest,
    estimated_input_tokens: u64,
}

/// How a trial ended well.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Completed {
    text: String,
    usage: Usage,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    model_ms: u64,
}

/// How it did not.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failed {
    code: &'static str,
    detail: String,
    /// Tokens paid for all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
}

/// Try a prompt card, saved or not, on a text or on what a job's stage worked on
///
/// The answer is a stream of server-sent events: `rendered` with the system prompt, the messages and the estimated
/// tokens; `delta` with each piece of text as the model writes it; then `completed` with the whole text, tokens,
/// cost and time, or `failed` with a code and what to do. No job is made, and nothing is stored or taken from the
/// memo.
#[utoipa::path(
    post, path = "/api/projects/{projectId}/prompts/{promptId}/~try", tag = TAG, operation_id = "tryPrompt",
    params(PromptPath), request_body = Trial,
    responses(
        (status = OK, content_type = "text/event-stream", body = TrialEvent, description = "Events `rendered`, `delta`, and `completed` or `failed`"),
        (status = CONFLICT, description = "The job has not come as far as this card"),
    )
)]
async fn try_card(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<PromptPath>,
    Json(trial): Json<Trial>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let project = api.project(&caller, &at.project_id, Action::Write).await?;
    let draft = api.draft(&at, trial.draft.as_ref()).await?;
    let template = Template::parse(&draft.content)?;
    let worked_on = match (trial.text, &trial.job_id) {
        (Some(text), None) => WorkedOn::of_text(text, trial.metadata),
        (None, Some(job)) => api.worked_on(&caller, job, &at.prompt_id).await?,
        _ => {
            let detail = "say either a `text` or a `jobId` to try the card with";
            return Err(Problem::invalid(vec![Fault::new(
                Code::InvalidRequest,
                "",
                detail,
            )]));
        }
    };
    let settings = api.settings_of(project);
    let asking = Asking {
        prompt_id: &at.prompt_id,
        card: &draft.settings,
        project: &settings,
        stage: worked_on.stage,
    };
    let request = asking.request(&api.catalogue, &template, &worked_on.variables, Vec::new())?;
    let tokens = api.catalogue.estimated_input_tokens(&request);
    api.catalogue.check_fits(&request, tokens)?;
    let schema = draft
        .settings
        .output_schema
        .as_ref()
        .map(OutputSchema::parse)
        .transpose()?;
    let rendered = event(
        "rendered",
        &Rendered {
            request: &request,
            estimated_input_tokens: tokens,
        },
    );
    let (events, received) = mpsc::channel(PIECES);
    // Nobody takes it any more where the caller has gone: the next piece ends the call.
    let _ = events.send(rendered).await;
    let deadline = asking.deadline();
    tokio::spawn(async move {
        let ended = tokio::select! {
            ended = api.ask(&request, deadline, schema.as_ref(), &events) => ended,
            () = events.closed() => return,
        };
        let _ = events.send(ended).await;
    });
    let events = stream::unfold(received, |mut received| async move {
        received.recv().await.map(|event| (Ok(event), received))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// What a card is tried on.
struct WorkedOn {
    stage: u32,
    variables: Variables,
}

impl WorkedOn {
    fn of_text(text: String, metadata: Map<String, Value>) -> Self {
        let text: Arc<str> = text.into();
        Self {
            stage: 1,
            variables: Variables {
                article: Arc::clone(&text),
                previous: text,
                stages: BTreeMap::new(),
                meta: ArticleMeta::default(),
                more: metadata,
            },
        }
    }
}

impl Api {
    /// What the card says, or would say. Fails with 422 where it makes no sense.
    async fn draft(&self, at: &PromptPath, trial: Option<&TrialDraft>) -> Result<CardDraft, Problem> {
        let Some(trial) = trial else {
            let card = self.card(at).await?;
            return Ok(self.current(&card).await?.draft.clone());
        };
        let draft = CardDraft {
            title: at.prompt_id.to_string(),
            tags: Vec::new(),
            content: trial.content.clone(),
            settings: trial.settings.clone(),
        };
        // A card that is not saved yet may be tried, too.
        let mut names = self.names(&at.project_id).await?;
        names.push(at.prompt_id.clone());
        prompts::sound(&draft, &names)?;
        Ok(draft)
    }

    fn settings_of(&self, project: Project) -> bedrock_diy_core::project::Settings {
        let mut settings = project.settings;
        settings
            .model
            .get_or_insert_with(|| self.settings.default_model.clone());
        settings
    }

    /// What a job's stage of this card works or worked on.
    async fn worked_on(&self, caller: &Caller, id: &JobId, prompt: &PromptId) -> Result<WorkedOn, Problem> {
        let job = self.job(caller, id, Action::Read).await?;
        let too_early =
            || Problem::conflict(format!("The job {id} has not come as far as the card {prompt}."));
        let (Some(text), Some(hash)) = (&job.article.text, job.pipeline.as_deref()) else {
            return Err(too_early());
        };
        let pipeline = self.ports.projects.pipeline(&job.project_id, hash).await?;
        let place = pipeline.cards.iter().position(|card| card.prompt_id == *prompt);
        // A card that the job did not have would come after those that it had.
        let before = place.unwrap_or(pipeline.cards.len());
        let article: Arc<str> = self.stored_text(text).await?.into();
        let mut stages = BTreeMap::new();
        let mut previous = Arc::clone(&article);
        for stage in self.ports.jobs.stages(id).await?.iter().take(before) {
            previous = self.output(stage).await?.into();
            stages.insert(stage.prompt_id.clone(), Arc::clone(&previous));
        }
        if stages.len() < before {
            return Err(too_early());
        }
        let more = match &job.article.meta.more {
            Some(object) => serde_json::from_str(&self.stored_text(object).await?).unwrap_or_default(),
            None => Map::new(),
        };
        Ok(WorkedOn {
            stage: u32::try_from(before + 1).unwrap_or(u32::MAX),
            variables: Variables {
                article,
                previous,
                stages,
                meta: job.article.meta.clone(),
                more,
            },
        })
    }

    /// Asks the model, and says how that ended.
    async fn ask(
        &self,
        request: &ModelRequest,
        deadline: Duration,
        schema: Option<&OutputSchema>,
        events: &mpsc::Sender<Event>,
    ) -> Event {
        let mut on_delta = |text: &str| {
            // Whoever reads too slowly misses pieces; the whole text comes at the end.
            let _ = events.try_send(event("delta", &json!({ "text": text })));
        };
        let answer = match self.ports.model.converse(request, deadline, &mut on_delta).await {
            Ok(answer) => answer,
            Err(failure) => return event("failed", &failed(&failure, None, None)),
        };
        let cost = self.catalogue.cost(&request.model, &answer.usage);
        match judged(&answer, schema) {
            Ok(text) => event(
                "completed",
                &Completed {
                    text,
                    usage: answer.usage,
                    cost,
                    model_ms: u64::try_from(answer.latency.as_millis()).unwrap_or(u64::MAX),
                },
            ),
            Err(failure) => event("failed", &failed(&failure, Some(answer.usage), cost)),
        }
    }
}

/// What a stage would make of the answer, without the repair turn that it would have.
fn judged(answer: &ModelAnswer, schema: Option<&OutputSchema>) -> Result<String, Failure> {
    match judge::judge(answer, schema)? {
        Verdict::Output(text) => Ok(text),
        Verdict::Repair(fault) => Err(fault.failure()),
    }
}

fn failed(failure: &Failure, usage: Option<Usage>, cost: Option<f64>) -> Failed {
    Failed {
        code: failure.code.as_str(),
        detail: failure.message(),
        usage,
        cost: usage.and(cost),
    }
}

fn event(name: &str, data: &impl Serialize) -> Event {
    // What can't be written as JSON does not exist here; an empty event says so rather than nothing.
    let event = Event::default().event(name);
    event.json_data(data).unwrap_or_default()
}
