//! The batch shell: what SQS hands over through Lambda's event source mapping, message by message.

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use bedrock_diy_core::error::Result;
use futures_util::future::join_all;

/// A message as it was handed out.
#[derive(Debug, Clone)]
pub struct Message {
    /// The name of the queue that it lay in.
    pub queue: String,
    /// What was sent.
    pub body: String,
    /// Names this receive.
    pub receipt: String,
    /// How often it was received.
    pub receives: u32,
}

/// Hands each message of a batch to `handle`, all at once, and says which of them are to come again: those with which
/// it failed. One message's failure is its own.
pub async fn each(batch: SqsEvent, handle: impl AsyncFn(Message) -> Result<()>) -> Result<SqsBatchResponse> {
    let handle = &handle;
    let handled = batch.records.into_iter().map(|message| async move {
        let id = message.message_id.unwrap_or_default();
        let queue = message.event_source_arn.unwrap_or_default();
        let receives = message.attributes.get("ApproximateReceiveCount");
        let handled = handle(Message {
            queue: queue.rsplit(':').next().unwrap_or_default().to_owned(),
            body: message.body.unwrap_or_default(),
            receipt: message.receipt_handle.unwrap_or_default(),
            receives: receives.and_then(|count| count.parse().ok()).unwrap_or(1),
        });
        handled.await.err().map(|_| id)
    });
    let mut response = SqsBatchResponse::default();
    for id in join_all(handled).await.into_iter().flatten() {
        let mut failed = BatchItemFailure::default();
        failed.item_identifier = id;
        response.batch_item_failures.push(failed);
    }
    Ok(response)
}
