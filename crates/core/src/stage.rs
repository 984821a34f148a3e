//! What is kept of a card's run within a job.

use serde::{Deserialize, Serialize};

use crate::{article::ObjectRef, ids::PromptId, model::Usage, time::Timestamp};

/// A finished stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StageRecord {
    /// Its number, counted from 1.
    pub stage: u32,
    /// The card.
    pub prompt_id: PromptId,
    /// The card's title in that revision.
    pub title: String,
    /// The card's revision.
    pub revision: u32,
    /// The model that answered.
    pub model: String,
    /// Where the output lies.
    pub output: ObjectRef,
    /// What the output depends on (see [`crate::memo`]).
    pub memo_key: String,
    /// Whether an earlier answer was taken from the memo and nothing was paid.
    pub memo_hit: bool,
    /// Model calls made: 0 from the memo, 2 with a repair turn.
    pub calls: u32,
    /// Tokens paid for; nothing where it came from the memo.
    pub usage: Usage,
    /// An estimate in US dollars by the model catalogue; `None` where it has no price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// How long the model took, in milliseconds.
    pub model_ms: u64,
    /// When the stage was finished.
    pub completed_at: Timestamp,
}

/// What the memo keeps of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoEntry {
    /// See [`crate::memo`].
    pub memo_key: String,
    /// Where the output lies.
    pub output: ObjectRef,
    /// What it cost in tokens when it was made.
    pub usage: Usage,
}
