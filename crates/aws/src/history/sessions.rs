//! The list of a project's sessions: an item for each, beside its exchanges.

use aws_sdk_dynamodb::{
    operation::delete_item::DeleteItemError,
    types::{TransactWriteItem, Update},
};
use bedrock_diy_core::{
    ProjectId, SessionId,
    error::Result,
    history::{Exchange, SessionSummary},
    page::{Page, PageRequest},
    time::Timestamp,
};

use super::{DynamoHistory, no_page, session_key};
use crate::{
    dynamo::{self, Item, number, text},
    storage::{corrupt, failure},
};

/// The sort key of a session's own item. It comes after every moment, so that exchanges are what comes before it.
pub(super) const SESSION: &str = "SESSION";

/// The index of sessions, and what it goes by: only sessions' items have the first one.
const INDEX: &str = "byProject";
const LISTED_IN: &str = "listedIn";
const LAST_AT: &str = "lastAt";

/// How many exchanges there have been.
const EXCHANGES: &str = "exchanges";

impl DynamoHistory {
    /// That a session has one exchange more, as a part of the transaction that writes the exchange. The item expires
    /// with the newest of them.
    pub(super) fn count(&self, exchange: &Exchange) -> Result<TransactWriteItem> {
        let at = exchange.timestamp;
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(&exchange.project_id, &exchange.session_id)))
            .update_expression(format!(
                "SET {LISTED_IN} = :project, {LAST_AT} = :at, #ttl = :ttl ADD {EXCHANGES} :one"
            ))
            // A reserved word.
            .expression_attribute_names("#ttl", dynamo::EXPIRY)
            .expression_attribute_values(":project", text(exchange.project_id.as_str()))
            .expression_attribute_values(":at", text(at.to_string()))
            .expression_attribute_values(":ttl", dynamo::expiry(at, self.retention_days))
            .expression_attribute_values(":one", number(1));
        let update = update.build().map_err(|error| corrupt("request", error))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// A page of the project's sessions, the last used first.
    pub(super) async fn list(&self, project: &ProjectId, page: &PageRequest) -> Result<Page<SessionSummary>> {
        let from = match page.cursor.as_deref() {
            Some(cursor) => Some(start_after(project, cursor).ok_or_else(|| no_page("sessions"))?),
            None => None,
        };
        if page.limit == 0 {
            return Ok(Page {
                items: Vec::new(),
                next: None,
            });
        }
        let query = self.client.query().table_name(&self.table).index_name(INDEX);
        let query = query
            .key_condition_expression(format!("{LISTED_IN} = :project"))
            .expression_attribute_values(":project", text(project.as_str()))
            .scan_index_forward(false)
            .limit(i32::try_from(page.limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(from);
        let found = query.send().await;
        let found = found.map_err(|error| failure("listing sessions", &error))?;
        let items = found.items.unwrap_or_default();
        let items: Vec<_> = items
            .iter()
            .map(|item| summary(project, item).ok_or_else(|| corrupt("session", "an attribute is missing")))
            .collect::<Result<_>>()?;
        Ok(Page {
            next: items
                .last()
                .filter(|_| found.last_evaluated_key.is_some())
                .map(|last| format!("{}~{}", last.last_at, last.session_id)),
            items,
        })
    }

    /// A session's item; nothing where it is in no list.
    pub(super) async fn listed(&self, project: &ProjectId, session: &SessionId) -> Result<Option<Item>> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true);
        let got = get.set_key(Some(key(project, session))).send().await;
        let got = got.map_err(|error| failure("reading a session", &error))?;
        Ok(got.item)
    }

    /// Takes a session off the list, where its item is what somebody has seen. False where it has had another exchange
    /// since.
    pub(super) async fn strike(
        &self,
        project: &ProjectId,
        session: &SessionId,
        mut seen: Item,
    ) -> Result<bool> {
        let delete = self.client.delete_item().table_name(&self.table);
        let delete = delete
            .set_key(Some(key(project, session)))
            .condition_expression(format!(
                "attribute_not_exists({EXCHANGES}) OR ({EXCHANGES} = :exchanges AND {LAST_AT} = :at)"
            ))
            .expression_attribute_values(":exchanges", seen.remove(EXCHANGES).unwrap_or(number(0)))
            .expression_attribute_values(":at", seen.remove(LAST_AT).unwrap_or(text("")));
        match delete.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if matches!(
                    error.as_service_error(),
                    Some(DeleteItemError::ConditionalCheckFailedException(_))
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(failure("deleting a session", &error)),
        }
    }
}

fn key(project: &ProjectId, session: &SessionId) -> Item {
    Item::from([
        ("sessionId".to_owned(), text(session_key(project, session))),
        ("timestamp".to_owned(), text(SESSION)),
    ])
}

/// What an item of the index says.
fn summary(project: &ProjectId, item: &Item) -> Option<SessionSummary> {
    let string = |name: &str| item.get(name)?.as_s().ok();
    let session = string("sessionId")?.strip_prefix(&session_prefix(project))?;
    Some(SessionSummary {
        session_id: SessionId::new(session).ok()?,
        project_id: project.clone(),
        exchanges: item.get(EXCHANGES)?.as_n().ok()?.parse().ok()?,
        last_at: string(LAST_AT)?.parse().ok()?,
    })
}

/// Where the page begins that comes after the session which a cursor names.
fn start_after(project: &ProjectId, cursor: &str) -> Option<Item> {
    let (last_at, session) = cursor.split_once('~')?;
    let last_at: Timestamp = last_at.parse().ok()?;
    let mut from = key(project, &SessionId::new(session).ok()?);
    from.insert(LISTED_IN.to_owned(), text(project.as_str()));
    from.insert(LAST_AT.to_owned(), text(last_at.to_string()));
    Some(from)
}

/// No project's id has a `#` in it.
fn session_prefix(project: &ProjectId) -> String {
    format!("{project}#")
}
