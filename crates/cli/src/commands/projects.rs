//! `bedrock-diy projects …`.

use std::path::Path;

use bedrock_diy_core::{ProjectId, error::Result, project::Project};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Value, json};

use crate::{
    arguments::{CreateProject, DeleteProject, Elsewhere, ListProjects, OneProject, Projects},
    exit::Exit,
    remote::{PromptSummary, Remote, understood},
    terminal::{confirm, plain, plain_lines, print, say},
    text::shortened,
};

/// Projects that are listed at once.
const PAGE: usize = 200;

/// Does what was asked for with projects.
pub(super) async fn projects(elsewhere: &Elsewhere, data: &Path, command: Projects) -> Result<Exit> {
    let remote = Remote::needed(elsewhere, data, "`projects`")?;
    match command {
        Projects::List(list) => self::list(&remote, &list).await,
        Projects::Show(one) => show(&remote, &one).await,
        Projects::Create(new) => create(&remote, &new).await,
        Projects::Delete(delete) => self::delete(&remote, &delete).await,
    }
}

async fn list(remote: &Remote, list: &ListProjects) -> Result<Exit> {
    let mut query = vec![("limit", PAGE.to_string())];
    if list.all {
        query.push(("all", "true".to_owned()));
    }
    let mut pages = remote.list::<Value>("/api/projects", query);
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["Project", "Name", "Status", "Owner", "Changed (UTC)"]);
    while let Some(page) = pages.next().await? {
        for project in page {
            if list.json {
                print(project)?;
                continue;
            }
            let project: Project = understood(project)?;
            table.add_row([
                project.project_id.to_string(),
                shortened(&plain(&project.name), 40),
                json!(project.status).as_str().unwrap_or_default().to_owned(),
                shortened(&plain(&project.owner), 24),
                project
                    .updated_at
                    .to_string()
                    .replace('T', " ")
                    .chars()
                    .take(16)
                    .collect(),
            ]);
        }
    }
    if list.json {
        return Ok(Exit::Success);
    }
    if table.is_empty() {
        let hint = if list.all {
            ""
        } else {
            " Administrators see the others with --all."
        };
        print(format_args!("There are no projects that you work on.{hint}"))?;
    } else {
        print(table)?;
    }
    Ok(Exit::Success)
}

async fn show(remote: &Remote, one: &OneProject) -> Result<Exit> {
    let at = path(&one.project);
    let document: Value = remote.get(&at).send().await?.json().await?;
    let cards: Vec<Value> = remote.list(&format!("{at}/prompts"), Vec::new()).all().await?;
    if one.json {
        print(json!({ "project": document, "cards": cards }))?;
        return Ok(Exit::Success);
    }
    let project: Project = understood(document)?;
    print(format_args!("Project  {}", project.project_id))?;
    print(format_args!("Name     {}", plain(&project.name)))?;
    if !project.description.is_empty() {
        print(format_args!("For      {}", plain_lines(&project.description)))?;
    }
    print(format_args!(
        "Status   {}",
        json!(project.status).as_str().unwrap_or_default()
    ))?;
    print(format_args!("Owner    {}", plain(&project.owner)))?;
    if !project.members.is_empty() {
        print(format_args!("Members  {}", plain(&project.members.join(", "))))?;
    }
    print(format_args!("Changed  {}", project.updated_at))?;
    if cards.is_empty() {
        return Ok(Exit::Success);
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["Order", "Card", "Title", "Active", "Revision"]);
    for card in cards {
        let card: PromptSummary = understood(card)?;
        table.add_row([
            card.step_order.to_string(),
            card.prompt_id.to_string(),
            shortened(&plain(&card.title), 40),
            if card.is_active { "yes" } else { "no" }.to_owned(),
            card.revision.to_string(),
        ]);
    }
    print(table)?;
    Ok(Exit::Success)
}

async fn create(remote: &Remote, new: &CreateProject) -> Result<Exit> {
    let mut document = json!({ "name": new.name, "description": new.description });
    if let Some(id) = &new.id {
        document["projectId"] = json!(id);
    }
    let created: Value = remote
        .post("/api/projects")
        .json(&document)
        .send()
        .await?
        .json()
        .await?;
    if new.json {
        print(created)?;
    } else {
        let project: Project = understood(created)?;
        print(project.project_id)?;
    }
    Ok(Exit::Success)
}

async fn delete(remote: &Remote, delete: &DeleteProject) -> Result<Exit> {
    let id = &delete.project;
    let at = path(id);
    let project: Project = remote.get(&at).send().await?.json().await?;
    let question = format!(
        "Delete the project {id} ({}) at {}?",
        plain(&project.name),
        remote.address()
    );
    if !delete.yes && !confirm(&question)? {
        say("Nothing was deleted.");
        return Ok(Exit::Success);
    }
    remote.delete(&at).if_match(project.version).send().await?;
    say(format_args!("Deleted {id}."));
    Ok(Exit::Success)
}

fn path(project: &ProjectId) -> String {
    format!("/api/projects/{project}")
}
