//! Writes what [`super::reading`] reads: the same project comes back.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bedrock_diy_core::{
    ProjectId, PromptId,
    card::CardDraft,
    project::{ProjectStatus, Settings},
};
use serde_json::{Map, Value, json};

use super::card_file::prompt_of;

/// Words that are no text in YAML, of whichever version.
const OWN: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

/// The text of a `project.yaml` that says this.
#[must_use]
pub fn project_file(
    id: &ProjectId,
    name: &str,
    description: &str,
    status: ProjectStatus,
    settings: &Settings,
) -> String {
    let said = json!({
        "id": id, "name": name, "description": description, "status": status, "settings": settings,
    });
    block(&said)
}

/// The text of a card's file that says this.
#[must_use]
pub fn card_file(draft: &CardDraft, is_active: bool) -> String {
    let mut said = Map::new();
    said.insert("title".into(), json!(draft.title));
    if !draft.tags.is_empty() {
        said.insert("tags".into(), json!(draft.tags));
    }
    if !is_active {
        said.insert("isActive".into(), json!(false));
    }
    if let Value::Object(settings) = json!(draft.settings) {
        said.extend(settings);
    }
    format!(
        "---\n{}---\n{}\n",
        block(&Value::Object(said)),
        as_a_file_has_it(&draft.content)
    )
}

/// The name of a card's file, in the folder `cards`.
#[must_use]
pub fn card_file_name(step_order: u32, prompt_id: &PromptId) -> String {
    format!("{step_order}-{prompt_id}.md")
}

/// A prompt as a file has it: blank lines around it, and how lines end, are not kept there.
#[must_use]
pub fn as_a_file_has_it(prompt: &str) -> String {
    let mut lines: Vec<_> = prompt.split('\n').collect();
    // The last piece is ended by no line end.
    let last = lines.pop().unwrap_or_default();
    let ended = lines.into_iter().map(|line| line.trim_end_matches('\r'));
    let text: Vec<_> = ended.chain([last]).collect();
    prompt_of(&text.join("\n")).to_owned()
}

/// Writes a file in place of the one that is there, whole or not at all.
pub fn write_file(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // Hidden, so that nobody takes it for a card.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part: PathBuf = path.with_file_name(format!(".{name}.part"));
    fs::write(&part, text)?;
    fs::rename(&part, path)
}

/// A document as YAML: groups as blocks, everything else as JSON, which YAML takes.
fn block(document: &Value) -> String {
    let mut text = String::new();
    fields(document, 0, &mut text);
    text
}

fn fields(document: &Value, indent: usize, text: &mut String) {
    for (name, value) in document.as_object().into_iter().flatten() {
        let plain = |c: char| c.is_ascii_alphabetic() || c == '_';
        // Some words are YAML's own.
        let is_word =
            !name.is_empty() && name.chars().all(plain) && !OWN.contains(&name.to_lowercase().as_str());
        let name = if is_word { name.clone() } else { quoted(name) };
        *text += &format!("{:indent$}{name}:", "");
        if value.as_object().is_some_and(|group| !group.is_empty()) {
            text.push('\n');
            fields(value, indent + 2, text);
        } else {
            *text += &format!(" {}\n", flow(value));
        }
    }
}

/// A value on one line.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(object) => {
            let entries: Vec<_> = object
                .iter()
                .map(|(name, value)| format!("{}: {}", quoted(name), flow(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

/// A YAML string. A JSON string is one, but for a few characters that YAML wants escaped and JSON does not.
pub(super) fn quoted(text: &str) -> String {
    let json = Value::from(text).to_string();
    let escaped = |c: char| {
        if c.is_control() || matches!(c, '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}') {
            format!("\\u{:04x}", u32::from(c))
        } else {
            c.to_string()
        }
    };
    json.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use bedrock_diy_core::card::CardSettings;
    use proptest::prelude::*;

    use super::*;
    use crate::project_files::{ProjectFiles, parse_card};

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e15..1e15_f64).prop_map(Value::from),
            "(?s).{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("(?s).{0,8}|no|<<|\\$ref|title", inner), 0..4)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    fn draft() -> impl Strategy<Value = CardDraft> {
        let texts = || prop::collection::vec("(?s).{1,10}", 0..3);
        (
            "(?s).{1,30}",
            texts(),
            "(?s)(---|\r?\n|.){1,60}",
            prop::option::of(any_json()),
        )
            .prop_map(|(title, tags, content, example)| CardDraft {
                title,
                tags,
                content,
                settings: CardSettings {
                    // A keyword that takes anything.
                    output_schema: example.map(|example| json!({"type": "object", "default": example})),
                    ..CardSettings::default()
                },
            })
            .prop_filter("a card that can be saved", |draft| {
                !draft.content.trim().is_empty() && !draft.title.trim().is_empty()
            })
    }

    proptest! {
        #[test]
        fn any_card_comes_back_from_its_file(draft in draft(), is_active in any::<bool>()) {
            let text = card_file(&draft, is_active);
            let read = parse_card(Path::new("10-facts.md"), text.as_bytes());
            prop_assert_eq!(&read.faults, &vec![], "{}", text);
            let content = as_a_file_has_it(&draft.content);
            prop_assert_eq!(read.draft, CardDraft { content, ..draft });
            prop_assert_eq!(read.is_active, is_active);
        }
    }

    #[test]
    fn a_project_comes_back_from_its_files_with_every_setting() {
        let settings: Settings = serde_json::from_value(json!({
            "model": "acme.v1", "timeoutSeconds": 9, "guardrail": {"id": "g", "version": "1"},
            "parameters": {"maxTokens": 10, "temperature": 0.1, "topP": 1.0, "stopSequences": ["END", "a: b"]},
            "limits": {"articleBytes": 1000, "costPerArticle": 0.5},
        }))
        .unwrap();
        let id = ProjectId::new("news").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let text = project_file(
            &id,
            "The \"News\"",
            "One.\nTwo: 2\n",
            ProjectStatus::Inactive,
            &settings,
        );
        write_file(&dir.path().join("project.yaml"), &text).unwrap();
        let draft = CardDraft {
            title: "Facts: all".into(),
            content: "Extract.".into(),
            ..CardDraft::default()
        };
        let name = card_file_name(7, &PromptId::new("facts").unwrap());
        write_file(&dir.path().join("cards").join(name), &card_file(&draft, true)).unwrap();
        let read = ProjectFiles::read(dir.path()).unwrap();
        assert_eq!(
            (read.id, read.name.as_str(), read.description.as_str()),
            (id, "The \"News\"", "One.\nTwo: 2\n")
        );
        assert_eq!((read.status, read.settings), (ProjectStatus::Inactive, settings));
        assert_eq!((read.cards[0].step_order, &read.cards[0].draft), (7, &draft));
    }
}
