//! What the adapters on `DynamoDB` have in common: documents as items, and writes that are all or nothing.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, CancellationReason, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    },
};
use bedrock_diy_core::{Code, Failure, error::Result, time::Timestamp};
use serde::{Serialize, de::DeserializeOwned};

use crate::storage::{self, failure, unavailable};

/// An item's attributes by name.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// How often a transaction is tried that met another one, or a throttle. They last milliseconds.
const TRIES: u32 = 6;

/// Before its second try it waits up to so long, before each further one up to twice as long.
const FIRST_PAUSE_MILLIS: u64 = 20;

/// Reasons of a cancelled transaction that pass (`TransactWriteItems`, Amazon `DynamoDB` API reference,
/// 2026-11).
const PASSING: [&str; 3] = [
    "ProvisionedThroughputExceeded",
    "ThrottlingError",
    "TransactionConflict",
];

/// The attribute by which `DynamoDB` removes items, in seconds since 1970.
const EXPIRY: &str = "ttl";

/// What became of a transaction.
#[derive(Debug)]
pub(crate) enum Written {
    /// It is written.
    All,
    /// A condition did not hold, and nothing is written. The item that stood against it, where it was
    /// asked for.
    Nothing(Option<Item>),
}

/// A document as an item.
pub(crate) fn item<T: Serialize>(what: &str, document: &T) -> Result<Item> {
    serde_dynamo::to_item(document).map_err(|error| {
        Failure::new(
            Code::InternalError,
            format!("a {what} can't be written as an item: {error}"),
        )
    })
}

/// A document from an item; attributes that it does not know are ours alone.
pub(crate) fn document<T: DeserializeOwned>(what: &str, item: Item) -> Result<T> {
    serde_dynamo::from_item(item).map_err(|error| storage::corrupt(what, error))
}

/// A string attribute.
pub(crate) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number attribute.
pub(crate) fn number(number: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(number.into().to_string())
}

/// Has an item expire so many days after a moment.
pub(crate) fn expires(item: &mut Item, from: Timestamp, days: u32) {
    let seconds = from.millis().div_euclid(1_000) + i64::from(days) * 24 * 60 * 60;
    item.insert(EXPIRY.to_owned(), number(seconds));
}

/// A put as a part of a transaction.
pub(crate) fn put(table: &str, item: Item) -> Result<TransactWriteItem> {
    built(Put::builder().table_name(table).set_item(Some(item)))
}

/// A put that happens only where this condition holds of the item that is there; which is told of where
/// it does not.
pub(crate) fn put_if(
    table: &str,
    item: Item,
    condition: &str,
    values: impl IntoIterator<Item = (&'static str, AttributeValue)>,
) -> Result<TransactWriteItem> {
    let values: Item = values
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let put = Put::builder().table_name(table).set_item(Some(item));
    built(
        put.condition_expression(condition)
            .set_expression_attribute_values((!values.is_empty()).then_some(values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld),
    )
}

fn built(put: aws_sdk_dynamodb::types::builders::PutBuilder) -> Result<TransactWriteItem> {
    put.build()
        .map(|put| TransactWriteItem::builder().put(put).build())
        .map_err(|error| storage::corrupt("request", error))
}

/// Writes all items or none. `what` is done by it.
pub(crate) async fn write(client: &Client, what: &str, items: Vec<TransactWriteItem>) -> Result<Written> {
    let mut pause = FIRST_PAUSE_MILLIS;
    let mut tries = 1;
    loop {
        let write = client
            .transact_write_items()
            .set_transact_items(Some(items.clone()));
        let Err(error) = write.send().await else {
            return Ok(Written::All);
        };
        let Some(reasons) = reasons(&error) else {
            return Err(failure(what, &error));
        };
        if let Some(refused) = reasons
            .iter()
            .find(|reason| reason.code() == Some("ConditionalCheckFailed"))
        {
            return Ok(Written::Nothing(refused.item().cloned()));
        }
        let passing = reasons
            .iter()
            .find(|reason| reason.code().is_some_and(|code| PASSING.contains(&code)));
        let Some(passing) = passing else {
            return Err(failure(what, &error));
        };
        if tries == TRIES {
            let code = passing.code().unwrap_or_default();
            return Err(unavailable(format!("{what}: refused {TRIES} times with {code}")));
        }
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..=pause))).await;
        pause *= 2;
        tries += 1;
    }
}

fn reasons<R>(error: &SdkError<TransactWriteItemsError, R>) -> Option<&[CancellationReason]> {
    match error.as_service_error()? {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => {
            Some(cancelled.cancellation_reasons())
        }
        _ => None,
    }
}
