//! Prompt cards: create, list in order, read, change, order, delete.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use bedrock_diy_core::{
    Code, ProjectId, PromptId,
    access::{Action, Caller},
    card::{Card, CardDraft, CardRevision},
    fault::Fault,
    ids, limits,
    ports::Saved,
    render::{StageNeeds, Template},
};
use futures_util::future::try_join_all;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Api,
    body::Json,
    caller::By,
    conditions::{IfMatch, etag},
    documents::prompts::{NewPrompt, PromptChange, PromptDocument, PromptOrder, PromptSummary},
    page::Page,
    problem::Problem,
    routes::{At, located, projects::ProjectPath},
};

const TAG: &str = "Prompt cards";

/// The room between two cards' places, so that one can come between.
const STEP: u32 = 10;

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(reorder))
        .routes(routes!(read, change, delete))
}

/// A prompt card's place.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Path)]
pub(crate) struct PromptPath {
    /// The project's id.
    #[param(value_type = String)]
    pub(crate) project_id: ProjectId,
    /// The prompt card's id.
    #[param(value_type = String)]
    pub(crate) prompt_id: PromptId,
}

/// List a project's prompt cards, the first stage first
#[utoipa::path(
    get, path = "/api/projects/{projectId}/prompts", tag = TAG, operation_id = "listPrompts", params(ProjectPath),
    responses((status = OK, body = Page<PromptSummary>, description = "All of them: a project has up to 100."))
)]
async fn list(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<ProjectPath>,
) -> Result<Json<Page<PromptSummary>>, Problem> {
    api.project(&caller, &at.project_id, Action::Read).await?;
    let cards = api.cards(&at.project_id).await?;
    let current = try_join_all(cards.iter().map(|card| api.current(card))).await?;
    let items = cards.iter().zip(current);
    Ok(Json(Page {
        items: items
            .map(|(card, current)| PromptSummary::of(card, &current))
            .collect(),
        next: None,
    }))
}

/// Create a prompt card
#[utoipa::path(
    post, path = "/api/projects/{projectId}/prompts", tag = TAG, operation_id = "createPrompt",
    params(ProjectPath), request_body = NewPrompt,
    responses(
        (status = CREATED, body = PromptDocument, headers(("Location" = String), ("ETag" = String))),
        (status = CONFLICT, description = "A card has that id, or the project has as many as it may have"),
    )
)]
async fn create(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<ProjectPath>,
    Json(new): Json<NewPrompt>,
) -> Result<impl IntoResponse, Problem> {
    api.project(&caller, &at.project_id, Action::Write).await?;
    let draft = CardDraft {
        title: new.title,
        tags: new.tags,
        content: new.content,
        settings: new.settings,
    };
    let stored = api.ports.projects.cards(&at.project_id).await?;
    let prompt_id = identify(new.prompt_id, &draft, &stored)?;
    let earlier = stored.iter().find(|card| card.prompt_id == prompt_id);
    if earlier.is_some_and(|card| !card.is_deleted()) {
        return Err(Problem::conflict(format!(
            "The project has a card {prompt_id} already: choose another `promptId`, or change that one."
        )));
    }
    let standing: Vec<_> = stored.iter().filter(|card| !card.is_deleted()).collect();
    if standing.len() >= limits::CARDS {
        return Err(Problem::conflict(format!(
            "The project has {} prompt cards, which is as many as it may have.",
            limits::CARDS
        )));
    }
    let behind = standing.iter().map(|card| card.step_order).max();
    let now = api.now();
    let card = Card {
        project_id: at.project_id.clone(),
        prompt_id: prompt_id.clone(),
        step_order: new
            .step_order
            .unwrap_or_else(|| behind.map_or(STEP, |last| last.saturating_add(STEP))),
        is_active: new.is_active,
        revision: earlier.map_or(1, |card| card.revision + 1),
        created_at: earlier.map_or(now, |card| card.created_at),
        updated_at: now,
        version: earlier.map_or(1, |card| card.version + 1),
        deleted_at: None,
    };
    let names = standing.iter().map(|card| card.prompt_id.clone());
    sound(&draft, &names.chain([prompt_id.clone()]).collect::<Vec<_>>())?;
    let revision = revision(&card, draft, &caller, new.note);
    match api.ports.projects.put_card(&card, Some(&revision)).await? {
        Saved::Done => {}
        Saved::Stale => {
            return Err(Problem::conflict(format!(
                "Somebody else has made a card {prompt_id} just now."
            )));
        }
    }
    let place = located(&format!("/api/projects/{}/prompts/{prompt_id}", at.project_id));
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, place)],
        shown(&card, &revision),
    ))
}

/// Read a prompt card with what it says
#[utoipa::path(
    get, path = "/api/projects/{projectId}/prompts/{promptId}", tag = TAG, operation_id = "readPrompt", params(PromptPath),
    responses((status = OK, body = PromptDocument, headers(("ETag" = String))))
)]
async fn read(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<PromptPath>,
) -> Result<impl IntoResponse, Problem> {
    api.project(&caller, &at.project_id, Action::Read).await?;
    let card = api.card(&at).await?;
    let current = api.current(&card).await?;
    Ok(shown(&card, &current))
}

/// Change a prompt card: jobs that were accepted before keep the revision that they were accepted with
#[utoipa::path(
    patch, path = "/api/projects/{projectId}/prompts/{promptId}", tag = TAG, operation_id = "changePrompt",
    params(PromptPath, ("If-Match" = String, Header, description = "The `ETag` of what you have read.")),
    request_body = PromptChange,
    responses((status = OK, body = PromptDocument, headers(("ETag" = String))))
)]
async fn change(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<PromptPath>,
    made_from: IfMatch,
    Json(change): Json<PromptChange>,
) -> Result<impl IntoResponse, Problem> {
    api.project(&caller, &at.project_id, Action::Write).await?;
    let before = api.card(&at).await?;
    made_from.check(before.version)?;
    let current = api.current(&before).await?;
    let draft = CardDraft {
        title: change.title.unwrap_or_else(|| current.draft.title.clone()),
        tags: change.tags.unwrap_or_else(|| current.draft.tags.clone()),
        content: change.content.unwrap_or_else(|| current.draft.content.clone()),
        settings: change.settings.unwrap_or_else(|| current.draft.settings.clone()),
    };
    let is_new = draft != current.draft;
    let card = Card {
        is_active: change.is_active.unwrap_or(before.is_active),
        step_order: change.step_order.unwrap_or(before.step_order),
        revision: before.revision + u32::from(is_new),
        ..before.clone()
    };
    if card == before {
        return Ok(shown(&before, &current));
    }
    let new = if is_new {
        sound(&draft, &api.names(&at.project_id).await?)?;
        Some(revision(&card, draft, &caller, change.note))
    } else {
        None
    };
    let card = api.save(card, &before, new.as_ref()).await?;
    Ok(shown(&card, new.as_ref().unwrap_or(&current)))
}

/// Order all prompt cards of a project at once
#[utoipa::path(
    post, path = "/api/projects/{projectId}/prompts/~reorder", tag = TAG, operation_id = "reorderPrompts",
    params(ProjectPath), request_body = PromptOrder,
    responses(
        (status = OK, body = Page<PromptSummary>),
        (status = CONFLICT, description = "The project has other cards than are listed"),
    )
)]
async fn reorder(
    State(api): State<Arc<Api>>,
    by: By,
    At(at): At<ProjectPath>,
    Json(wanted): Json<PromptOrder>,
) -> Result<Json<Page<PromptSummary>>, Problem> {
    api.project(&by.0, &at.project_id, Action::Write).await?;
    let cards = api.cards(&at.project_id).await?;
    let mut listed = wanted.order.clone();
    let mut there: Vec<_> = cards.iter().map(|card| card.prompt_id.clone()).collect();
    listed.sort();
    there.sort();
    if listed != there {
        let ids: Vec<_> = there.iter().map(PromptId::as_str).collect();
        return Err(Problem::conflict(format!(
            "List each card of the project once; they are: {}.",
            ids.join(", ")
        )));
    }
    let now = api.now();
    let place = |id: &PromptId| wanted.order.iter().position(|listed| listed == id);
    // All of them, also those that stay: one that somebody changes or deletes meanwhile keeps all from being
    // stored, so what is stored is the order of the cards that were there.
    let moved: Vec<_> = cards
        .into_iter()
        .map(|card| {
            let place = place(&card.prompt_id).and_then(|place| u32::try_from(place).ok());
            Card {
                step_order: place.map_or(card.step_order, |place| (place + 1) * STEP),
                updated_at: now,
                version: card.version + 1,
                ..card
            }
        })
        .collect();
    if api.ports.projects.put_cards(&moved).await? == Saved::Stale {
        return Err(Problem::conflict(
            "Somebody else has changed the project's cards just now: list them again, and send the order again.",
        ));
    }
    list(State(api), by, At(at)).await
}

/// Delete a prompt card: jobs that were accepted with it go on with it
#[utoipa::path(
    delete, path = "/api/projects/{projectId}/prompts/{promptId}", tag = TAG, operation_id = "deletePrompt",
    params(PromptPath, ("If-Match" = String, Header, description = "The `ETag` of what you have read.")),
    responses(
        (status = NO_CONTENT),
        (status = CONFLICT, description = "Another card's template uses its output"),
    )
)]
async fn delete(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<PromptPath>,
    made_from: IfMatch,
) -> Result<StatusCode, Problem> {
    api.project(&caller, &at.project_id, Action::Write).await?;
    let before = api.card(&at).await?;
    made_from.check(before.version)?;
    for other in api.cards(&at.project_id).await? {
        if other.prompt_id == at.prompt_id {
            continue;
        }
        let saved = api.current(&other).await?;
        if uses(&saved.draft.content, &at.prompt_id) {
            return Err(Problem::conflict(format!(
                "The card {} uses the output of {}: change that one first.",
                other.prompt_id, at.prompt_id
            )));
        }
    }
    let card = Card {
        is_active: false,
        deleted_at: Some(api.now()),
        ..before.clone()
    };
    api.save(card, &before, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The id of a card that is to be. Fails with everything that is wrong with the card where none can be made.
fn identify(said: Option<PromptId>, draft: &CardDraft, stored: &[Card]) -> Result<PromptId, Problem> {
    if let Some(id) = said {
        return Ok(id);
    }
    PromptId::new(ids::slug_of(&draft.title)).map_err(|_| {
        let names: Vec<_> = stored.iter().map(|card| card.prompt_id.clone()).collect();
        let detail = "the title has no letters to make an id from: say one";
        let mut faults = draft.faults(&names);
        faults.push(Fault::new(Code::InvalidRequest, "/promptId", detail));
        Problem::invalid(faults)
    })
}

/// Whether a template names the output of this card. One that looks outputs up as it goes takes what there is.
fn uses(content: &str, card: &PromptId) -> bool {
    Template::parse(content).is_ok_and(|template| match &template.needs().stages {
        StageNeeds::All => false,
        named @ StageNeeds::Named(_) => named.contains(card),
    })
}

/// Everything that is wrong with what a card is to say, as a problem.
pub(crate) fn sound(draft: &CardDraft, names: &[PromptId]) -> Result<(), Problem> {
    let faults = draft.faults(names);
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(faults))
    }
}

/// The card's current revision as it is to be.
pub(crate) fn revision(card: &Card, draft: CardDraft, author: &Caller, note: String) -> CardRevision {
    CardRevision {
        project_id: card.project_id.clone(),
        prompt_id: card.prompt_id.clone(),
        revision: card.revision,
        draft,
        author: author.subject.clone(),
        note,
        saved_at: card.updated_at,
    }
}

/// The card, with the tag of its version.
pub(crate) fn shown(card: &Card, current: &CardRevision) -> impl IntoResponse + use<> {
    (
        [(header::ETAG, etag(card.version))],
        Json(PromptDocument::of(card, current)),
    )
}

impl Api {
    /// The project's cards that are not deleted, the first stage first.
    pub(crate) async fn cards(&self, project: &ProjectId) -> Result<Vec<Card>, Problem> {
        let mut cards = self.ports.projects.cards(project).await?;
        cards.retain(|card| !card.is_deleted());
        cards.sort_by(|a, b| (a.step_order, &a.prompt_id).cmp(&(b.step_order, &b.prompt_id)));
        Ok(cards)
    }

    /// The names that templates of the project may use.
    pub(crate) async fn names(&self, project: &ProjectId) -> Result<Vec<PromptId>, Problem> {
        let cards = self.cards(project).await?;
        Ok(cards.into_iter().map(|card| card.prompt_id).collect())
    }

    /// A card that is not deleted. Fails with 404.
    pub(crate) async fn card(&self, at: &PromptPath) -> Result<Card, Problem> {
        let cards = self.cards(&at.project_id).await?;
        let found = cards.into_iter().find(|card| card.prompt_id == at.prompt_id);
        found.ok_or_else(|| {
            Problem::not_found(format!(
                "The project {} has no card {}.",
                at.project_id, at.prompt_id
            ))
        })
    }

    /// What a card says now.
    pub(crate) async fn current(&self, card: &Card) -> Result<Arc<CardRevision>, Problem> {
        let projects = &self.ports.projects;
        Ok(projects
            .card_revision(&card.project_id, &card.prompt_id, card.revision)
            .await?)
    }

    /// Stores a changed card, with its new revision where there is one. Fails with 412 where somebody else was
    /// faster.
    pub(crate) async fn save(
        &self,
        card: Card,
        before: &Card,
        revision: Option<&CardRevision>,
    ) -> Result<Card, Problem> {
        let card = Card {
            updated_at: self.now(),
            version: before.version + 1,
            ..card
        };
        match self.ports.projects.put_card(&card, revision).await? {
            Saved::Done => Ok(card),
            Saved::Stale => {
                let stands = self.ports.projects.cards(&card.project_id).await?;
                let stands = stands.iter().find(|stands| stands.prompt_id == card.prompt_id);
                Err(Problem::stale(etag(
                    stands.map_or(card.version, |stands| stands.version),
                )))
            }
        }
    }
}
