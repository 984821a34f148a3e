//! Reads the whole project: its files one by one, then what must agree between them.

use std::{
    collections::{BTreeMap, btree_map},
    path::{Path, PathBuf},
};

use bedrock_diy_core::{catalogue::Catalogue, judge::OutputSchema, limits};
use serde_json::Value;

use super::{
    FileCard, ProjectFiles,
    card_file::{ParsedCard, parse_card},
    disk,
    fault::{Faults, FileFault, Place},
    file_name::{CardName, Entry},
    project_file::ProjectFile,
    settings::judged,
    variables::{Neighbour, Standing},
};

/// Reads the project in this folder, or finds everything that is wrong with it.
pub(super) fn read(dir: &Path, catalogue: Option<&Catalogue>) -> Result<ProjectFiles, Vec<FileFault>> {
    if let Some(fault) = not_a_folder(dir) {
        return Err(vec![fault]);
    }
    let path = dir.join("project.yaml");
    let mut project_faults = Faults::of(&path);
    let project = read_project(dir, &path, &mut project_faults);
    let (mut cards, mut found) = read_cards(&dir.join("cards"));
    check_ids(&mut cards);
    check_templates(&mut cards);
    if let (Some(catalogue), Some(project)) = (catalogue, &project) {
        check_models(&mut cards, project, catalogue, &mut project_faults);
    }
    found.extend(project_faults.into_found());
    found.extend(cards.iter().flat_map(|card| card.parsed.faults.iter().cloned()));
    found.sort();
    // Two cards may trip over the same setting of the project.
    found.dedup();
    match (
        project.and_then(|project| complete(project, cards)),
        found.is_empty(),
    ) {
        (Some(project), true) => Ok(project),
        _ => Err(found),
    }
}

/// A card's file on the way to a card.
struct Sheet {
    path: PathBuf,
    /// What the file's name says; of a misnamed file, what it may have been meant to say.
    name: Option<CardName>,
    misnamed: bool,
    parsed: ParsedCard,
}

impl Sheet {
    fn read(path: PathBuf, name: Option<CardName>, misnamed: Option<String>) -> Self {
        let (parsed, unreadable) = match disk::bytes(&path) {
            Ok(bytes) => (parse_card(&path, &bytes), None),
            Err(message) => (ParsedCard::unreadable(), Some(message)),
        };
        let mut sheet = Self {
            path,
            name,
            misnamed: misnamed.is_some(),
            parsed,
        };
        sheet.examine(|_, faults| {
            for message in misnamed.into_iter().chain(unreadable) {
                faults.whole(message);
            }
        });
        sheet.read_schema();
        sheet
    }

    /// Reads the schema's file, where the card names one.
    fn read_schema(&mut self) {
        let Some(file) = self.parsed.schema_file.take() else {
            return;
        };
        let path = self.path.with_file_name(&file.value);
        let bytes = match disk::bytes(&path) {
            Ok(bytes) => bytes,
            Err(message) => {
                return self.examine(|_, faults| {
                    faults.at(
                        file.place,
                        format!("`outputSchema` names {}: {message}", file.value),
                    );
                });
            }
        };
        let mut faults = Faults::of(&path);
        match disk::text(&bytes).and_then(|text| json(&text)) {
            Ok(schema) => {
                judged(
                    OutputSchema::parse(&schema).map(drop),
                    Place::line(1),
                    &mut faults,
                );
                self.parsed.draft.settings.output_schema = Some(schema);
            }
            Err((place, message)) => faults.at(place, message),
        }
        self.parsed.faults.extend(faults.into_found());
    }

    /// Looks for more faults in this card.
    fn examine(&mut self, look: impl FnOnce(&ParsedCard, &mut Faults)) {
        let mut faults = Faults::of(&self.path);
        look(&self.parsed, &mut faults);
        self.parsed.faults.extend(faults.into_found());
    }

    /// How this card stands to another. Where one of them is misnamed nobody knows, and one fault is enough.
    fn standing_to(&self, other: &Self) -> Standing {
        if !self.parsed.is_active {
            Standing::Inactive
        } else if self.misnamed || other.misnamed || self.name < other.name {
            Standing::Before
        } else {
            Standing::After
        }
    }

    fn file_name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

fn json(text: &str) -> Result<Value, (Place, String)> {
    serde_json::from_str(text).map_err(|error| {
        let place = Place {
            line: error.line().max(1),
            column: (error.column() > 0).then(|| error.column()),
        };
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default();
        (place, format!("this is not valid JSON: {what}"))
    })
}

fn not_a_folder(dir: &Path) -> Option<FileFault> {
    let message = match std::fs::metadata(dir) {
        Ok(metadata) if metadata.is_dir() => return None,
        Ok(_) => "this is no folder: name the folder that holds `project.yaml`".to_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            "there is no such folder: name the folder that holds `project.yaml`".to_owned()
        }
        Err(error) => disk::unreadable(dir, &error),
    };
    let mut faults = Faults::of(dir);
    faults.whole(message);
    faults.into_found().pop()
}

fn read_project(dir: &Path, path: &Path, faults: &mut Faults) -> Option<ProjectFile> {
    let is_there = std::fs::symlink_metadata(path).is_ok();
    if !is_there {
        faults.whole(if dir.join("project.yml").exists() {
            "there is no such file: rename `project.yml` to it"
        } else {
            "there is no such file: write one, a line `name: …` is enough, or begin with `bedrock-diy init`"
        });
        return None;
    }
    match disk::bytes(path) {
        Ok(bytes) => Some(ProjectFile::parse(&bytes, &folder_name(dir), faults)),
        Err(message) => {
            faults.whole(message);
            None
        }
    }
}

/// The folder's own name, also where it is given as `.`.
pub(super) fn folder_name(dir: &Path) -> String {
    let named = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
    named(dir)
        .or_else(|| named(&dir.canonicalize().ok()?))
        .unwrap_or_default()
}

fn read_cards(dir: &Path) -> (Vec<Sheet>, Vec<FileFault>) {
    let mut faults = Faults::of(dir);
    let names = match disk::names(dir) {
        Ok(names) => names,
        Err(message) => {
            let is_there = std::fs::symlink_metadata(dir).is_ok();
            faults.whole(if is_there {
                message
            } else {
                "there is no such folder: make it and put the cards into it, such as `10-summary.md`".into()
            });
            return (Vec::new(), faults.into_found());
        }
    };
    let mut strays = Vec::new();
    let mut sheets = Vec::new();
    for name in names {
        let path = dir.join(&name);
        match Entry::of(&name) {
            Entry::Other => {}
            Entry::Card(name) => sheets.push(Sheet::read(path, Some(name), None)),
            Entry::Misnamed { message, likely } => sheets.push(Sheet::read(path, likely, Some(message))),
            Entry::Stray(message) => strays.push(FileFault {
                path,
                place: None,
                message,
            }),
        }
    }
    if sheets.len() > limits::CARDS {
        faults.whole(format!(
            "the project has {} cards, {} are allowed: make it several projects",
            sheets.len(),
            limits::CARDS
        ));
    } else if sheets.is_empty() {
        faults.whole("there is no card: write one, such as `10-summary.md`");
    } else if sheets.iter().all(|sheet| !sheet.parsed.is_active) {
        faults.whole("no card is active: remove `isActive: false` from one of them");
    }
    strays.extend(faults.into_found());
    (sheets, strays)
}

/// No two cards may have the same id; the second is told.
fn check_ids(sheets: &mut [Sheet]) {
    let mut taken = BTreeMap::new();
    for sheet in sheets.iter_mut().filter(|sheet| !sheet.misnamed) {
        let Some(name) = &sheet.name else { continue };
        let file = sheet.file_name();
        match taken.entry(name.prompt_id.clone()) {
            btree_map::Entry::Vacant(free) => {
                free.insert(file);
            }
            btree_map::Entry::Occupied(first) => {
                let message = format!(
                    "the prompt id `{}` is taken by {}: rename one of the two files",
                    first.key(),
                    first.get()
                );
                sheet.examine(|_, faults| faults.whole(message));
            }
        }
    }
}

/// Every template must find what it asks for.
fn check_templates(sheets: &mut [Sheet]) {
    for at in 0..sheets.len() {
        let neighbours: Vec<_> = sheets
            .iter()
            .enumerate()
            .filter_map(|(other, sheet)| {
                Some(Neighbour {
                    prompt_id: sheet.name.as_ref()?.prompt_id.clone(),
                    standing: if other == at {
                        Standing::Itself
                    } else {
                        sheet.standing_to(&sheets[at])
                    },
                })
            })
            .collect();
        sheets[at].examine(|card, faults| card.check_template(&neighbours, faults));
    }
}

/// Every card's model must take its parameters, its own and the project's. Where none is named, nobody knows yet.
fn check_models(
    sheets: &mut [Sheet],
    project: &ProjectFile,
    catalogue: &Catalogue,
    project_faults: &mut Faults,
) {
    for sheet in sheets {
        sheet.examine(|card, faults| {
            let named = card.draft.settings.model.as_ref();
            if let Some(model) = named.or(project.settings.model.as_ref()) {
                card.parameters
                    .check_for(model, catalogue, &project.parameters, faults, project_faults);
            }
        });
    }
}

fn complete(project: ProjectFile, sheets: Vec<Sheet>) -> Option<ProjectFiles> {
    let mut cards = sheets
        .into_iter()
        .map(|sheet| {
            let name = sheet.name?;
            Some(FileCard {
                prompt_id: name.prompt_id,
                step_order: name.step_order,
                is_active: sheet.parsed.is_active,
                draft: sheet.parsed.draft,
                path: sheet.path,
            })
        })
        .collect::<Option<Vec<_>>>()?;
    cards.sort_by(|a, b| (a.step_order, &a.prompt_id).cmp(&(b.step_order, &b.prompt_id)));
    Some(ProjectFiles {
        id: project.id?,
        name: project.name,
        description: project.description,
        status: project.status,
        settings: project.settings,
        cards,
    })
}
