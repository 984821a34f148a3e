//! Model quota in DynamoDB: one line before each model, for every function that runs.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use aws_sdk_dynamodb::{
    Client,
    types::{Delete, TransactWriteItem},
};
use bedrock_diy_core::{
    catalogue::Catalogue,
    error::Result,
    ports::ModelQuota,
    quota::{Pace, Place, Quota, Ticket},
    time::Timestamp,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::{
    config::Config,
    dynamo::{self, Item, Written, number, put, put_if, text},
    storage::{corrupt, failure, unavailable},
};

/// The lines before the models.
///
/// A model of which no quota is known and that has never throttled has no line: a function looks once a
/// second whether there is one by now, and else asks nobody. Where there is one, joining it is one
/// transaction over the line and the newcomer's place; whoever comes back only reads.
#[derive(Debug, Clone)]
pub struct DynamoQuota {
    client: Client,
    table: String,
    catalogue: Arc<Catalogue>,
    seen: Arc<Mutex<HashMap<String, Seen>>>,
}

/// What this process knows of a line.
#[derive(Debug, Default)]
struct Seen {
    /// When there was none.
    free_at: Option<Instant>,
    /// Answers that the line has not been told of yet: with the next write.
    answered: u32,
}

/// A line as it is stored.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    /// Grows with every write: one that comes in between is noticed.
    version: u64,
    pace: Pace,
    /// When places of those who did not come back were last taken back.
    swept_at: Timestamp,
}

/// A place in the line as it is stored, and what its holder was told.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Held {
    ticket: Ticket,
    /// When it was to come back, or to call.
    due: Timestamp,
    /// Whether it was to call: then its place is used up.
    served: bool,
}

/// The sort key of the line itself; a holder's place lies under the holder's name, which has a `#` in it.
const LINE: &str = "LINE";

/// How long a model is believed to have no line.
const FREE: Duration = Duration::from_secs(1);

/// Who was to ask again and has not come for so long will not come: its job was cancelled, most likely.
const ABSENT_MILLIS: u64 = 2 * 60 * 1_000;

/// How often is looked for those, and how many are taken back at once.
const SWEEP_MILLIS: u64 = 10_000;
const SWEEP: i32 = 50;

/// Places expire a day after their holder was due, whatever happened to it.
const PLACE_DAYS: u32 = 1;

/// How often a write is tried that another one came before, and how long it waits at most before its
/// second try; twice as long before each further one.
const TRIES: u32 = 10;
const FIRST_PAUSE_MILLIS: u64 = 10;

/// What is to be done with the holder's place.
enum After {
    Hold(Held),
    Free,
}

impl DynamoQuota {
    /// In this deployment, paced by the quotas that the catalogue knows and by what is learnt from
    /// throttles.
    #[must_use]
    pub fn new(client: Client, catalogue: Arc<Catalogue>, config: &Config) -> Self {
        Self {
            client,
            table: config.tables.model_quota.clone(),
            catalogue,
            seen: Arc::default(),
        }
    }

    fn quota(&self, model: &str) -> Quota {
        self.catalogue
            .family(model)
            .map(|family| family.quota)
            .unwrap_or_default()
    }

    fn is_free(&self, model: &str) -> bool {
        let seen = self.seen.lock();
        let free_at = seen.get(model).and_then(|seen| seen.free_at);
        free_at.is_some_and(|at| at.elapsed() < FREE)
    }

    /// Whether the last look found no line, however long ago: nobody who was let through then has a place.
    fn was_free(&self, model: &str) -> bool {
        let seen = self.seen.lock();
        seen.get(model).is_some_and(|seen| seen.free_at.is_some())
    }

    fn see(&self, model: &str, free: bool) {
        let mut seen = self.seen.lock();
        let seen = seen.entry(model.to_owned()).or_default();
        seen.free_at = free.then(Instant::now);
    }

    fn key(model: &str, holder: &str) -> Item {
        Item::from([
            ("model".to_owned(), text(model)),
            ("holder".to_owned(), text(holder)),
        ])
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, model: &str, holder: &str) -> Result<Option<T>> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(true);
        let got = get.set_key(Some(Self::key(model, holder))).send().await;
        let got = got.map_err(|error| failure(&format!("reading the line of {model}"), &error))?;
        got.item.map(|item| dynamo::document("line", item)).transpose()
    }

    fn place(model: &str, holder: &str, held: &Held) -> Result<Item> {
        let mut item = dynamo::item("place", held)?;
        item.extend(Self::key(model, holder));
        dynamo::expires(&mut item, held.due, PLACE_DAYS);
        Ok(item)
    }

    async fn hold(&self, model: &str, holder: &str, held: &Held) -> Result<()> {
        let item = Self::place(model, holder, held)?;
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item));
        put.send()
            .await
            .map(|_| ())
            .map_err(|error| failure("keeping a place in a line", &error))
    }

    /// Reads the line and the holder's place, lets `act` change the line and say what becomes of the
    /// place, and writes both, again and again until nobody wrote in between. Nothing is written where
    /// `act` says nothing.
    async fn change<T>(
        &self,
        model: &str,
        holder: &str,
        now: Timestamp,
        act: impl Fn(&mut Pace, &Quota, Option<Held>) -> (Option<After>, T),
    ) -> Result<T> {
        let quota = self.quota(model);
        let mut pause = FIRST_PAUSE_MILLIS;
        for _ in 0..TRIES {
            let (stored, held) =
                tokio::try_join!(self.get::<Line>(model, LINE), self.get::<Held>(model, holder))?;
            let mut line = stored.clone().unwrap_or_default();
            let told = self.seen.lock().get(model).map_or(0, |seen| seen.answered);
            for _ in 0..told {
                line.pace.answered(now);
            }
            let (after, result) = act(&mut line.pace, &quota, held);
            let Some(after) = after else {
                return Ok(result);
            };
            let mut items = self.sweep(model, holder, &quota, &mut line, now).await?;
            items.push(match after {
                After::Hold(held) => put(&self.table, Self::place(model, holder, &held)?)?,
                After::Free => self.delete(model, holder)?,
            });
            items.push(self.line(model, &line)?);
            match dynamo::write(&self.client, &format!("moving the line of {model}"), items).await? {
                Written::All => {
                    if let Some(seen) = self.seen.lock().get_mut(model) {
                        seen.answered = seen.answered.saturating_sub(told);
                    }
                    return Ok(result);
                }
                Written::Nothing(_) => {
                    tokio::time::sleep(Duration::from_millis(rand::random_range(0..=pause))).await;
                    pause *= 2;
                }
            }
        }
        Err(unavailable(format!(
            "the line of {model} was always written by somebody else"
        )))
    }

    /// The line as the next version of itself, where nobody wrote in between.
    fn line(&self, model: &str, line: &Line) -> Result<TransactWriteItem> {
        let next = Line {
            version: line.version + 1,
            ..line.clone()
        };
        let mut item = dynamo::item("line", &next)?;
        item.extend(Self::key(model, LINE));
        let condition = "attribute_not_exists(model) OR version = :read";
        put_if(&self.table, item, condition, [(":read", number(line.version))])
    }

    fn delete(&self, model: &str, holder: &str) -> Result<TransactWriteItem> {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(Self::key(model, holder)));
        let delete = delete.build().map_err(|error| corrupt("request", error))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// Takes back the places of those who will not come any more, now and then; `holder` has just come.
    async fn sweep(
        &self,
        model: &str,
        holder: &str,
        quota: &Quota,
        line: &mut Line,
        now: Timestamp,
    ) -> Result<Vec<TransactWriteItem>> {
        if now.millis_since(line.swept_at) < SWEEP_MILLIS {
            return Ok(Vec::new());
        }
        line.swept_at = now;
        let query = self.client.query().table_name(&self.table);
        let long_ago = now.plus_millis(-i64::try_from(ABSENT_MILLIS).unwrap_or(i64::MAX));
        let page = query
            .key_condition_expression("model = :model")
            // Whoever was served is using its place, or has died with it: it expires.
            .filter_expression("due < :long_ago AND served = :no")
            .expression_attribute_values(":model", text(model))
            .expression_attribute_values(":long_ago", text(long_ago.to_string()))
            .expression_attribute_values(":no", aws_sdk_dynamodb::types::AttributeValue::Bool(false))
            .limit(SWEEP)
            .send()
            .await
            .map_err(|error| failure(&format!("looking through the line of {model}"), &error))?;
        let mut gone = Vec::new();
        for item in page.items.unwrap_or_default() {
            let Some(absent) = item.get("holder").and_then(|holder| holder.as_s().ok().cloned()) else {
                continue;
            };
            // A transaction takes each item once, and this one's place is its caller's to write.
            if absent == holder {
                continue;
            }
            let held: Held = dynamo::document("place", item)?;
            // A place whose turn has passed unused is past: given back now, many of them would be a burst.
            if line.pace.turn(quota, held.ticket, now) > now {
                line.pace.leave(quota, held.ticket, now);
            }
            gone.push(self.delete(model, &absent)?);
        }
        Ok(gone)
    }
}

#[async_trait]
impl ModelQuota for DynamoQuota {
    async fn reserve(
        &self,
        model: &str,
        tokens: u64,
        holder: &str,
        place: Place,
        now: Timestamp,
    ) -> Result<Timestamp> {
        if self.is_free(model) {
            return Ok(now);
        }
        let quota = self.quota(model);
        let (line, held) = tokio::try_join!(self.get::<Line>(model, LINE), self.get::<Held>(model, holder))?;
        if held.is_none() && line.as_ref().is_none_or(|line| line.pace.is_free(&quota, now)) {
            let no_quota = Pace::default().is_free(&quota, now);
            if no_quota {
                self.see(model, true);
                return Ok(now);
            }
        }
        self.see(model, false);
        if let (Some(mut line), Some(held)) = (line, held) {
            // Who comes back is told how far the line is by now: nothing of it changes.
            let due = line.pace.turn(&quota, held.ticket, now);
            let held = Held {
                due,
                served: due <= now,
                ..held
            };
            self.hold(model, holder, &held).await?;
            return Ok(due);
        }
        self.change(model, holder, now, |pace, quota, held| {
            let ticket = held.map_or_else(|| pace.join(quota, tokens, place, now), |held| held.ticket);
            let due = pace.turn(quota, ticket, now);
            let held = Held {
                ticket,
                due,
                served: due <= now,
            };
            (Some(After::Hold(held)), due)
        })
        .await
    }

    async fn leave(&self, model: &str, holder: &str, now: Timestamp) -> Result<()> {
        if self.is_free(model) {
            return Ok(());
        }
        self.change(model, holder, now, |pace, quota, held| match held {
            Some(held) => {
                pace.leave(quota, held.ticket, now);
                (Some(After::Free), ())
            }
            None => (None, ()),
        })
        .await
    }

    /// The line hears of the answer when this process writes it next: one write less for each call.
    async fn answered(&self, model: &str, holder: &str, _: Timestamp) -> Result<()> {
        if self.was_free(model) {
            return Ok(());
        }
        if let Some(seen) = self.seen.lock().get_mut(model) {
            seen.answered += 1;
        }
        let delete = self.client.delete_item().table_name(&self.table);
        let deleted = delete.set_key(Some(Self::key(model, holder))).send().await;
        deleted
            .map(|_| ())
            .map_err(|error| failure("giving a used place in a line back", &error))
    }

    async fn throttled(
        &self,
        model: &str,
        holder: &str,
        now: Timestamp,
        retry_after_seconds: Option<u32>,
    ) -> Result<()> {
        self.see(model, false);
        self.change(model, holder, now, |pace, quota, held| {
            // Its holder keeps the ticket where it has one, and so its place in front of the others.
            let kept = held.map(|held| held.ticket);
            let ticket = kept.unwrap_or_else(|| pace.join(quota, 0, Place::Last, now));
            pace.throttled(quota, kept, now, retry_after_seconds);
            let held = Held {
                ticket,
                due: now,
                served: false,
            };
            (Some(After::Hold(held)), ())
        })
        .await
    }
}
