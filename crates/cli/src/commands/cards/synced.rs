//! What was pushed or pulled last: with that, changes of others are told from one's own.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use bedrock_diy_core::{Code, Failure, ProjectId, PromptId, error::Result, text::sha256_hex};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::said::{SaidCard, SaidProject, Stored};
use crate::project_files::{ProjectFiles, write_file};

/// The file in the project's folder.
const NAME: &str = ".bedrock-diy.json";

/// What the folder and APIs had in common last.
#[derive(Debug)]
pub(super) struct Synced {
    file: PathBuf,
    /// By the APIs' addresses.
    all: BTreeMap<String, SyncedProject>,
}

/// What the folder and one API had in common: digests, no texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SyncedProject {
    id: ProjectId,
    project: String,
    pub(super) cards: BTreeMap<PromptId, String>,
}

impl Synced {
    /// What is noted in this folder.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let file = dir.join(NAME);
        let wrong = |why: String| {
            let detail = format!(
                "{} can't be read: {why}; without it, changes of others are not noticed: mend it, or remove it",
                file.display()
            );
            Failure::new(Code::InvalidRequest, detail)
        };
        let all = match std::fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(wrong(error.to_string())),
        };
        Ok(Self { file, all })
    }

    /// What is noted of this API's project.
    pub(super) fn of(&self, address: &str, project: &ProjectId) -> Option<&SyncedProject> {
        self.all.get(address).filter(|synced| synced.id == *project)
    }

    /// Notes what is common now.
    pub(super) fn set(&mut self, address: &str, common: SyncedProject) {
        self.all.insert(address.to_owned(), common);
    }

    /// Keeps it.
    pub(super) fn write(&self) -> Result<()> {
        let unwritable = |why: String| {
            let detail = format!("{} can't be written: {why}", self.file.display());
            Failure::new(Code::StorageUnavailable, detail)
        };
        let text =
            serde_json::to_string_pretty(&self.all).map_err(|error| unwritable(error.to_string()))? + "\n";
        let is_same = std::fs::read_to_string(&self.file).is_ok_and(|there| there == text);
        if is_same {
            return Ok(());
        }
        write_file(&self.file, &text).map_err(|error| unwritable(error.to_string()))
    }
}

impl SyncedProject {
    /// What these files say.
    pub(super) fn of_files(files: &ProjectFiles) -> Self {
        let cards = files.cards.iter();
        Self {
            id: files.id.clone(),
            project: project_digest(&SaidProject::from(files)),
            cards: cards
                .map(|card| (card.prompt_id.clone(), card_digest(&SaidCard::from(card))))
                .collect(),
        }
    }

    /// What an API has.
    pub(super) fn of_stored(id: &ProjectId, project: &SaidProject, stored: &Stored) -> Self {
        let cards = stored.cards.iter();
        Self {
            id: id.clone(),
            project: project_digest(project),
            cards: cards
                .map(|card| (card.prompt_id.clone(), card_digest(&SaidCard::from(card))))
                .collect(),
        }
    }

    /// Whether the project itself said just this.
    pub(super) fn had_project(&self, said: &SaidProject) -> bool {
        self.project == project_digest(said)
    }

    /// Whether a card said just this.
    pub(super) fn had_card(&self, id: &PromptId, said: &SaidCard) -> bool {
        self.cards
            .get(id)
            .is_some_and(|digest| *digest == card_digest(said))
    }

    /// What has changed at the API since, and is not what the files say either: a sentence each, without a full stop.
    pub(super) fn conflicts(&self, files: &Self, stored: &Stored) -> Vec<String> {
        let Some(project) = &stored.project else {
            return vec![format!("somebody else has deleted the project {}", self.id)];
        };
        let now = Self::of_stored(&self.id, &SaidProject::from(project), stored);
        let mut found = Vec::new();
        if now.project != self.project && now.project != files.project {
            found.push(format!("somebody else has changed the project {}", self.id));
        }
        let ids: BTreeSet<_> = [&self.cards, &files.cards, &now.cards]
            .into_iter()
            .flat_map(BTreeMap::keys)
            .collect();
        for id in ids {
            let (was, is, wanted) = (self.cards.get(id), now.cards.get(id), files.cards.get(id));
            if is == was || is == wanted {
                continue;
            }
            let what = match (was, is) {
                (None, _) => "added",
                (_, None) => "deleted",
                _ => "changed",
            };
            found.push(format!("somebody else has {what} the card {id}"));
        }
        found
    }
}

fn project_digest(said: &SaidProject) -> String {
    digest(said.document())
}

fn card_digest(said: &SaidCard) -> String {
    digest(said.document())
}

/// The same for documents that say the same, in whichever order.
fn digest(mut document: Value) -> String {
    document.sort_all_objects();
    sha256_hex(document.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn synced(cards: &[(&str, &str)]) -> SyncedProject {
        SyncedProject {
            id: ProjectId::new("news").unwrap(),
            project: digest(Value::Null),
            cards: cards
                .iter()
                .map(|(id, said)| (PromptId::new(*id).unwrap(), (*said).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn what_the_order_of_fields_is_makes_no_difference() {
        let one: Value = serde_json::from_str(r#"{"a": {"x": 1, "y": 2}, "b": 3}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"b": 3, "a": {"y": 2, "x": 1}}"#).unwrap();
        assert_eq!(digest(one), digest(other));
    }

    #[test]
    fn a_project_that_is_gone_was_somebody_else_s_doing() {
        let gone = Stored {
            project: None,
            cards: Vec::new(),
        };
        let last = synced(&[("facts", "one")]);
        assert_eq!(
            last.conflicts(&last, &gone),
            ["somebody else has deleted the project news"]
        );
    }

    #[test]
    fn what_is_noted_is_found_again_by_the_api_s_address() {
        let dir = tempfile::tempdir().unwrap();
        let mut all = Synced::read(dir.path()).unwrap();
        all.set("https://x.org", synced(&[("facts", "one")]));
        all.write().unwrap();
        let all = Synced::read(dir.path()).unwrap();
        let news = ProjectId::new("news").unwrap();
        assert_eq!(all.of("https://x.org", &news), Some(&synced(&[("facts", "one")])));
        assert_eq!(all.of("https://y.org", &news), None);
        assert_eq!(all.of("https://x.org", &ProjectId::new("other").unwrap()), None);
        std::fs::write(dir.path().join(NAME), "{").unwrap();
        assert!(Synced::read(dir.path()).is_err());
    }
}
