use bedrock_diy_core::{
    HookId, ProjectId,
    hook::{Hook, Mapping, Scheme},
    intake::Lane,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::body::Document;

/// A hook that is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewHook {
    /// Its name for people.
    #[schema(min_length = 1, max_length = 500)]
    pub(crate) name: String,
    /// How deliveries prove who sent them.
    pub(crate) scheme: Scheme,
    /// Where in the posted JSON the article lies.
    pub(crate) mapping: Mapping,
    /// The queue that its articles wait in; `live` where nothing is said.
    #[schema(nullable = false)]
    #[serde(default)]
    pub(crate) lane: Option<Lane>,
    /// The secret, where the CMS has made one; a new one where nothing is said.
    #[schema(min_length = 16, max_length = 500, nullable = false)]
    #[serde(default)]
    pub(crate) secret: Option<String>,
}

/// A change of a hook: what is not said stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HookChange {
    /// Its name for people.
    #[schema(min_length = 1, max_length = 500, nullable = false)]
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Where in the posted JSON the article lies: all of it.
    #[schema(nullable = false)]
    #[serde(default)]
    pub(crate) mapping: Option<Mapping>,
    /// The queue that its articles wait in.
    #[schema(nullable = false)]
    #[serde(default)]
    pub(crate) lane: Option<Lane>,
    /// Whether it takes deliveries.
    #[schema(nullable = false)]
    #[serde(default)]
    pub(crate) is_active: Option<bool>,
}

/// A new secret for a hook or a webhook.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewSecret {
    /// The secret, where the other side has made one; a new one where nothing is said.
    #[schema(min_length = 16, max_length = 500, nullable = false)]
    #[serde(default)]
    pub(crate) secret: Option<String>,
    /// Whether the one before counts no more from now on; else both do, until the next change.
    #[schema(required = false)]
    #[serde(default)]
    pub(crate) only: bool,
}

impl Document for NewHook {}
impl Document for HookChange {}
impl Document for NewSecret {}

/// A hook.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Hook)]
pub(crate) struct HookDocument {
    #[schema(value_type = String)]
    hook_id: HookId,
    #[schema(value_type = String)]
    project_id: ProjectId,
    name: String,
    scheme: Scheme,
    mapping: Mapping,
    lane: Lane,
    is_active: bool,
    /// Where the CMS sends its deliveries.
    address: String,
    created_by: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// How often it was saved: its `ETag`.
    version: u32,
    /// Its secret, which is shown once: when it is made.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// What would be taken of a delivery.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TakenDocument {
    /// What the article would be called.
    pub(crate) name: String,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    pub(crate) text: String,
    pub(crate) media_type: &'static str,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session_id: Option<String>,
    #[schema(value_type = Object)]
    pub(crate) metadata: Map<String, Value>,
    /// Pointers of the mapping that found nothing.
    pub(crate) missing: Vec<String>,
}

impl HookDocument {
    /// The hook, with its secret where that was just made.
    pub(crate) fn of(hook: Hook, secret: Option<String>) -> Self {
        Self {
            address: format!("/hooks/{}", hook.hook_id),
            hook_id: hook.hook_id,
            project_id: hook.project_id,
            name: hook.name,
            scheme: hook.scheme,
            mapping: hook.mapping,
            lane: hook.lane,
            is_active: hook.is_active,
            created_by: hook.created_by,
            created_at: hook.created_at,
            updated_at: hook.updated_at,
            version: hook.version,
            secret,
        }
    }
}
