//! What was sent to a webhook.

use std::time::Duration;

use bedrock_diy_core::{DeliveryId, error::Result, limits, time::Timestamp};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::path;
use crate::{
    arguments::{ListDeliveries, OneWebhook, Redeliver},
    exit::Exit,
    remote::{Remote, understood},
    terminal::{plain, print, say},
    text::shortened,
};

/// Deliveries that are listed at once: as many as the API shows.
const PAGE: usize = 200;

/// How often is looked what came of a ping, and for how long: a little longer than an attempt may take.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(limits::WEBHOOK_SECONDS + 10);

/// A delivery, as far as it is shown here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delivery {
    #[serde(rename = "deliveryId")]
    id: DeliveryId,
    #[serde(rename = "type")]
    event_type: String,
    status: String,
    failure: Option<String>,
    created_at: Timestamp,
    next_attempt_at: Option<Timestamp>,
    attempts: Vec<Attempt>,
}

#[derive(Debug, Deserialize)]
struct Attempt {
    millis: u64,
    status: Option<u16>,
    answer: Option<String>,
    error: Option<String>,
}

impl Attempt {
    fn outcome(&self) -> String {
        match (&self.error, self.status) {
            (Some(error), _) => plain(error).into_owned(),
            (None, Some(status)) => {
                let answer = self.answer.as_deref().unwrap_or_default();
                format!("{status} in {} ms {}", self.millis, plain(answer))
                    .trim()
                    .to_owned()
            }
            (None, None) => String::new(),
        }
    }
}

impl Delivery {
    fn outcome(&self) -> String {
        self.attempts.last().map(Attempt::outcome).unwrap_or_default()
    }

    fn is_failed(&self) -> bool {
        self.status == "FAILED"
    }
}

pub(super) async fn list(remote: &Remote, list: &ListDeliveries) -> Result<Exit> {
    let most = if list.all { usize::MAX } else { list.limit };
    let at = format!("{}/deliveries", path(&list.one.project, &list.one.webhook));
    let mut pages = remote.list::<Value>(&at, vec![("limit", PAGE.to_string())]);
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["Delivery", "Type", "When (UTC)", "Status", "Tries", "Last"]);
    let mut listed = 0;
    'pages: while let Some(page) = pages.next().await? {
        for document in page {
            let delivery: Delivery = understood(document.clone())?;
            if list.failed && !delivery.is_failed() {
                continue;
            }
            if listed == most {
                say("There are more: take --all, or a larger --limit.");
                break 'pages;
            }
            listed += 1;
            if list.one.json {
                print(document)?;
                continue;
            }
            let status = match &delivery.failure {
                Some(failure) => format!("{} ({})", delivery.status, failure.to_lowercase()),
                None => delivery.status.clone(),
            };
            table.add_row([
                delivery.id.to_string(),
                plain(&delivery.event_type).into_owned(),
                delivery
                    .created_at
                    .to_string()
                    .replace('T', " ")
                    .chars()
                    .take(19)
                    .collect(),
                plain(&status).into_owned(),
                delivery.attempts.len().to_string(),
                shortened(&delivery.outcome(), 60),
            ]);
        }
    }
    if list.one.json {
        return Ok(Exit::Success);
    }
    if listed == 0 {
        print("There are no such deliveries.")?;
    } else {
        print(table)?;
    }
    Ok(Exit::Success)
}

pub(super) async fn ping(remote: &Remote, one: &OneWebhook) -> Result<Exit> {
    let at = path(&one.project, &one.webhook);
    let sent: Value = remote.post(&format!("{at}:ping")).send().await?.json().await?;
    let sent: Delivery = understood(sent)?;
    let at = format!("{at}/deliveries/{}", sent.id);
    let until = Instant::now() + PATIENCE;
    loop {
        let document: Value = remote.get(&at).send().await?.json().await?;
        let delivery: Delivery = understood(document.clone())?;
        if delivery.attempts.is_empty() && delivery.status == "PENDING" && Instant::now() < until {
            sleep(LOOK_AGAIN).await;
            continue;
        }
        if one.json {
            print(document)?;
        } else {
            print(format_args!(
                "{} {} {}",
                delivery.id,
                delivery.status,
                delivery.outcome()
            ))?;
            if let Some(at) = delivery.next_attempt_at {
                say(format_args!("It is tried again at {at}."));
            }
        }
        return Ok(if delivery.status == "DELIVERED" {
            Exit::Success
        } else {
            Exit::SomeFailed
        });
    }
}

pub(super) async fn redeliver(remote: &Remote, again: &Redeliver) -> Result<Exit> {
    let at = format!("{}/deliveries", path(&again.project, &again.webhook));
    let ids = if again.failed {
        let all: Vec<Delivery> = remote.list(&at, vec![("limit", PAGE.to_string())]).all().await?;
        let failed = all.into_iter().filter(Delivery::is_failed);
        failed.map(|delivery| delivery.id).collect()
    } else {
        again.deliveries.clone()
    };
    // The oldest first, as they happened.
    for id in ids.iter().rev() {
        remote.post(&format!("{at}/{id}:redeliver")).send().await?;
        print(id)?;
    }
    say(format_args!(
        "{} delivered again: `bedrock-diy webhooks deliveries` says what comes of it.",
        match ids.len() {
            1 => "One is".to_owned(),
            many => format!("{many} are"),
        }
    ));
    Ok(Exit::Success)
}
