//! What the API shows, as far as it is used here. Fields that are new to it are no fault.

use std::collections::BTreeMap;

use bedrock_diy_core::{
    BatchId, JobId, ProjectId, PromptId,
    card::{CardDraft, CardSettings},
    job::JobStatus,
    model::Usage,
    time::Timestamp,
};
use serde::Deserialize;

/// A prompt card in a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PromptSummary {
    pub(crate) prompt_id: PromptId,
    pub(crate) title: String,
    pub(crate) is_active: bool,
    pub(crate) step_order: u32,
    pub(crate) revision: u32,
}

/// A prompt card with what it says.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PromptDocument {
    pub(crate) prompt_id: PromptId,
    title: String,
    #[serde(default)]
    tags: Vec<String>,
    content: String,
    #[serde(default)]
    settings: CardSettings,
    pub(crate) is_active: bool,
    pub(crate) step_order: u32,
    /// Its `ETag`.
    pub(crate) version: u32,
}

impl PromptDocument {
    /// What people write of it.
    pub(crate) fn draft(&self) -> CardDraft {
        CardDraft {
            title: self.title.clone(),
            tags: self.tags.clone(),
            content: self.content.clone(),
            settings: self.settings.clone(),
        }
    }
}

/// A job, with its finished stages where it was asked for alone.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobDocument {
    pub(crate) job_id: JobId,
    pub(crate) project_id: ProjectId,
    pub(crate) batch: BatchId,
    pub(crate) status: JobStatus,
    pub(crate) article: ArticleDocument,
    pub(crate) stages: u32,
    pub(crate) stages_done: u32,
    pub(crate) retry_of: Option<JobId>,
    pub(crate) usage: Usage,
    pub(crate) cost: Option<f64>,
    pub(crate) error: Option<ErrorDocument>,
    pub(crate) accepted_at: Timestamp,
    pub(crate) ended_at: Option<Timestamp>,
    #[serde(default)]
    pub(crate) finished_stages: Vec<StageDocument>,
}

/// A job's article.
#[derive(Debug, Deserialize)]
pub(crate) struct ArticleDocument {
    pub(crate) name: String,
    pub(crate) bytes: u64,
}

/// Why a job failed. Its code may be one that this program is too old for.
#[derive(Debug, Deserialize)]
pub(crate) struct ErrorDocument {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// A finished stage.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StageDocument {
    pub(crate) stage: u32,
    pub(crate) prompt_id: PromptId,
    pub(crate) revision: u32,
    pub(crate) model: String,
    pub(crate) memo_hit: bool,
    pub(crate) usage: Usage,
    pub(crate) cost: Option<f64>,
    pub(crate) model_ms: u64,
    /// The path of its output.
    pub(crate) output: String,
}

/// A ticket for an upload.
#[derive(Debug, Deserialize)]
pub(crate) struct Ticket {
    /// An address, or a path of the API.
    pub(crate) url: String,
    pub(crate) headers: BTreeMap<String, String>,
}
