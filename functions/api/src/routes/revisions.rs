//! Revisions of prompt cards: every one that was saved, what differs between two, and the way back.

use std::sync::Arc;

use axum::{extract::State, response::IntoResponse};
use bedrock_diy_core::{
    ProjectId, PromptId,
    access::Action,
    card::{Card, CardRevision},
    changes,
};
use serde::Deserialize;
use similar::TextDiff;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Api,
    body::Json,
    caller::By,
    conditions::IfMatch,
    documents::prompts::{FieldDiff, PromptDocument, RevisionDiff, RevisionDocument, Rollback},
    page::{Asking, Page, PageQuery},
    problem::Problem,
    routes::{At, prompts, prompts::PromptPath},
};

const TAG: &str = "Prompt cards";

/// Lines that a diff shows around what differs.
const CONTEXT: usize = 3;

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(read))
        .routes(routes!(diff))
        .routes(routes!(roll_back))
}

/// A revision's place.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Path)]
struct RevisionPath {
    /// The project's id.
    #[param(value_type = String)]
    project_id: ProjectId,
    /// The prompt card's id.
    #[param(value_type = String)]
    prompt_id: PromptId,
    /// The revision's number, counted from 1.
    #[param(minimum = 1)]
    revision: u32,
}

/// What to compare with.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Against {
    /// The older revision's number; the one before where nothing is said.
    #[param(minimum = 1)]
    against: Option<u32>,
}

/// List a prompt card's revisions, the newest first
#[utoipa::path(
    get, path = "/api/projects/{projectId}/prompts/{promptId}/revisions", tag = TAG, operation_id = "listRevisions",
    params(PromptPath, PageQuery), responses((status = OK, body = Page<RevisionDocument>))
)]
async fn list(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<PromptPath>,
    Asking(page): Asking<PageQuery>,
) -> Result<Json<Page<RevisionDocument>>, Problem> {
    api.project(&caller, &at.project_id, Action::Read).await?;
    api.card(&at).await?;
    let projects = &api.ports.projects;
    let found = projects
        .card_revisions(&at.project_id, &at.prompt_id, &page.request()?)
        .await?;
    Ok(Json(Page::of(found, |saved| RevisionDocument::from(&*saved))))
}

/// Read a revision of a prompt card
#[utoipa::path(
    get, path = "/api/projects/{projectId}/prompts/{promptId}/revisions/{revision}", tag = TAG, operation_id = "readRevision",
    params(RevisionPath), responses((status = OK, body = RevisionDocument))
)]
async fn read(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<RevisionPath>,
) -> Result<Json<RevisionDocument>, Problem> {
    api.project(&caller, &at.project_id, Action::Read).await?;
    let card = api.card(&at.card()).await?;
    let saved = api.revision(&card, at.revision).await?;
    Ok(Json(RevisionDocument::from(&*saved)))
}

/// Show what differs between two revisions of a prompt card
#[utoipa::path(
    get, path = "/api/projects/{projectId}/prompts/{promptId}/revisions/{revision}/diff", tag = TAG, operation_id = "diffRevisions",
    params(RevisionPath, Against), responses((status = OK, body = RevisionDiff))
)]
async fn diff(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<RevisionPath>,
    Asking(Against { against }): Asking<Against>,
) -> Result<Json<RevisionDiff>, Problem> {
    api.project(&caller, &at.project_id, Action::Read).await?;
    let card = api.card(&at.card()).await?;
    let newer = api.revision(&card, at.revision).await?;
    let older = match against.unwrap_or(at.revision - 1) {
        0 => {
            return Err(Problem::parameter(
                "against",
                "the first revision has none before it",
            ));
        }
        number => api.revision(&card, number).await?,
    };
    Ok(Json(compare(&older, &newer)))
}

/// Make an earlier revision of a prompt card the current one again, as a new revision
#[utoipa::path(
    post, path = "/api/projects/{projectId}/prompts/{promptId}/~rollback", tag = TAG, operation_id = "rollBackPrompt",
    params(PromptPath, ("If-Match" = String, Header, description = "The `ETag` of what you have read.")),
    request_body = Rollback, responses((status = OK, body = PromptDocument, headers(("ETag" = String))))
)]
async fn roll_back(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<PromptPath>,
    made_from: IfMatch,
    Json(back): Json<Rollback>,
) -> Result<impl IntoResponse, Problem> {
    api.project(&caller, &at.project_id, Action::Write).await?;
    let before = api.card(&at).await?;
    made_from.check(before.version)?;
    let earlier = api.revision(&before, back.revision).await?;
    let current = api.current(&before).await?;
    if earlier.draft == current.draft {
        return Ok(prompts::shown(&before, &current));
    }
    // What it uses may have been deleted since.
    prompts::sound(&earlier.draft, &api.names(&at.project_id).await?)?;
    let card = Card {
        revision: before.revision + 1,
        ..before.clone()
    };
    let revision = prompts::revision(&card, earlier.draft.clone(), &caller, back.note);
    let card = api.save(card, &before, Some(&revision)).await?;
    Ok(prompts::shown(&card, &revision))
}

impl RevisionPath {
    fn card(&self) -> PromptPath {
        PromptPath {
            project_id: self.project_id.clone(),
            prompt_id: self.prompt_id.clone(),
        }
    }
}

impl Api {
    /// A revision of a card that was saved. Fails with 404.
    async fn revision(&self, card: &Card, number: u32) -> Result<Arc<CardRevision>, Problem> {
        if number == 0 || number > card.revision {
            return Err(Problem::not_found(format!(
                "The card {} has the revisions 1 to {}.",
                card.prompt_id, card.revision
            )));
        }
        let projects = &self.ports.projects;
        Ok(projects
            .card_revision(&card.project_id, &card.prompt_id, number)
            .await?)
    }
}

fn compare(older: &CardRevision, newer: &CardRevision) -> RevisionDiff {
    let content = TextDiff::from_lines(&older.draft.content, &newer.draft.content);
    let names = (
        format!("revision {}", older.revision),
        format!("revision {}", newer.revision),
    );
    let said = |saved: &CardRevision| {
        serde_json::json!({
            "title": saved.draft.title,
            "tags": saved.draft.tags,
            "settings": saved.draft.settings,
        })
    };
    let changed = changes::fields(&said(older), &said(newer)).into_iter();
    let fields = changed.map(|change| FieldDiff {
        field: change.field,
        from: change.from,
        to: change.to,
    });
    RevisionDiff {
        from: older.revision,
        to: newer.revision,
        content: content
            .unified_diff()
            .context_radius(CONTEXT)
            .header(&names.0, &names.1)
            .to_string(),
        fields: fields.collect(),
    }
}

#[cfg(test)]
mod tests {
    use bedrock_diy_core::{card::CardDraft, time::Timestamp};
    use serde_json::{Value, json};

    use super::*;

    fn revision(number: u32, content: &str, settings: Value) -> CardRevision {
        CardRevision {
            project_id: ProjectId::new("news").unwrap(),
            prompt_id: PromptId::new("facts").unwrap(),
            revision: number,
            draft: CardDraft {
                title: "Facts".into(),
                tags: Vec::new(),
                content: content.into(),
                settings: serde_json::from_value(settings).unwrap(),
            },
            author: "ada".into(),
            note: String::new(),
            saved_at: Timestamp::default(),
        }
    }

    #[test]
    fn a_diff_shows_lines_and_fields_that_differ_and_no_others() {
        let older = revision(
            1,
            "One.\nTwo.\n",
            json!({"model": "m", "parameters": {"topP": 0.5}}),
        );
        let newer = revision(3, "One.\nThree.\n", json!({"model": "m", "timeoutSeconds": 9}));
        let diff = compare(&older, &newer);
        assert!(diff.content.contains("-Two.\n+Three."), "{}", diff.content);
        let fields: Vec<_> = diff
            .fields
            .iter()
            .map(|diff| (diff.field.as_str(), &diff.from, &diff.to))
            .collect();
        assert_eq!(
            fields,
            [
                ("/settings/timeoutSeconds", &None, &Some(json!(9))),
                ("/settings/parameters/topP", &Some(json!(0.5)), &None),
            ]
        );
        assert_eq!(compare(&older, &older).content, "");
        assert!(compare(&older, &older).fields.is_empty());
    }
}
