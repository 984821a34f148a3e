//! `bedrock-diy webhooks …`.

mod deliveries;

use std::path::Path;

use bedrock_diy_core::{ProjectId, WebhookId, error::Result, time::Timestamp};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    arguments::{CreateWebhook, DeleteWebhook, Elsewhere, ListWebhooks, OneWebhook, RotateWebhook, Webhooks},
    exit::Exit,
    remote::{Remote, understood},
    terminal::{confirm, plain, print, say},
    text::shortened,
};

/// A webhook, as far as it is shown here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Webhook {
    #[serde(rename = "webhookId")]
    id: WebhookId,
    name: String,
    url: String,
    events: Vec<String>,
    is_active: bool,
    failures_in_a_row: u32,
    disabled_reason: Option<String>,
    disabled_at: Option<Timestamp>,
    updated_at: Timestamp,
    version: u32,
    secret: Option<String>,
}

/// Does what was asked for with webhooks.
pub(super) async fn webhooks(elsewhere: &Elsewhere, data: &Path, command: Webhooks) -> Result<Exit> {
    let remote = Remote::needed(elsewhere, data, "`webhooks`")?;
    match command {
        Webhooks::List(list) => self::list(&remote, &list).await,
        Webhooks::Create(new) => create(&remote, &new).await,
        Webhooks::Show(one) => show(&remote, &one).await,
        Webhooks::Delete(delete) => self::delete(&remote, &delete).await,
        Webhooks::Rotate(rotate) => self::rotate(&remote, &rotate).await,
        Webhooks::Ping(one) => deliveries::ping(&remote, &one).await,
        Webhooks::Deliveries(list) => deliveries::list(&remote, &list).await,
        Webhooks::Redeliver(again) => deliveries::redeliver(&remote, &again).await,
        Webhooks::Enable(one) => switch(&remote, &one, true).await,
        Webhooks::Disable(one) => switch(&remote, &one, false).await,
    }
}

async fn list(remote: &Remote, list: &ListWebhooks) -> Result<Exit> {
    let at = format!("/api/projects/{}/webhooks", list.project);
    let found: Vec<Value> = remote.list(&at, Vec::new()).all().await?;
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["Webhook", "Name", "Address", "Events", "State"]);
    for document in found {
        if list.json {
            print(document)?;
            continue;
        }
        let webhook: Webhook = understood(document)?;
        table.add_row([
            webhook.id.to_string(),
            shortened(&plain(&webhook.name), 30),
            shortened(&plain(&webhook.url), 40),
            shortened(&plain(&webhook.events.join(", ")), 40),
            webhook.state(),
        ]);
    }
    if list.json {
        return Ok(Exit::Success);
    }
    if table.is_empty() {
        print("The project has no webhooks.")?;
    } else {
        print(table)?;
    }
    Ok(Exit::Success)
}

async fn create(remote: &Remote, new: &CreateWebhook) -> Result<Exit> {
    let host = new.url.split('/').nth(2).unwrap_or(&new.url);
    let name = new.name.as_deref().unwrap_or(host);
    let created: Value = remote
        .post(&format!("/api/projects/{}/webhooks", new.project))
        .json(&json!({ "name": name, "url": new.url, "events": new.events }))
        .send()
        .await?
        .json()
        .await?;
    if new.json {
        print(created)?;
        return Ok(Exit::Success);
    }
    let webhook: Webhook = understood(created)?;
    print(webhook.id)?;
    shown_once(webhook.secret)
}

async fn show(remote: &Remote, one: &OneWebhook) -> Result<Exit> {
    let document: Value = remote
        .get(&path(&one.project, &one.webhook))
        .send()
        .await?
        .json()
        .await?;
    if one.json {
        print(document)?;
        return Ok(Exit::Success);
    }
    let webhook: Webhook = understood(document)?;
    print(format_args!("Webhook  {}", webhook.id))?;
    print(format_args!("Name     {}", plain(&webhook.name)))?;
    print(format_args!("Address  {}", plain(&webhook.url)))?;
    print(format_args!("Events   {}", plain(&webhook.events.join(", "))))?;
    print(format_args!("State    {}", webhook.state()))?;
    if let Some(at) = webhook.disabled_at {
        print(format_args!("Disabled {at}"))?;
    }
    print(format_args!("Changed  {}", webhook.updated_at))?;
    Ok(Exit::Success)
}

async fn delete(remote: &Remote, delete: &DeleteWebhook) -> Result<Exit> {
    let at = path(&delete.project, &delete.webhook);
    let webhook: Webhook = remote.get(&at).send().await?.json().await?;
    let question = format!(
        "Delete the webhook {} ({}) of {}?",
        webhook.id,
        plain(&webhook.name),
        delete.project
    );
    if !delete.yes && !confirm(&question)? {
        say("Nothing was deleted.");
        return Ok(Exit::Success);
    }
    remote.delete(&at).if_match(webhook.version).send().await?;
    say(format_args!("Deleted {}.", webhook.id));
    Ok(Exit::Success)
}

async fn rotate(remote: &Remote, rotate: &RotateWebhook) -> Result<Exit> {
    let at = path(&rotate.one.project, &rotate.one.webhook);
    let rotated: Value = remote
        .post(&format!("{at}:rotate"))
        .json(&json!({ "only": rotate.only }))
        .send()
        .await?
        .json()
        .await?;
    if rotate.one.json {
        print(rotated)?;
        return Ok(Exit::Success);
    }
    let webhook: Webhook = understood(rotated)?;
    shown_once(webhook.secret)
}

async fn switch(remote: &Remote, one: &OneWebhook, on: bool) -> Result<Exit> {
    let at = path(&one.project, &one.webhook);
    let webhook: Webhook = remote.get(&at).send().await?.json().await?;
    let switched: Value = remote
        .patch(&at)
        .if_match(webhook.version)
        .json(&json!({ "isActive": on }))
        .send()
        .await?
        .json()
        .await?;
    if one.json {
        print(switched)?;
        return Ok(Exit::Success);
    }
    let webhook: Webhook = understood(switched)?;
    print(format_args!("{} {}", webhook.id, webhook.state()))?;
    if on {
        say(format_args!(
            "What failed meanwhile is delivered with `bedrock-diy webhooks redeliver --project {} {} --failed`.",
            one.project, one.webhook
        ));
    }
    Ok(Exit::Success)
}

impl Webhook {
    fn state(&self) -> String {
        match (&self.disabled_reason, self.is_active) {
            (Some(reason), false) => format!("off ({})", plain(&reason.to_lowercase())),
            (None, false) => "off".to_owned(),
            (_, true) if self.failures_in_a_row > 0 => {
                format!("on, {} failures in a row", self.failures_in_a_row)
            }
            (_, true) => "on".to_owned(),
        }
    }
}

fn shown_once(secret: Option<String>) -> Result<Exit> {
    if let Some(secret) = secret {
        print(secret)?;
        say("This is its secret, for whoever verifies what is sent. It is shown this once.");
    }
    Ok(Exit::Success)
}

fn path(project: &ProjectId, webhook: &WebhookId) -> String {
    format!("/api/projects/{project}/webhooks/{webhook}")
}
