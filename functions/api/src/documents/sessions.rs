use bedrock_diy_core::{
    PromptId, SessionId,
    history::{Exchange, SessionSummary},
    time::Timestamp,
};
use serde::Serialize;
use utoipa::ToSchema;

/// A chat conversation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Session)]
pub(crate) struct SessionDocument {
    #[schema(value_type = String)]
    session_id: SessionId,
    /// How many messages it has.
    messages: u64,
    /// When the last one was written.
    #[schema(value_type = String, format = DateTime)]
    last_at: Timestamp,
}

/// A message of a conversation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Message)]
pub(crate) struct MessageDocument {
    role: MessageRole,
    text: String,
    /// When the job ended that it belongs to.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The cards that the answer passed.
    #[schema(value_type = Vec<String>)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    prompt_cards_used: Vec<PromptId>,
    /// From accepted to done, in milliseconds.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    processing_time: Option<u64>,
}

/// Whose message it is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MessageRole {
    /// What came in.
    User,
    /// What the last stage made of it.
    Assistant,
}

impl From<SessionSummary> for SessionDocument {
    fn from(session: SessionSummary) -> Self {
        Self {
            session_id: session.session_id,
            messages: session.exchanges * 2,
            last_at: session.last_at,
        }
    }
}

impl MessageDocument {
    /// The two messages of an exchange, the newer one first.
    pub(crate) fn of(exchange: Exchange) -> [Self; 2] {
        [
            Self {
                role: MessageRole::Assistant,
                text: exchange.assistant_response,
                at: exchange.timestamp,
                prompt_cards_used: exchange.prompt_cards_used,
                processing_time: Some(exchange.processing_time),
            },
            Self {
                role: MessageRole::User,
                text: exchange.user_input,
                at: exchange.timestamp,
                prompt_cards_used: Vec::new(),
                processing_time: None,
            },
        ]
    }
}
