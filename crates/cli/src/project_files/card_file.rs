//! One card's file: front matter and prompt.

use std::path::Path;

use bedrock_diy_core::{
    card::{CardDraft, CardInput, CardSettings},
    judge::OutputSchema,
    project::InferenceParameters,
};

use super::{
    disk,
    fault::{Faults, FileFault, Located, Place},
    fields::{Fields, Schema},
    file_name::title_of,
    settings::{self, SaidParameters, judged},
    variables::{self, Neighbour},
    yaml::{self, Tree},
};

/// A card's file, read for itself. Its template's variables, its schema's file and its model are looked at with the
/// whole project.
#[derive(Debug, Clone)]
pub struct ParsedCard {
    /// What could be read; all of what the file says if there are no faults.
    pub draft: CardDraft,
    /// Whether new jobs run the card.
    pub is_active: bool,
    /// What is wrong with it.
    pub faults: Vec<FileFault>,
    pub(super) parameters: SaidParameters,
    /// The schema's file beside the card, where one is named.
    pub(super) schema_file: Option<Located<String>>,
    /// The prompt's first line in the file; `None` where the prompt could not be read.
    prompt_line: Option<usize>,
}

const CARD: Schema = Schema {
    paths: &[
        "title",
        "tags",
        "isActive",
        "model",
        "input",
        "parameters",
        "parameters.maxTokens",
        "parameters.temperature",
        "parameters.topP",
        "parameters.stopSequences",
        "timeoutSeconds",
        "guardrail",
        "guardrail.id",
        "guardrail.version",
        "outputSchema",
    ],
    elsewhere: &[
        ("stepOrder", "the number in front of the file's name says it"),
        ("order", "the number in front of the file's name says it"),
        ("promptId", "the file's name says it"),
        ("id", "the file's name says it"),
        ("name", "the file's name says it; for people there is `title`"),
        ("content", "the prompt stands below the front matter"),
        ("prompt", "the prompt stands below the front matter"),
        (
            "settings",
            "write its fields without it, at the beginning of the line",
        ),
    ],
};

const INPUTS: [(&str, CardInput); 3] = [
    ("previous", CardInput::Previous),
    ("article", CardInput::Article),
    ("both", CardInput::Both),
];

/// Reads a card's file; `path` is for the title, where the file says none, and for messages. Answers whatever the
/// bytes are.
#[must_use]
pub fn parse_card(path: &Path, bytes: &[u8]) -> ParsedCard {
    let mut faults = Faults::of(path);
    let mut card = ParsedCard::unreadable();
    if let Err(message) = disk::check_size(bytes) {
        faults.whole(message);
    } else {
        match disk::text(bytes) {
            Ok(text) => card.read(path, &text, &mut faults),
            Err((place, message)) => faults.at(place, message),
        }
    }
    card.faults = faults.into_found();
    card
}

impl ParsedCard {
    /// A card of which nothing can be read.
    pub(super) fn unreadable() -> Self {
        Self {
            draft: CardDraft::default(),
            is_active: true,
            faults: Vec::new(),
            parameters: SaidParameters::default(),
            schema_file: None,
            prompt_line: None,
        }
    }

    /// Checks the template; `cards` are the project's.
    pub(super) fn check_template(&self, cards: &[Neighbour], faults: &mut Faults) {
        let Some(first_line) = self.prompt_line else {
            return;
        };
        let found = variables::faults(&self.draft.content, cards);
        if found.is_empty() {
            let names: Vec<_> = cards.iter().map(|card| card.prompt_id.clone()).collect();
            let draft = of_content(&self.draft.content);
            judged(draft.check(&names), Place::line(first_line), faults);
        }
        for (place, message) in found {
            faults.at(place.unwrap_or(Place::line(1)).below(first_line), message);
        }
    }

    fn read(&mut self, path: &Path, text: &str, faults: &mut Faults) {
        let Some(parts) = Parts::of(text) else {
            faults.at(
                Place::line(1 + text.len() - text.trim_start_matches('\n').len()),
                "the front matter that begins here has no end: write a line `---` below it",
            );
            return;
        };
        if let Some(line) = parts.front_matter.is_none().then(|| headless(text)).flatten() {
            faults.at(
                Place::line(line),
                "the front matter has no beginning: write a line `---` above this one",
            );
            return;
        }
        let mut fields = match parts.front_matter.map(yaml::parse) {
            None => Fields::none(CARD),
            Some(Ok(document)) => Fields::of(document, CARD, faults),
            Some(Err((place, message))) => {
                faults.at(place, message);
                Fields::none(CARD)
            }
        };
        self.prompt_line = Some(parts.prompt_line);
        self.draft = CardDraft {
            title: title(&mut fields, path, faults),
            tags: fields
                .texts("tags", faults)
                .map(|tags| tags.value)
                .unwrap_or_default(),
            content: parts.prompt.to_owned(),
            settings: CardSettings {
                model: settings::model(&mut fields, faults),
                parameters: self.parameters(&mut fields, faults),
                timeout_seconds: settings::timeout(&mut fields, faults),
                input: fields.choice("input", &INPUTS, faults).map(|input| input.value),
                output_schema: self.output_schema(&mut fields, faults),
                guardrail: settings::guardrail(&mut fields, faults),
            },
        };
        self.is_active = fields.truth("isActive", faults).is_none_or(|said| said.value);
    }

    fn parameters(&mut self, fields: &mut Fields, faults: &mut Faults) -> InferenceParameters {
        self.parameters = SaidParameters::read(fields, faults);
        self.parameters.all.clone()
    }

    fn output_schema(&mut self, fields: &mut Fields, faults: &mut Faults) -> Option<serde_json::Value> {
        let node = fields.node("outputSchema")?;
        let place = node.place;
        if let Tree::Text(name) = node.tree {
            if is_schema_file(&name) {
                self.schema_file = Some(Located { value: name, place });
            } else {
                faults.at(
                    place,
                    "`outputSchema` takes a schema, or the name of a `.json` file beside the card, without folders",
                );
            }
            return None;
        }
        let schema = node.into_json(faults);
        judged(OutputSchema::parse(&schema).map(drop), place, faults);
        Some(schema)
    }
}

fn title(fields: &mut Fields, path: &Path, faults: &mut Faults) -> String {
    let Some(title) = fields.text("title", faults) else {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let id = stem.trim_start_matches(|c: char| c.is_ascii_digit());
        return title_of(id.trim_start_matches('-'));
    };
    let draft = CardDraft {
        title: title.value,
        ..of_content("-")
    };
    if draft.check(&[]).is_err() {
        faults.at(
            title.place,
            "`title` is empty: write one, or remove the line and the file's name becomes the title",
        );
    }
    draft.title
}

/// A draft that is in order but for its content.
fn of_content(content: &str) -> CardDraft {
    CardDraft {
        title: "-".into(),
        content: content.into(),
        ..CardDraft::default()
    }
}

fn is_schema_file(name: &str) -> bool {
    let plain = !name.contains(['/', '\\', ':']) && !name.starts_with('.') && !name.contains('\0');
    plain && name.strip_suffix(".json").is_some_and(|stem| !stem.is_empty())
}

/// The line at which a front matter begins that has an end and no beginning: its settings would be told to the
/// model. A prompt of its own may well hold a line `---`, but does not begin with one of our fields.
fn headless(text: &str) -> Option<usize> {
    let mut lines = text
        .lines()
        .enumerate()
        .skip_while(|(_, line)| line.trim().is_empty());
    let (at, first) = lines.next()?;
    let (field, _) = first.split_once(':')?;
    let is_field = CARD.paths.contains(&field) || CARD.elsewhere.iter().any(|(name, _)| *name == field);
    (is_field && lines.any(|(_, line)| line.trim_end() == "---")).then_some(at + 1)
}

/// A prompt without the blank lines around it.
pub(super) fn prompt_of(body: &str) -> &str {
    body[blank_lines(body)..].trim_end()
}

/// The bytes of the blank lines that a text begins with.
fn blank_lines(text: &str) -> usize {
    let lines = text.split_inclusive('\n');
    lines
        .take_while(|line| line.trim().is_empty())
        .map(str::len)
        .sum()
}

/// The text of a card's file with another prompt: its front matter stays as it is, with its comments. Nothing where
/// it can't be read.
#[must_use]
pub fn with_prompt(bytes: &[u8], prompt: &str) -> Option<String> {
    let text = disk::text(bytes).ok()?;
    let parts = Parts::of(&text)?;
    // What has no front matter must not begin as if it had.
    let front_matter = parts
        .front_matter
        .map_or_else(|| "---\n".to_owned(), str::to_owned);
    Some(format!("{front_matter}---\n{}\n", prompt_of(prompt)))
}

/// A file's two parts.
#[derive(Debug, PartialEq, Eq)]
struct Parts<'a> {
    /// From the beginning of the file to the end of the front matter: `---` also begins a YAML document, and so
    /// lines are counted as in the file.
    front_matter: Option<&'a str>,
    /// What is below, without blank lines around it.
    prompt: &'a str,
    /// The prompt's first line in the file; its last where there is none.
    prompt_line: usize,
}

impl<'a> Parts<'a> {
    /// `None` where the front matter has no end.
    fn of(text: &'a str) -> Option<Self> {
        let is_marker = |line: &str| line.trim_end() == "---";
        let mut lines = text.split_inclusive('\n').scan(0, |end, line| {
            let start = *end;
            *end += line.len();
            Some((start, line))
        });
        let first = lines.by_ref().find(|(_, line)| !line.trim().is_empty());
        let (front_matter, below) = match first {
            Some((_, line)) if is_marker(line) => {
                let (start, line) = lines.find(|(_, line)| is_marker(line))?;
                (Some(&text[..start]), start + line.len())
            }
            _ => (None, 0),
        };
        let blank = blank_lines(&text[below..]);
        Some(Self {
            front_matter,
            prompt: prompt_of(&text[below..]),
            prompt_line: 1 + text[..below + blank].matches('\n').count(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> ParsedCard {
        parse_card(Path::new("cards/10-social-post.md"), text.as_bytes())
    }

    #[test]
    fn front_matter_is_parted_from_the_prompt() {
        let parts = Parts::of("\n---\ntitle: A\n--- \n\n  One.\n---\nTwo.\n\n").unwrap();
        assert_eq!(
            parts,
            Parts {
                front_matter: Some("\n---\ntitle: A\n"),
                prompt: "  One.\n---\nTwo.",
                prompt_line: 6
            }
        );
        assert_eq!(Parts::of("---\ntitle: A\n"), None);
    }

    #[test]
    fn a_card_without_front_matter_takes_its_title_from_its_name() {
        let card = parsed("Write a post.\n");
        assert_eq!(card.faults, []);
        assert_eq!(card.draft.title, "Social post");
        assert_eq!(card.draft.content, "Write a post.");
        assert!(card.is_active);
        assert_eq!(parsed("---\n---\nWrite.").draft.title, "Social post");
    }

    #[test]
    fn a_card_is_the_same_with_any_line_ends() {
        let text = "---\ntitle: A\ntags: [b]\n---\nOne.\n\nTwo.\n";
        let unix = parsed(text);
        let windows = parsed(&format!("\u{FEFF}{}", text.replace('\n', "\r\n")));
        assert_eq!(unix.draft, windows.draft);
        assert_eq!(unix.draft.content, "One.\n\nTwo.");
        assert_eq!((&unix.faults, &windows.faults), (&vec![], &vec![]));
    }

    #[test]
    fn another_prompt_leaves_the_front_matter_as_it_is() {
        let text = "---\r\n# Why.\r\ntitle: A # short\r\n---\r\n\r\nOne.\r\n";
        let other = with_prompt(text.as_bytes(), "\nTwo.\n---\n").unwrap();
        assert_eq!(other, "---\n# Why.\ntitle: A # short\n---\nTwo.\n---\n");
        let bare = with_prompt(b"One.", "---\nTwo.").unwrap();
        assert_eq!(parsed(&bare).draft.content, "---\nTwo.");
    }

    #[test]
    fn every_field_is_read() {
        let card = parsed(
            "---\ntitle: Post\ntags: [a, 2026]\nisActive: false\nmodel: acme.v1\ninput: both\n\
             parameters: {maxTokens: 10, temperature: 0, topP: 0.5, stopSequences: [END]}\n\
             timeoutSeconds: 9\nguardrail: {id: g, version: 1}\noutputSchema: {type: object}\n---\nWrite.",
        );
        assert_eq!(card.faults, []);
        assert!(!card.is_active);
        assert_eq!(
            serde_json::to_value(&card.draft).unwrap(),
            serde_json::json!({
                "title": "Post", "tags": ["a", "2026"], "content": "Write.",
                "settings": {
                    "model": "acme.v1", "input": "both",
                    "parameters": {"maxTokens": 10, "temperature": 0.0, "topP": 0.5, "stopSequences": ["END"]},
                    "timeoutSeconds": 9, "guardrail": {"id": "g", "version": "1"},
                    "outputSchema": {"type": "object"},
                },
            })
        );
        let known = CARD.paths.iter().filter(|path| !path.contains('.')).count();
        let settings = serde_json::to_value(&card.draft.settings).unwrap();
        assert_eq!(
            known,
            settings.as_object().unwrap().len() + ["title", "tags", "isActive"].len()
        );
    }

    proptest! {
        #[test]
        fn parting_any_text_loses_no_line_of_the_prompt(text in "(?s)(---|\n|[a-z: é]){0,40}") {
            if let Some(parts) = Parts::of(&text) {
                prop_assert!(text.trim_end().ends_with(parts.prompt));
                let line = text.split('\n').nth(parts.prompt_line - 1);
                prop_assert_eq!(line.map(str::trim_end), parts.prompt.lines().next().map(str::trim_end).or(line.map(str::trim_end)));
            }
        }

        #[test]
        fn any_card_is_answered(text in "(?s)(---\n)?(---|\n|[&*!{}\\[\\]a-z\"':,|> #%é-]|title: |outputSchema: |\\{\\{ |\\}\\}){0,60}") {
            let _ = parsed(&text);
        }

        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_card(Path::new("10-a.md"), &bytes);
            let _ = parse_card(Path::new("10-a.md"), &[b"---\n".as_slice(), &bytes].concat());
        }
    }
}
