//! The log of deliveries in DynamoDB, and the queue of those that are to be made in SQS.

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use bedrock_diy_core::{
    Code, DeliveryId, Failure, WebhookId,
    error::Result,
    limits,
    page::{Page, PageRequest},
    ports::{Deliveries, DeliveryQueue, DeliveryRetries, Saved},
    webhook::{Claim, Delivery, Webhook},
};

use crate::{
    config::{Config, DeliveriesConfig},
    dynamo::{self, Item, Written, number, put_if, text},
    storage::{failure, unavailable},
    webhooks::DynamoWebhooks,
};

/// Messages that one request may send (`SendMessageBatch`, Amazon SQS API reference, 2026-11).
const BATCH: usize = 10;

/// The longest that SQS hides a received message (`ChangeMessageVisibility`, the same): what is due later comes early,
/// and is hidden again.
const LONGEST_HIDDEN_SECONDS: u32 = 43_000;

/// The longest reason that goes along with a dead letter, in characters: an error is a sentence.
const REASON: usize = 500;

/// The log of deliveries.
#[derive(Debug, Clone)]
pub struct DynamoDeliveries {
    client: Client,
    table: String,
    webhooks: String,
}

impl DynamoDeliveries {
    /// In this deployment.
    #[must_use]
    pub fn new(client: Client, config: &Config) -> Self {
        Self {
            client,
            table: config.tables.deliveries.clone(),
            webhooks: config.tables.webhooks.clone(),
        }
    }

    fn key(webhook: &WebhookId, delivery: &str) -> Item {
        Item::from([
            ("webhookId".to_owned(), text(webhook.as_str())),
            ("deliveryId".to_owned(), text(delivery)),
        ])
    }
}

#[async_trait]
impl Deliveries for DynamoDeliveries {
    async fn delivery(&self, webhook: &WebhookId, delivery: &DeliveryId) -> Result<Option<Delivery>> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true);
        let got = get
            .set_key(Some(Self::key(webhook, delivery.as_str())))
            .send()
            .await
            .map_err(|error| failure("reading a delivery", &error))?;
        got.item.map(read).transpose()
    }

    async fn deliveries(&self, webhook: &WebhookId, page: &PageRequest) -> Result<Page<Delivery>> {
        let no_page = || Failure::new(Code::InvalidRequest, "there is no such page of deliveries");
        let from = match page.cursor.as_deref() {
            Some(cursor) => {
                let last = DeliveryId::new(cursor).map_err(|_| no_page())?;
                Some(Self::key(webhook, last.as_str()))
            }
            None => None,
        };
        if page.limit == 0 {
            return Ok(Page {
                items: Vec::new(),
                next: None,
            });
        }
        let query = self.client.query().table_name(&self.table).consistent_read(true);
        let found = query
            .key_condition_expression("webhookId = :webhook")
            .expression_attribute_values(":webhook", text(webhook.as_str()))
            .scan_index_forward(false)
            .limit(i32::try_from(page.limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(from)
            .send()
            .await
            .map_err(|error| failure("listing deliveries", &error))?;
        let items: Vec<Delivery> = found
            .items
            .unwrap_or_default()
            .into_iter()
            .map(read)
            .collect::<Result<_>>()?;
        Ok(Page {
            next: items
                .last()
                .filter(|_| found.last_evaluated_key.is_some())
                .map(|last| last.delivery_id.to_string()),
            items,
        })
    }

    async fn put_delivery(
        &self,
        delivery: &Delivery,
        before: Option<&Delivery>,
        webhook: Option<(&Webhook, &Webhook)>,
    ) -> Result<Saved> {
        let mut item = dynamo::item("delivery", delivery)?;
        dynamo::expires(&mut item, delivery.created_at, limits::DELIVERY_DAYS);
        let put = match before {
            None => put_if(&self.table, item, "attribute_not_exists(deliveryId)", [])?,
            Some(before) => put_if(
                &self.table,
                item,
                "version = :version",
                [(":version", number(before.version))],
            )?,
        };
        let mut items = vec![put];
        if let Some((next, before)) = webhook {
            items.push(DynamoWebhooks::put(&self.webhooks, next, Some(before))?);
        }
        match dynamo::write(&self.client, "storing a delivery", items).await? {
            Written::All => Ok(Saved::Done),
            // What stands against it may be a first try of the same, whose answer was lost; or the webhook.
            Written::Nothing(_) => {
                let standing = self.delivery(&delivery.webhook_id, &delivery.delivery_id).await?;
                Ok(if standing.as_ref() == Some(delivery) {
                    Saved::Done
                } else {
                    Saved::Stale
                })
            }
        }
    }
}

fn read(item: Item) -> Result<Delivery> {
    dynamo::document("delivery", item)
}

/// The queue of deliveries that are to be made, and its dead letters.
#[derive(Debug, Clone)]
pub struct SqsDeliveryQueue {
    client: aws_sdk_sqs::Client,
    queue: String,
    dead_letters: String,
}

impl SqsDeliveryQueue {
    /// With the URLs of the queues.
    #[must_use]
    pub fn new(client: aws_sdk_sqs::Client, config: &DeliveriesConfig) -> Self {
        Self {
            client,
            queue: config.queue.clone(),
            dead_letters: config.dead_letters.clone(),
        }
    }
}

#[async_trait]
impl DeliveryQueue for SqsDeliveryQueue {
    async fn send(&self, claims: Vec<Claim>) -> Result<()> {
        let entries: Vec<_> = claims
            .iter()
            .enumerate()
            .map(|(number, claim)| {
                let body = serde_json::to_string(claim).map_err(no_message)?;
                let entry = SendMessageBatchRequestEntry::builder().id(number.to_string());
                entry.message_body(body).build().map_err(no_message)
            })
            .collect::<Result<_>>()?;
        for batch in entries.chunks(BATCH) {
            let send = self.client.send_message_batch().queue_url(&self.queue);
            let sent = send.set_entries(Some(batch.to_vec())).send().await;
            let sent = sent.map_err(|error| failure("sending deliveries", &error))?;
            if let Some(refused) = sent.failed.first() {
                // Sending the others again does no harm: deliver knows which is due.
                return Err(unavailable(format!(
                    "the queue of deliveries refused {} messages: {}",
                    sent.failed.len(),
                    refused.message.as_deref().unwrap_or(&refused.code)
                )));
            }
        }
        Ok(())
    }
}

#[async_trait]
impl DeliveryRetries for SqsDeliveryQueue {
    async fn put_off(&self, receipt: &str, seconds: u32) -> Result<()> {
        let change = self.client.change_message_visibility().queue_url(&self.queue);
        let hidden = i32::try_from(seconds.min(LONGEST_HIDDEN_SECONDS)).unwrap_or(0);
        let changed = change.receipt_handle(receipt).visibility_timeout(hidden).send();
        changed
            .await
            .map(drop)
            .map_err(|error| failure("putting a delivery off", &error))
    }

    async fn bury(&self, body: &str, reason: &str) -> Result<()> {
        let reason: String = reason.chars().take(REASON).collect();
        let reason = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(reason)
            .build()
            .map_err(no_message)?;
        let send = self.client.send_message().queue_url(&self.dead_letters);
        let sent = send.message_body(body).message_attributes("reason", reason);
        let sent = sent.send().await;
        sent.map(drop)
            .map_err(|error| failure("putting a delivery among the dead letters", &error))
    }
}

fn no_message(error: impl std::fmt::Display) -> Failure {
    Failure::new(
        Code::InternalError,
        format!("a message can't be written: {error}"),
    )
}
