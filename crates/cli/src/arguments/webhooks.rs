//! What can be asked of webhooks.

use bedrock_diy_core::{DeliveryId, ProjectId, WebhookId};
use clap::{Args, Subcommand};

/// What can be done with webhooks.
#[derive(Debug, Subcommand)]
pub enum Webhooks {
    /// Lists a project's webhooks.
    List(ListWebhooks),
    /// Creates a webhook, and prints its id and its secret: the secret this once.
    Create(CreateWebhook),
    /// Shows one webhook.
    Show(OneWebhook),
    /// Deletes a webhook: nothing is sent to it from now on.
    Delete(DeleteWebhook),
    /// Gives a webhook a new secret, and prints it, this once.
    ///
    /// What is sent is signed with the secret before, too, until the next change: change the receiver over, then
    /// rotate with --only where the old one must not count any more.
    Rotate(RotateWebhook),
    /// Sends a webhook a delivery of type `ping`, and tells what came of it.
    Ping(OneWebhook),
    /// Lists what was sent to a webhook in the last 30 days, the newest event first.
    Deliveries(ListDeliveries),
    /// Delivers something again, under the same id.
    Redeliver(Redeliver),
    /// Switches a webhook on that was switched off, with a clean slate.
    Enable(OneWebhook),
    /// Switches a webhook off.
    Disable(OneWebhook),
}

/// Arguments of `webhooks list`.
#[derive(Debug, Args)]
pub struct ListWebhooks {
    /// The project's id.
    #[arg(long, value_name = "ID")]
    pub project: ProjectId,
    /// Prints JSON, one document a line.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `webhooks create`.
#[derive(Debug, Args)]
pub struct CreateWebhook {
    /// The project's id.
    #[arg(long, value_name = "ID")]
    pub project: ProjectId,
    /// Where events are sent to: an https address on the public internet.
    pub url: String,
    /// Its name for people [default: the address's host].
    #[arg(long)]
    pub name: Option<String>,
    /// The types of events that are sent, with commas between them; `*` for all.
    #[arg(
        long,
        value_name = "TYPES",
        value_delimiter = ',',
        default_value = "job.succeeded,job.failed,job.cancelled"
    )]
    pub events: Vec<String>,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

/// A webhook.
#[derive(Debug, Args)]
pub struct OneWebhook {
    /// The project's id.
    #[arg(long, value_name = "ID")]
    pub project: ProjectId,
    /// The webhook's id.
    pub webhook: WebhookId,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `webhooks delete`.
#[derive(Debug, Args)]
pub struct DeleteWebhook {
    /// The project's id.
    #[arg(long, value_name = "ID")]
    pub project: ProjectId,
    /// The webhook's id.
    pub webhook: WebhookId,
    /// Does not ask.
    #[arg(long, short)]
    pub yes: bool,
}

/// Arguments of `webhooks rotate`.
#[derive(Debug, Args)]
pub struct RotateWebhook {
    /// The webhook.
    #[command(flatten)]
    pub one: OneWebhook,
    /// The secret before counts no more from now on.
    #[arg(long)]
    pub only: bool,
}

/// Arguments of `webhooks deliveries`.
#[derive(Debug, Args)]
pub struct ListDeliveries {
    /// The webhook.
    #[command(flatten)]
    pub one: OneWebhook,
    /// Only those that failed for good.
    #[arg(long)]
    pub failed: bool,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub limit: usize,
    /// All of them.
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
}

/// Arguments of `webhooks redeliver`.
#[derive(Debug, Args)]
pub struct Redeliver {
    /// The project's id.
    #[arg(long, value_name = "ID")]
    pub project: ProjectId,
    /// The webhook's id.
    pub webhook: WebhookId,
    /// The deliveries' ids.
    #[arg(required_unless_present = "failed")]
    pub deliveries: Vec<DeliveryId>,
    /// All that failed for good.
    #[arg(long, conflicts_with = "deliveries")]
    pub failed: bool,
}
