use async_trait::async_trait;

use super::Saved;
use crate::{
    error::Result,
    hook::{Hook, Secret},
    ids::{HookId, ProjectId, WebhookId},
};

/// Inbound hooks.
#[async_trait]
pub trait Hooks: Send + Sync {
    /// A hook of the project. MUST be `None` for one that is deleted, and for another project's.
    async fn hook(&self, project: &ProjectId, hook: &HookId) -> Result<Option<Hook>>;

    /// A hook by its id alone: a delivery names no project.
    ///
    /// MUST be `None` for one that is deleted, from the moment that it is, and MUST be the hook as it was saved last.
    /// MAY be `None` for one that was made a moment ago.
    async fn by_id(&self, hook: &HookId) -> Result<Option<Hook>>;

    /// The project's hooks, in the order in which they were made. MUST leave deleted ones out.
    ///
    /// A project has [`crate::limits::HOOKS`] at most; who makes one sees to that.
    async fn hooks(&self, project: &ProjectId) -> Result<Vec<Hook>>;

    /// Stores a hook as it is to be, in place of what was read `before`: `None` where it is a new one.
    ///
    /// MUST return [`Saved::Stale`], and change nothing, where the stored one's version is not that of `before`, or
    /// where there is one, deleted or not, and `before` is `None`. MUST return [`Saved::Done`] where just this is
    /// stored already: the answer to a first try may have been lost.
    async fn put_hook(&self, hook: &Hook, before: Option<&Hook>) -> Result<Saved>;
}

/// Secrets: apart from everything else, and where others can't read them.
///
/// An adapter MUST NOT log them, and MUST NOT keep them in memory beyond a call: one that was taken away counts no
/// more.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// Stores the secrets under this name, in place of those that were there. MUST store all of them or none, and
    /// MUST NOT say that they are stored before a power cut can't undo it.
    async fn put(&self, name: &SecretName, secrets: &[Secret]) -> Result<()>;

    /// The secrets of this name, in the order in which they were stored. MUST be empty where there are none.
    async fn get(&self, name: &SecretName) -> Result<Vec<Secret>>;

    /// Removes them. MUST do nothing where there are none.
    async fn delete(&self, name: &SecretName) -> Result<()>;
}

/// What secrets are stored under: `hooks/{hookId}`, `webhooks/{webhookId}`. It is a path, of letters, digits and
/// slashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SecretName(String);

impl SecretName {
    /// The secrets of a hook.
    #[must_use]
    pub fn of_hook(hook: &HookId) -> Self {
        Self(format!("hooks/{hook}"))
    }

    /// The secrets of an outbound webhook.
    #[must_use]
    pub fn of_webhook(webhook: &WebhookId) -> Self {
        Self(format!("webhooks/{webhook}"))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
