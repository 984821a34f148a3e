//! Who follows what over API Gateway's WebSocket API, in DynamoDB.
//!
//! A row is a connection that follows a topic, under the topic: who is to be told is read consistently, so that nobody
//! who began to follow before something happened is left out. It says how much the connection has had. Whoever tells it
//! more holds the row meanwhile, and notes after each message how far it has come; what is new is read and sent by one at a
//! time, in order, and goes on from there where they were cut off.

use std::{sync::Arc, time::Duration};

use aws_sdk_dynamodb::{Client, types::ReturnValue};
use bedrock_diy_core::{
    error::Result,
    follow::{ConnectionId, Had, Topic},
    ports::Clock,
};
use tokio::time::Instant;

use crate::{
    config::Config,
    dynamo::{EXPIRY, Item, is_refused, number, text},
    storage::{corrupt, failure},
};

/// A connection lasts two hours at most (Amazon API Gateway quotas, 2026-11); so does what is kept of it.
pub(crate) const LONGEST_MILLIS: i64 = 2 * 60 * 60 * 1_000;

/// Whoever holds a row and has not said for so long that they still do has died, or was cut off. It is longer than sending
/// one message and giving the connection up takes ([`Self::keep`](ConnectionRows::keep) is called between two messages):
/// `pushes.rs` checks that.
pub(crate) const HELD_FOR: Duration = Duration::from_millis(HELD_FOR_MILLIS.unsigned_abs());
const HELD_FOR_MILLIS: i64 = 12_000;

/// Under this topic stands until when there may be anybody: most deployments have nobody, and one look says so.
const ANYBODY: &str = "anybody";

/// The rows.
#[derive(Clone)]
pub(crate) struct ConnectionRows {
    client: Client,
    table: String,
    clock: Arc<dyn Clock>,
}

/// A connection that follows a topic.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) topic: Topic,
    pub(crate) connection: ConnectionId,
    pub(crate) had: Had,
}

/// What became of taking hold of a row.
pub(crate) enum Held {
    /// Nobody else may tell the connection of it now.
    Mine(Row, Hold),
    /// Somebody else's, so far; they have noted that the connection has had this.
    Busy(Had),
    /// It is no more.
    Gone,
}

/// Says who holds a row, and until when at least.
pub(crate) struct Hold {
    by: String,
    until: Instant,
}

impl Hold {
    /// How long it is held for certain.
    pub(crate) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

impl ConnectionRows {
    pub(crate) fn new(client: Client, config: &Config, clock: Arc<dyn Clock>) -> Self {
        Self {
            client,
            table: config.tables.connections.clone(),
            clock,
        }
    }

    fn key(topic: &str, connection: &str) -> Item {
        Item::from([
            ("topic".to_owned(), text(topic)),
            ("connectionId".to_owned(), text(connection)),
        ])
    }

    fn row_key(row: &Row) -> Item {
        Self::key(&row.topic.to_string(), row.connection.as_str())
    }

    /// Stores a row, in place of what it was.
    pub(crate) async fn put(&self, row: &Row) -> Result<()> {
        let until = self.clock.now().plus_millis(LONGEST_MILLIS).millis();
        // First, so that nobody looks for nobody once the row is there.
        let mut anybody = Self::key(ANYBODY, ANYBODY);
        anybody.insert("until".to_owned(), number(until));
        let mut item = Self::row_key(row);
        item.insert("had".to_owned(), text(row.had.to_string()));
        for mut item in [anybody, item] {
            item.insert(EXPIRY.to_owned(), number(until / 1_000));
            let put = self.client.put_item().table_name(&self.table);
            put.set_item(Some(item))
                .send()
                .await
                .map_err(|error| failure("storing who follows what", &error))?;
        }
        Ok(())
    }

    /// Whether there may be anybody who follows anything.
    pub(crate) async fn may_be_anybody(&self) -> Result<bool> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true);
        let got = get.set_key(Some(Self::key(ANYBODY, ANYBODY))).send().await;
        let got = got.map_err(|error| failure("looking for those who follow", &error))?;
        let until = got
            .item()
            .and_then(|item| item.get("until")?.as_n().ok()?.parse().ok());
        Ok(until.is_some_and(|until: i64| until > self.clock.now().millis()))
    }

    /// Those who follow a topic.
    pub(crate) async fn of_topic(&self, topic: &Topic) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let mut from = None;
        loop {
            let query = self.client.query().table_name(&self.table).consistent_read(true);
            let page = query
                .key_condition_expression("topic = :topic")
                .expression_attribute_values(":topic", text(topic.to_string()))
                .set_exclusive_start_key(from)
                .send()
                .await
                .map_err(|error| failure("reading who follows", &error))?;
            for item in page.items.unwrap_or_default() {
                rows.push(read(&item)?);
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(rows);
            }
        }
    }

    /// What a connection follows; MAY lag behind by a moment.
    pub(crate) async fn of_connection(&self, connection: &ConnectionId) -> Result<Vec<Topic>> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("byConnection");
        let found = query
            .key_condition_expression("connectionId = :connection")
            .expression_attribute_values(":connection", text(connection.as_str()))
            .send()
            .await
            .map_err(|error| failure("reading what a connection follows", &error))?;
        let items = found.items.unwrap_or_default();
        items.iter().map(topic).collect()
    }

    /// Takes hold of a row, for as long as sending one message may take.
    pub(crate) async fn hold(&self, row: &Row) -> Result<Held> {
        let hold = Hold {
            by: format!("{:032x}", rand::random::<u128>()),
            // As seen before the call: it ends no later there than here.
            until: Instant::now() + HELD_FOR,
        };
        let now = self.clock.now();
        let held = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Self::row_key(row)))
            .update_expression("SET heldBy = :hold, heldUntil = :until")
            .condition_expression(
                "attribute_exists(topic) AND (attribute_not_exists(heldUntil) OR heldUntil < :now)",
            )
            .expression_attribute_values(":hold", text(&hold.by))
            .expression_attribute_values(":now", number(now.millis()))
            .expression_attribute_values(":until", number(now.plus_millis(HELD_FOR_MILLIS).millis()))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(
                aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld,
            )
            .send()
            .await;
        match held {
            Ok(held) => {
                let item = held.attributes.unwrap_or_default();
                Ok(Held::Mine(read(&item)?, hold))
            }
            Err(error) => {
                use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
                match error.as_service_error() {
                    Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                        match refused.item.as_ref().filter(|item| !item.is_empty()) {
                            Some(item) => Ok(Held::Busy(read(item)?.had)),
                            None => Ok(Held::Gone),
                        }
                    }
                    _ => Err(failure("taking hold of who follows", &error)),
                }
            }
        }
    }

    /// Notes what the connection has had now, and goes on holding the row, as long again. False where it is no more, or
    /// another one's: whoever told the connection MUST stop.
    pub(crate) async fn keep(&self, row: &Row, hold: &mut Hold) -> Result<bool> {
        let until = Instant::now() + HELD_FOR;
        let held_until = self.clock.now().plus_millis(HELD_FOR_MILLIS).millis();
        let kept = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Self::row_key(row)))
            .update_expression("SET had = :had, heldUntil = :until")
            .condition_expression("heldBy = :hold")
            .expression_attribute_values(":had", text(row.had.to_string()))
            .expression_attribute_values(":until", number(held_until))
            .expression_attribute_values(":hold", text(&hold.by))
            .send()
            .await;
        match kept {
            Ok(_) => {
                hold.until = until;
                Ok(true)
            }
            Err(error) if is_refused(&error) => Ok(false),
            Err(error) => Err(failure("going on holding who follows", &error)),
        }
    }

    /// Lets go of a row, with what the connection has had now. Does nothing where it is no more, or another one's.
    pub(crate) async fn let_go(&self, row: &Row, hold: &Hold) -> Result<()> {
        let let_go = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Self::row_key(row)))
            .update_expression("SET had = :had REMOVE heldBy, heldUntil")
            .condition_expression("heldBy = :hold")
            .expression_attribute_values(":had", text(row.had.to_string()))
            .expression_attribute_values(":hold", text(&hold.by))
            .send()
            .await;
        match let_go {
            Err(error) if !is_refused(&error) => Err(failure("letting go of who follows", &error)),
            _ => Ok(()),
        }
    }

    /// Removes a row.
    pub(crate) async fn remove(&self, topic: &Topic, connection: &ConnectionId) -> Result<()> {
        let key = Self::key(&topic.to_string(), connection.as_str());
        let delete = self.client.delete_item().table_name(&self.table);
        let deleted = delete.set_key(Some(key)).send().await;
        deleted
            .map(drop)
            .map_err(|error| failure("forgetting who follows", &error))
    }
}

fn read(item: &Item) -> Result<Row> {
    Ok(Row {
        topic: topic(item)?,
        connection: ConnectionId::new(string(item, "connectionId")?),
        had: string(item, "had")?
            .parse()
            .map_err(|error| corrupt("connection", error))?,
    })
}

fn topic(item: &Item) -> Result<Topic> {
    string(item, "topic")?.parse()
}

fn string<'a>(item: &'a Item, name: &str) -> Result<&'a str> {
    let text = item.get(name).and_then(|value| value.as_s().ok());
    text.map(String::as_str)
        .ok_or_else(|| corrupt("connection", format!("it has no {name}")))
}
