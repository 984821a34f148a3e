//! Projects: create, list, read, change, delete.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use bedrock_diy_core::{
    Code, ProjectId,
    access::{self, Action, Role},
    fault::Fault,
    ids,
    job::JobStatus,
    page::PageRequest,
    ports::{JobFilter, Saved},
    project::{Project, ProjectStatus},
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Api,
    body::Json,
    caller::By,
    conditions::{IfMatch, etag},
    documents::projects::{NewProject, ProjectChange, ProjectDocument},
    page::{Asking, Page, PageQuery},
    problem::Problem,
    routes::{At, located},
};

const TAG: &str = "Projects";

pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(read, change, delete))
}

/// A project's place.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Path)]
pub(crate) struct ProjectPath {
    /// The project's id.
    #[param(value_type = String)]
    pub(crate) project_id: ProjectId,
}

/// Whose projects to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// All projects instead of yours: for administrators.
    #[serde(default)]
    #[param(required = false)]
    all: bool,
}

/// List the projects that you own or are a member of, the newest first
#[utoipa::path(
    get, path = "/api/projects", tag = TAG, operation_id = "listProjects", params(PageQuery, Whose),
    responses((status = OK, body = Page<ProjectDocument>))
)]
async fn list(
    State(api): State<Arc<Api>>,
    By(caller): By,
    Asking(page): Asking<PageQuery>,
    Asking(whose): Asking<Whose>,
) -> Result<Json<Page<ProjectDocument>>, Problem> {
    let member = match (whose.all, caller.role) {
        (true, Role::Admin) => None,
        (true, _) => return Err(Problem::forbidden("Only administrators list all projects.")),
        (false, _) => Some(caller.subject.as_str()),
    };
    let found = api.ports.projects.projects(member, &page.request()?).await?;
    Ok(Json(Page::of(found, ProjectDocument::from)))
}

/// Create a project, which is yours then
#[utoipa::path(
    post, path = "/api/projects", tag = TAG, operation_id = "createProject", request_body = NewProject,
    responses(
        (status = CREATED, body = ProjectDocument, headers(("Location" = String), ("ETag" = String))),
        (status = CONFLICT, description = "A project has that id"),
    )
)]
async fn create(
    State(api): State<Arc<Api>>,
    By(caller): By,
    Json(new): Json<NewProject>,
) -> Result<impl IntoResponse, Problem> {
    if !access::may_create(&caller) {
        return Err(Problem::forbidden("Viewers read projects, and create none."));
    }
    let project_id = match new.project_id {
        Some(id) => id,
        None => ProjectId::new(ids::slug_of(&new.name)).map_err(|_| {
            let detail = "the name has no letters to make an id from: say one";
            Problem::invalid(vec![Fault::new(Code::InvalidRequest, "/projectId", detail)])
        })?,
    };
    let now = api.now();
    let project = Project {
        project_id,
        name: new.name,
        description: new.description,
        owner: caller.subject,
        members: new.members,
        status: ProjectStatus::Active,
        settings: new.settings,
        created_at: now,
        updated_at: now,
        version: 1,
        deleted_at: None,
    };
    sound(&project)?;
    match api.ports.projects.put_project(&project, None).await? {
        Saved::Done => {}
        // Also where it is somebody else's, or was deleted: ids are not used twice.
        Saved::Stale => {
            return Err(Problem::conflict(format!(
                "The id {} is taken: choose another `projectId`.",
                project.project_id
            )));
        }
    }
    let place = located(&format!("/api/projects/{}", project.project_id));
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], shown(project)))
}

/// Read a project
#[utoipa::path(
    get, path = "/api/projects/{projectId}", tag = TAG, operation_id = "readProject", params(ProjectPath),
    responses((status = OK, body = ProjectDocument, headers(("ETag" = String))))
)]
async fn read(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<ProjectPath>,
) -> Result<impl IntoResponse, Problem> {
    let project = api.project(&caller, &at.project_id, Action::Read).await?;
    Ok(shown(project))
}

/// Change a project, or switch it off: an inactive one takes no articles
#[utoipa::path(
    patch, path = "/api/projects/{projectId}", tag = TAG, operation_id = "changeProject",
    params(ProjectPath, ("If-Match" = String, Header, description = "The `ETag` of what you have read.")),
    request_body = ProjectChange,
    responses((status = OK, body = ProjectDocument, headers(("ETag" = String))))
)]
async fn change(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<ProjectPath>,
    made_from: IfMatch,
    Json(change): Json<ProjectChange>,
) -> Result<impl IntoResponse, Problem> {
    let before = api.project(&caller, &at.project_id, Action::Manage).await?;
    made_from.check(before.version)?;
    let project = Project {
        name: change.name.unwrap_or_else(|| before.name.clone()),
        description: change.description.unwrap_or_else(|| before.description.clone()),
        members: change.members.unwrap_or_else(|| before.members.clone()),
        status: change.status.unwrap_or(before.status),
        settings: change.settings.unwrap_or_else(|| before.settings.clone()),
        ..before.clone()
    };
    sound(&project)?;
    if project == before {
        return Ok(shown(before));
    }
    save(&api, project, &before).await.map(shown)
}

/// Delete a project that runs no jobs; its results are kept as long as the deployment keeps results
#[utoipa::path(
    delete, path = "/api/projects/{projectId}", tag = TAG, operation_id = "deleteProject",
    params(ProjectPath, ("If-Match" = String, Header, description = "The `ETag` of what you have read.")),
    responses((status = NO_CONTENT), (status = CONFLICT, description = "Jobs run"))
)]
async fn delete(
    State(api): State<Arc<Api>>,
    By(caller): By,
    At(at): At<ProjectPath>,
    made_from: IfMatch,
) -> Result<StatusCode, Problem> {
    let before = api.project(&caller, &at.project_id, Action::Manage).await?;
    made_from.check(before.version)?;
    for status in [JobStatus::Running, JobStatus::Accepted] {
        let filter = JobFilter {
            status: Some(status),
            ..JobFilter::of(at.project_id.clone())
        };
        let one = PageRequest {
            limit: 1,
            cursor: None,
        };
        if !api.ports.job_index.list(&filter, &one).await?.items.is_empty() {
            return Err(Problem::conflict(format!(
                "Jobs of the project {} run: set its status to INACTIVE, wait for them or cancel them, and delete it then.",
                at.project_id
            )));
        }
    }
    let project = Project {
        status: ProjectStatus::Inactive,
        deleted_at: Some(api.now()),
        ..before.clone()
    };
    save(&api, project, &before).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Everything that is wrong with the project, as a problem.
fn sound(project: &Project) -> Result<(), Problem> {
    let faults = project.faults();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(faults))
    }
}

async fn save(api: &Api, project: Project, before: &Project) -> Result<Project, Problem> {
    let project = Project {
        updated_at: api.now(),
        version: before.version + 1,
        ..project
    };
    match api.ports.projects.put_project(&project, Some(before)).await? {
        Saved::Done => Ok(project),
        Saved::Stale => {
            let stands = api.ports.projects.project(&project.project_id).await?;
            Err(Problem::stale(etag(
                stands.map_or(project.version, |stands| stands.version),
            )))
        }
    }
}

fn shown(project: Project) -> impl IntoResponse {
    (
        [(header::ETAG, etag(project.version))],
        Json(ProjectDocument::from(project)),
    )
}
