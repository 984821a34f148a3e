//! Chat history: what a session's jobs said to each other.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{ProjectId, PromptId, SessionId},
    model::Message,
    time::Timestamp,
};

/// One exchange of a session: an article that came in, and the last stage's output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exchange {
    /// The session.
    pub session_id: SessionId,
    /// When it ended; orders the session.
    pub timestamp: Timestamp,
    /// The project.
    pub project_id: ProjectId,
    /// What the user sent.
    pub user_input: String,
    /// What came back.
    pub assistant_response: String,
    /// The cards that it passed.
    pub prompt_cards_used: Vec<PromptId>,
    /// From accepted to done, in milliseconds.
    pub processing_time: u64,
}

/// A session, as a list of them shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionSummary {
    /// The session.
    pub session_id: SessionId,
    /// The project.
    pub project_id: ProjectId,
    /// How many exchanges it has had; those that have expired are counted while the session lasts.
    pub exchanges: u64,
    /// When its newest exchange ended.
    pub last_at: Timestamp,
}

/// The conversation that a session's last exchanges make, oldest first, at most
/// [`crate::limits::HISTORY_MESSAGES`] messages.
#[must_use]
pub fn messages(exchanges: &[Exchange]) -> Vec<Message> {
    let kept = exchanges.len().min(crate::limits::HISTORY_MESSAGES / 2);
    exchanges[exchanges.len() - kept..]
        .iter()
        .flat_map(|exchange| {
            [
                Message::user(crate::delimit::delimited("article", &exchange.user_input)),
                Message::assistant(exchange.assistant_response.clone()),
            ]
        })
        .collect()
}
