//! What a push would change, for people.

use std::fmt::Write as _;

use bedrock_diy_core::changes::FieldChange;
use serde_json::Value;
use similar::TextDiff;

use super::{
    plan::{CardChange, CardStep, Plan, ProjectStep},
    said::{SaidCard, Stored},
};
use crate::{
    project_files::{FileCard, ProjectFiles},
    remote::PromptDocument,
    terminal::{plain, plain_lines},
    text::shortened,
};

/// Lines that are shown around what differs.
const CONTEXT: usize = 3;

/// The longest value that is shown, in columns.
const VALUE: usize = 60;

/// The plan, a block for each thing that changes.
pub(super) fn plan(plan: &Plan<'_>, files: &ProjectFiles, stored: &Stored) -> String {
    let mut text = String::new();
    match &plan.project {
        ProjectStep::Same => {}
        ProjectStep::Create => line(&mut text, &format!("project {}: created", files.id)),
        ProjectStep::Change(fields) => {
            line(&mut text, &format!("project {}: changed", files.id));
            changed(&mut text, fields);
        }
    }
    for step in &plan.cards {
        match step {
            CardStep::Create(file) => created(&mut text, file),
            CardStep::Change(change) => card(&mut text, change),
        }
    }
    for gone in &plan.deleted {
        line(&mut text, &format!("card {}: deleted", gone.prompt_id));
    }
    let before: Vec<_> = stored.cards.iter().map(|card| card.prompt_id.as_str()).collect();
    let after: Vec<_> = files.cards.iter().map(|card| card.prompt_id.as_str()).collect();
    if before != after {
        line(&mut text, &format!("order: {}", after.join(", ")));
    }
    text.truncate(text.trim_end().len());
    plain_lines(&text).into_owned()
}

fn created(text: &mut String, file: &FileCard) {
    let inactive = if file.is_active { "" } else { ", inactive" };
    line(text, &format!("card {}: created{inactive}", file.prompt_id));
    differing(text, "", &file.draft.content, file);
}

fn card(text: &mut String, change: &CardChange<'_>) {
    line(text, &format!("card {}: changed", change.file.prompt_id));
    changed(text, &change.fields);
    if change.content {
        let before = stored_prompt(change.stored);
        differing(text, &before, &change.file.draft.content, change.file);
    }
}

fn stored_prompt(card: &PromptDocument) -> String {
    SaidCard::from(card).draft.content
}

fn changed(text: &mut String, fields: &[FieldChange]) {
    for FieldChange { field, from, to } in fields {
        let name = field.trim_start_matches('/').replace('/', ".");
        let name = name.replace("~1", "/").replace("~0", "~");
        let told = match (from, to) {
            (Some(from), Some(to)) => format!("{} → {}", value(from), value(to)),
            (None, Some(to)) => format!("{} (new)", value(to)),
            (Some(from), None) => format!("{} (gone)", value(from)),
            (None, None) => continue,
        };
        line(text, &format!("  {}: {told}", plain(&name)));
    }
}

fn value(value: &Value) -> String {
    shortened(&plain(&value.to_string()), VALUE)
}

fn differing(text: &mut String, before: &str, after: &str, file: &FileCard) {
    let ended = |prompt: &str| {
        if prompt.is_empty() {
            String::new()
        } else {
            format!("{prompt}\n")
        }
    };
    let (before, after) = (ended(before), ended(after));
    let name = file.path.file_name().unwrap_or_default().to_string_lossy();
    let stored = if before.is_empty() {
        "/dev/null"
    } else {
        "the API's"
    };
    let diff = TextDiff::from_lines(&before, &after);
    let shown = diff
        .unified_diff()
        .context_radius(CONTEXT)
        .header(stored, &name)
        .to_string();
    for shown in shown.lines() {
        line(text, &format!("  {shown}"));
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{line}");
}
