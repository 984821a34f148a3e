use async_trait::async_trait;

use super::Saved;
use crate::{
    error::Result,
    ids::{DeliveryId, ProjectId, WebhookId},
    page::{Page, PageRequest},
    webhook::{Claim, Delivery, Signed, Webhook},
};

/// Outbound webhooks.
#[async_trait]
pub trait Webhooks: Send + Sync {
    /// A webhook of the project, as it was saved last. MUST be `None` for one that is deleted, and for another
    /// project's.
    async fn webhook(&self, project: &ProjectId, webhook: &WebhookId) -> Result<Option<Webhook>>;

    /// The project's webhooks, in the order in which they were made. MUST leave deleted ones out, and MUST have one
    /// that was stored before this was called.
    ///
    /// A project has [`crate::limits::WEBHOOKS`] at most; who makes one sees to that.
    async fn webhooks(&self, project: &ProjectId) -> Result<Vec<Webhook>>;

    /// Stores a webhook as it is to be, in place of what was read `before`: `None` where it is a new one.
    ///
    /// MUST return [`Saved::Stale`], and change nothing, where the stored one's version or failures in a row are not
    /// those of `before`, or where there is one, deleted or not, and `before` is `None`. MUST return [`Saved::Done`]
    /// where just this is stored already: the answer to a first try may have been lost.
    async fn put_webhook(&self, webhook: &Webhook, before: Option<&Webhook>) -> Result<Saved>;
}

/// The log of deliveries.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// A delivery to the webhook.
    ///
    /// MUST be as it was stored last, for [`crate::limits::DELIVERY_DAYS`] from when its event happened; MAY be `None`
    /// after that.
    async fn delivery(&self, webhook: &WebhookId, delivery: &DeliveryId) -> Result<Option<Delivery>>;

    /// A page of the deliveries to the webhook, the newest first.
    ///
    /// MUST show each that was there when the first page was asked for on exactly one page. MUST fail with
    /// `InvalidRequest` for a cursor that it did not give.
    async fn deliveries(&self, webhook: &WebhookId, page: &PageRequest) -> Result<Page<Delivery>>;

    /// Stores a delivery as it is to be, in place of what was read `before` (`None` where it is a new one), and with it
    /// what changes of its webhook: as it is to be, and as it was read.
    ///
    /// MUST store both or neither, and MUST return [`Saved::Stale`] where neither is: the stored delivery's version is
    /// not that of `before`, or there is one and `before` is `None`, or the webhook is [stale](Webhooks::put_webhook).
    /// MUST return [`Saved::Done`] where just this delivery is stored already.
    async fn put_delivery(
        &self,
        delivery: &Delivery,
        before: Option<&Delivery>,
        webhook: Option<(&Webhook, &Webhook)>,
    ) -> Result<Saved>;
}

/// The queue of deliveries that are to be made.
#[async_trait]
pub trait DeliveryQueue: Send + Sync {
    /// Sends messages, in any order.
    ///
    /// MUST have stored all of them durably before it returns. MAY deliver any of them more than once.
    async fn send(&self, claims: Vec<Claim>) -> Result<()>;
}

/// The queue of deliveries, from the side of who is handed its messages.
#[async_trait]
pub trait DeliveryRetries: Send + Sync {
    /// Has a received message come again in so many seconds; half a day at most.
    async fn put_off(&self, receipt: &str, seconds: u32) -> Result<()>;

    /// Puts a message among the dead letters. MUST have stored it durably before it returns: the received one is
    /// deleted then.
    async fn bury(&self, body: &str, reason: &str) -> Result<()>;
}

/// Sends deliveries to their receivers.
///
/// An adapter MUST NOT send anything but by `https` to a public address, and MUST check each address that it connects
/// to when it connects: private, link-local, multicast and metadata addresses are none. It MUST NOT follow redirects,
/// MUST bound the time ([`crate::limits::WEBHOOK_SECONDS`]) and what it reads of an answer, and MUST NOT log what it
/// sends.
#[async_trait]
pub trait Sender: Send + Sync {
    /// Whether it would send to this address, as far as that can be told from the address itself. The error is a
    /// sentence about it.
    fn accepts(&self, url: &str) -> std::result::Result<(), String>;

    /// Sends a delivery once, and waits for the answer.
    async fn send(&self, signed: &Signed) -> Sent;
}

/// What came of sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// There is an answer.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The body's first [`crate::limits::WEBHOOK_ANSWER_BYTES`], as text.
        body: String,
    },
    /// There is none: why, as a sentence.
    Unanswered(String),
}
