use bedrock_diy_core::{
    ProjectId,
    project::{Project, ProjectStatus, Settings},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body::Document;

/// A project that is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewProject {
    /// Its id: 1 to 64 lower-case letters, digits and inner hyphens; made from its name where nothing is said.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$", nullable = false)]
    #[serde(default)]
    pub(crate) project_id: Option<ProjectId>,
    /// Its name for people.
    #[schema(min_length = 1, max_length = 500)]
    pub(crate) name: String,
    /// What it is for.
    #[schema(max_length = 4000, required = false)]
    #[serde(default)]
    pub(crate) description: String,
    /// The subjects of those who may work on it beside you.
    #[schema(max_items = 50, required = false)]
    #[serde(default)]
    pub(crate) members: Vec<String>,
    /// What its prompt cards start from.
    #[schema(required = false)]
    #[serde(default)]
    pub(crate) settings: Settings,
}

/// A change of a project: what is not said stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ProjectChange {
    /// Its name for people.
    #[schema(min_length = 1, max_length = 500, nullable = false)]
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// What it is for.
    #[schema(max_length = 4000, nullable = false)]
    #[serde(default)]
    pub(crate) description: Option<String>,
    /// Whether it takes articles.
    #[schema(nullable = false)]
    #[serde(default)]
    pub(crate) status: Option<ProjectStatus>,
    /// The subjects of those who may work on it beside its owner: all of them.
    #[schema(max_items = 50, nullable = false)]
    #[serde(default)]
    pub(crate) members: Option<Vec<String>>,
    /// What its prompt cards start from: all of it.
    #[schema(nullable = false)]
    #[serde(default)]
    pub(crate) settings: Option<Settings>,
}

impl Document for NewProject {}
impl Document for ProjectChange {}

/// A project.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Project)]
pub(crate) struct ProjectDocument {
    #[schema(value_type = String)]
    project_id: ProjectId,
    /// Its name for people.
    name: String,
    /// What it is for.
    description: String,
    /// The subject of whoever owns it.
    owner: String,
    /// The subjects of those who may work on it beside its owner.
    members: Vec<String>,
    /// Whether it takes articles.
    status: ProjectStatus,
    /// What its prompt cards start from.
    settings: Settings,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// How often it was saved: its `ETag`.
    version: u32,
}

impl From<Project> for ProjectDocument {
    fn from(project: Project) -> Self {
        Self {
            project_id: project.project_id,
            name: project.name,
            description: project.description,
            owner: project.owner,
            members: project.members,
            status: project.status,
            settings: project.settings,
            created_at: project.created_at,
            updated_at: project.updated_at,
            version: project.version,
        }
    }
}
