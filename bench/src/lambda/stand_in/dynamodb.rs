//! As much of DynamoDB as an article needs: items in memory, and the expressions that the adapters use.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde_json::{Map, Value, json};

use super::{Refused, config};

/// An item's attributes, as they go over the wire: `{"jobId": {"S": "…"}}`.
type Item = Map<String, Value>;

/// Table, partition key, sort key.
type Key = (String, String, String);

#[derive(Debug, Default)]
pub(super) struct DynamoDb(Mutex<BTreeMap<Key, Item>>);

/// The table that a request is for; the first one's where it is a transaction.
pub(super) fn table(said: &Value) -> &str {
    let first = said["TransactItems"][0].as_object();
    let first = first.and_then(|item| item.values().next()).unwrap_or(said);
    first["TableName"].as_str().unwrap_or_default()
}

impl DynamoDb {
    pub(super) fn answer(&self, operation: &str, said: &Value) -> Result<Value, Refused> {
        let mut items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match operation {
            "GetItem" => Ok(match items.get(&key(said, &said["Key"])?) {
                Some(item) => json!({ "Item": item }),
                None => json!({}),
            }),
            "PutItem" => {
                put(&mut items, said)?;
                Ok(json!({}))
            }
            "DeleteItem" => {
                items.remove(&key(said, &said["Key"])?);
                Ok(json!({}))
            }
            "Query" => query(&items, said),
            "TransactWriteItems" => {
                let writes = said["TransactItems"].as_array().cloned().unwrap_or_default();
                for write in &writes {
                    check(&items, write)?;
                }
                for write in &writes {
                    match (write.get("Put"), write.get("Update")) {
                        (Some(write), None) => put(&mut items, write)?,
                        (None, Some(write)) => update(&mut items, write)?,
                        _ => return Err(Refused::unknown(format!("the stand-in does not know {write}"))),
                    }
                }
                Ok(json!({}))
            }
            _ => Err(Refused::unknown(format!(
                "the stand-in does not know {operation}"
            ))),
        }
    }
}

/// The names of a table's keys.
fn keys(table: &str) -> Result<(&'static str, Option<&'static str>), Refused> {
    let tables = config().tables;
    let known = [
        (tables.projects, ("projectId", None)),
        (tables.prompts, ("projectId", Some("promptId"))),
        (tables.prompt_revisions, ("card", Some("revision"))),
        (tables.chat_history, ("sessionId", Some("timestamp"))),
        (tables.jobs, ("jobId", Some("item"))),
        (tables.stage_memo, ("memoKey", None)),
        (tables.model_quota, ("model", Some("holder"))),
        (tables.webhooks, ("projectId", Some("webhookId"))),
    ];
    let found = known.into_iter().find(|(name, _)| name == table);
    found
        .map(|(_, keys)| keys)
        .ok_or_else(|| Refused::unknown(format!("there is no table {table}")))
}

fn key(said: &Value, attributes: &Value) -> Result<Key, Refused> {
    let table = said["TableName"].as_str().unwrap_or_default();
    let (partition, sort) = keys(table)?;
    let value = |name: &str| {
        let value = attributes[name]["S"].as_str().or(attributes[name]["N"].as_str());
        value
            .map(str::to_owned)
            .ok_or_else(|| Refused::unknown(format!("the key {name} is missing for {table}")))
    };
    let sort = sort.map(value).transpose()?.unwrap_or_default();
    Ok((table.to_owned(), value(partition)?, sort))
}

fn put(items: &mut BTreeMap<Key, Item>, said: &Value) -> Result<(), Refused> {
    let item = said["Item"].as_object().cloned().unwrap_or_default();
    items.insert(key(said, &said["Item"])?, item);
    Ok(())
}

/// `SET #0 = :0, #1 = :1 …`.
fn update(items: &mut BTreeMap<Key, Item>, said: &Value) -> Result<(), Refused> {
    let expression = said["UpdateExpression"].as_str().unwrap_or_default();
    let assignments = expression
        .strip_prefix("SET ")
        .ok_or_else(|| unknown(expression))?;
    let key = key(said, &said["Key"])?;
    let fresh = || said["Key"].as_object().cloned().unwrap_or_default();
    let item = items.entry(key).or_insert_with(fresh);
    for assignment in assignments.split(", ") {
        let (name, value) = assignment.split_once(" = ").ok_or_else(|| unknown(expression))?;
        let name = said["ExpressionAttributeNames"][name].as_str().unwrap_or(name);
        item.insert(name.to_owned(), said["ExpressionAttributeValues"][value].clone());
    }
    Ok(())
}

/// A write's condition, where it has one.
fn check(items: &BTreeMap<Key, Item>, write: &Value) -> Result<(), Refused> {
    let (said, item) = match &write["Put"] {
        Value::Null => (&write["Update"], "Key"),
        put => (put, "Item"),
    };
    let Some(condition) = said["ConditionExpression"].as_str() else {
        return Ok(());
    };
    let there = items.get(&key(said, &said[item])?);
    let holds = match condition {
        "attribute_not_exists(jobId)"
        | "attribute_not_exists(card)"
        | "attribute_not_exists(projectId)"
        | "attribute_not_exists(promptId)" => there.is_none(),
        "version = :expected" => {
            let expected = &said["ExpressionAttributeValues"][":expected"];
            there.is_some_and(|item| item.get("version") == Some(expected))
        }
        _ => return Err(unknown(condition)),
    };
    if holds {
        return Ok(());
    }
    Err(Refused {
        code: "TransactionCanceledException",
        why: format!("Transaction cancelled: {condition} does not hold"),
    })
}

/// The items of a partition, or those of a range of it.
fn query(items: &BTreeMap<Key, Item>, said: &Value) -> Result<Value, Refused> {
    let table = said["TableName"].as_str().unwrap_or_default();
    let value = |name: &str| {
        said["ExpressionAttributeValues"][name]["S"]
            .as_str()
            .unwrap_or_default()
    };
    let condition = said["KeyConditionExpression"].as_str().unwrap_or_default();
    let (partition, from, to) = match condition {
        "projectId = :project" => (value(":project"), "", "\u{10ffff}"),
        "jobId = :job AND #item BETWEEN :after AND :last" => (value(":job"), value(":after"), value(":last")),
        _ => return Err(unknown(condition)),
    };
    let limit = said["Limit"]
        .as_u64()
        .and_then(|limit| usize::try_from(limit).ok());
    let at = |sort: &str| (table.to_owned(), partition.to_owned(), sort.to_owned());
    let found: Vec<_> = items
        .range(at(from)..=at(to))
        .take(limit.unwrap_or(usize::MAX))
        .map(|(_, item)| item)
        .collect();
    Ok(json!({"Count": found.len(), "ScannedCount": found.len(), "Items": found}))
}

fn unknown(expression: &str) -> Refused {
    Refused::unknown(format!(
        "the stand-in does not know the expression {expression:?}"
    ))
}
