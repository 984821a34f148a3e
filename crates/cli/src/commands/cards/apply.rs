//! Pushes, step by step, each from what was read: what somebody else changes meanwhile stays theirs.

use bedrock_diy_core::{Failure, error::Result, project::ProjectStatus};
use serde_json::{Value, json};

use super::{
    plan::{CardChange, CardStep, Plan, ProjectStep, narrowed},
    said::{SaidCard, SaidProject, Stored},
};
use crate::{
    project_files::{FileCard, ProjectFiles},
    remote::{Refusal, Remote},
};

/// Does what the plan says. Where a step is refused, the steps before it are done, and the failure says so.
pub(super) async fn apply(
    remote: &Remote,
    plan: &Plan<'_>,
    files: &ProjectFiles,
    stored: &Stored,
    note: &str,
) -> Result<()> {
    let at = format!("/api/projects/{}", files.id);
    let pushing = Pushing { remote, at, note };
    let mut done = 0;
    pushing
        .project(plan, files, stored)
        .await
        .map_err(|refusal| told(refusal, &format!("the project {}", files.id), done))?;
    done += usize::from(!matches!(plan.project, ProjectStep::Same));
    for step in &plan.cards {
        let (pushed, id) = match step {
            CardStep::Create(file) => (pushing.create(file).await, &file.prompt_id),
            CardStep::Change(change) => (pushing.change(change).await, &change.file.prompt_id),
        };
        pushed.map_err(|refusal| told(refusal, &format!("the card {id}"), done))?;
        done += 1;
    }
    for card in &plan.deleted {
        let call = remote.delete(&format!("{}/prompts/{}", pushing.at, card.prompt_id));
        let gone = call.if_match(card.version).send().await;
        gone.map_err(|refusal| told(refusal, &format!("the card {}", card.prompt_id), done))?;
        done += 1;
    }
    Ok(())
}

struct Pushing<'a> {
    remote: &'a Remote,
    /// The project's path.
    at: String,
    note: &'a str,
}

impl Pushing<'_> {
    async fn project(&self, plan: &Plan<'_>, files: &ProjectFiles, stored: &Stored) -> Result<(), Refusal> {
        let said = SaidProject::from(files).document();
        let (change, version) = match (&plan.project, &stored.project) {
            (ProjectStep::Create, _) => {
                let new = json!({
                    "projectId": files.id, "name": files.name, "description": files.description,
                    "settings": files.settings,
                });
                self.remote.post("/api/projects").json(&new).send().await?;
                if files.status == ProjectStatus::Active {
                    return Ok(());
                }
                (json!({ "status": files.status }), 1)
            }
            (ProjectStep::Change(fields), Some(project)) => (narrowed(&said, fields), project.version),
            _ => return Ok(()),
        };
        let call = self.remote.patch(&self.at).if_match(version).json(&change);
        call.send().await.map(drop)
    }

    async fn create(&self, file: &FileCard) -> Result<(), Refusal> {
        let mut new = SaidCard::from(file).document();
        new["promptId"] = json!(file.prompt_id);
        self.noted(&mut new);
        let call = self.remote.post(&format!("{}/prompts", self.at));
        call.json(&new).send().await.map(drop)
    }

    async fn change(&self, change: &CardChange<'_>) -> Result<(), Refusal> {
        let said = SaidCard::from(change.file).document();
        let mut changed = narrowed(&said, &change.fields);
        if change.content {
            changed["content"] = said["content"].clone();
        }
        self.noted(&mut changed);
        let call = self
            .remote
            .patch(&format!("{}/prompts/{}", self.at, change.file.prompt_id));
        call.if_match(change.stored.version)
            .json(&changed)
            .send()
            .await
            .map(drop)
    }

    fn noted(&self, document: &mut Value) {
        if !self.note.is_empty() {
            document["note"] = json!(self.note);
        }
    }
}

/// What was refused, and how far the push has come.
fn told(refusal: Refusal, what: &str, done: usize) -> Failure {
    let stale = refusal.is_stale();
    let failure = Failure::from(refusal);
    let why = if stale {
        format!(
            "somebody else has changed {what} since it was read, and nothing of theirs was overwritten: look at it with \
             `bedrock-diy cards diff`, and push again"
        )
    } else {
        format!("{what} was not pushed: {}", failure.detail)
    };
    let far = match done {
        0 => "Nothing was pushed.",
        _ => "What was shown before it is pushed; the same command goes on.",
    };
    Failure {
        detail: format!("{why}\n{far}"),
        ..failure
    }
}
