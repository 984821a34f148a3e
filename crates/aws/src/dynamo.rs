//! What the adapters on DynamoDB have in common: documents as items, and writes that are all or nothing.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, CancellationReason, DeleteRequest, KeysAndAttributes, Put,
        ReturnValuesOnConditionCheckFailure, TransactWriteItem, WriteRequest,
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

/// Reasons of a cancelled transaction that pass (`TransactWriteItems`, Amazon DynamoDB API reference,
/// 2026-11).
const PASSING: [&str; 3] = [
    "ProvisionedThroughputExceeded",
    "ThrottlingError",
    "TransactionConflict",
];

/// The attribute by which DynamoDB removes items, in seconds since 1970.
pub(crate) const EXPIRY: &str = "ttl";

/// Items that one `BatchGetItem` may ask for, and those that one `BatchWriteItem` may delete (Amazon DynamoDB API
/// reference, 2026-11).
const MOST_READ: usize = 100;
const MOST_DELETED: usize = 25;

/// What became of a transaction.
#[derive(Debug)]
pub(crate) enum Written {
    /// It is written.
    All,
    /// A condition did not hold, and nothing is written. The item that stood against it, where it was
    /// asked for.
    Nothing(Option<Item>),
}

/// The magnitudes of numbers that an item can hold, beside 0 (Naming rules and data types, Amazon DynamoDB
/// developer guide, 2026-11).
const MAGNITUDES: std::ops::Range<f64> = 1e-130..1e126;

/// A document as an item. Fails with [`Code::InvalidRequest`] where it has a number that none can hold.
pub(crate) fn item<T: Serialize>(what: &str, document: &T) -> Result<Item> {
    let item: Item = serde_dynamo::to_item(document).map_err(|error| {
        Failure::new(
            Code::InternalError,
            format!("a {what} can't be written as an item: {error}"),
        )
    })?;
    item.values().try_for_each(check_numbers)?;
    Ok(item)
}

fn check_numbers(attribute: &AttributeValue) -> Result<()> {
    match attribute {
        AttributeValue::L(list) => list.iter().try_for_each(check_numbers),
        AttributeValue::M(map) => map.values().try_for_each(check_numbers),
        AttributeValue::N(text) => match text.parse::<f64>() {
            Ok(number) if number == 0.0 || MAGNITUDES.contains(&number.abs()) => Ok(()),
            _ => Err(Failure::new(
                Code::InvalidRequest,
                format!("{text} can't be stored: numbers may have magnitudes from 1e-130 to 1e126"),
            )),
        },
        _ => Ok(()),
    }
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
    item.insert(EXPIRY.to_owned(), expiry(from, days));
}

/// What [`EXPIRY`] says of an item that is to go so many days after a moment.
pub(crate) fn expiry(from: Timestamp, days: u32) -> AttributeValue {
    number(from.millis().div_euclid(1_000) + i64::from(days) * 24 * 60 * 60)
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

/// Whether a write's condition did not hold.
pub(crate) fn is_refused<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.code() == Some("ConditionalCheckFailedException")
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

/// Reads items by their keys, in any order; those that are not there are left out. `what` is done by it.
pub(crate) async fn read_all(client: &Client, what: &str, table: &str, keys: Vec<Item>) -> Result<Vec<Item>> {
    let mut found = Vec::with_capacity(keys.len());
    for keys in keys.chunks(MOST_READ) {
        let mut keys = keys.to_vec();
        let mut pauses = Pauses::default();
        while !keys.is_empty() {
            let asked = keys.len();
            let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).build();
            let wanted = wanted.map_err(|error| storage::corrupt("request", error))?;
            let get = client.batch_get_item().request_items(table, wanted);
            let got = get.send().await.map_err(|error| failure(what, &error))?;
            found.extend(got.responses.unwrap_or_default().into_values().flatten());
            let left = got.unprocessed_keys.unwrap_or_default().into_values().next();
            keys = left.map(|left| left.keys).unwrap_or_default();
            pauses.after(what, asked, keys.len()).await?;
        }
    }
    Ok(found)
}

/// Deletes items by their keys; it does no harm where they are gone. `what` is done by it.
pub(crate) async fn delete_all(client: &Client, what: &str, table: &str, keys: Vec<Item>) -> Result<()> {
    for keys in keys.chunks(MOST_DELETED) {
        let delete = |key: &Item| {
            let delete = DeleteRequest::builder().set_key(Some(key.clone())).build();
            let delete = delete.map_err(|error| storage::corrupt("request", error))?;
            Ok(WriteRequest::builder().delete_request(delete).build())
        };
        let mut writes = keys.iter().map(delete).collect::<Result<Vec<_>>>()?;
        let mut pauses = Pauses::default();
        while !writes.is_empty() {
            let asked = writes.len();
            let write = client.batch_write_item().request_items(table, writes);
            let written = write.send().await.map_err(|error| failure(what, &error))?;
            let left = written.unprocessed_items.unwrap_or_default().into_values().next();
            writes = left.unwrap_or_default();
            pauses.after(what, asked, writes.len()).await?;
        }
    }
    Ok(())
}

/// The pauses of a batch whose items a service does not come to, because it is throttled or the answer would be too
/// large.
#[derive(Debug, Default)]
struct Pauses {
    /// How often nothing at all was done.
    idle: u32,
}

impl Pauses {
    /// Waits before what is `left` of what was asked is asked for again. Fails where nothing is done any more.
    async fn after(&mut self, what: &str, asked: usize, left: usize) -> Result<()> {
        if left < asked {
            self.idle = 0;
            return Ok(());
        }
        self.idle += 1;
        if self.idle == TRIES {
            return Err(unavailable(format!(
                "{what}: nothing of it was done {TRIES} times"
            )));
        }
        let pause = FIRST_PAUSE_MILLIS << self.idle;
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..=pause))).await;
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_number_that_no_item_can_hold_is_refused_wherever_it_stands() {
        for good in [0.0, 1.0, -0.5, 1e-130, -9e125] {
            item("test", &json!({"a": [{"b": good}]})).unwrap();
        }
        for bad in [5e-324, -1e-131, 1e126, f64::MAX] {
            let refused = item("test", &json!({"a": [{"b": bad}]})).unwrap_err();
            assert_eq!(refused.code, Code::InvalidRequest, "{bad}");
            assert!(refused.detail.contains("can't be stored"), "{}", refused.detail);
        }
    }
}
