//! A project as files: what people keep under version control and run with one command.
//!
//! ```text
//! newsroom/
//!   project.yaml          name, description, status, settings; the id where the folder's name is none
//!   cards/
//!     10-facts.md         a prompt card: step order 10, prompt id `facts`
//!     20-summary.md
//!     facts.json          an output schema that a card names
//! ```
//!
//! **`project.yaml`** holds `id`, `name`, `description`, `status` (`ACTIVE` or `INACTIVE`) and `settings`, which
//! are [`Settings`] field by field. Nothing in it is mandatory: the id is else the
//! [slug](bedrock_diy_core::ids::slug_of) of the folder's name, the name the folder's name.
//!
//! **A card** is a Markdown file. Between two lines `---` at its top stand `title`, `tags`, `isActive` and the
//! card's settings (`model`, `parameters`, `input`, `timeoutSeconds`, `guardrail`, `outputSchema`); below them
//! stands the prompt, a minijinja template.
//!
//! * The front matter may be missing, and so may the title: it is then made from the file's name
//!   (`40-social-post.md` is "Social post").
//! * `outputSchema` is the schema itself or the name of a `.json` file beside the card.
//! * The number in the file's name is the step order, the rest the prompt id. Two cards may have the same number:
//!   they run in the order of their ids. Two cards can't have the same id.
//! * A card may use `stages.<name>.output` of active cards that run before it.
//! * In `cards/`, hidden files, editors' backups (`…~`), `README.md` and `.json` files are no cards and are left
//!   alone; anything else is a fault, so that a misnamed card is never left out silently. Elsewhere in the folder
//!   anything may lie.
//!
//! Line ends are `\n`, whichever the file has, and a byte order mark is dropped: the same card saved on another
//! system is the same card.
//!
//! [`ProjectFiles::read`] finds everything that is wrong at once, each fault with its place.

mod card_file;
mod disk;
mod fault;
mod fields;
mod file_name;
mod project_file;
mod reading;
mod settings;
mod starter;
mod suggestion;
mod variables;
mod writing;
mod yaml;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use bedrock_diy_core::{
    ProjectId, PromptId,
    card::CardDraft,
    catalogue::Catalogue,
    project::{ProjectStatus, Settings},
};

pub use card_file::{ParsedCard, parse_card, with_prompt};
pub use fault::{FileFault, Place};
pub use starter::{InitError, init};
pub use writing::{as_a_file_has_it, card_file, card_file_name, project_file, write_file};

/// A project, read from its folder. Everything in it has been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectFiles {
    /// Its id: stated, or the slug of the folder's name.
    pub id: ProjectId,
    /// Its name for people.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// Whether it takes articles.
    pub status: ProjectStatus,
    /// What its cards start from.
    pub settings: Settings,
    /// All its cards in the order in which they run, inactive ones among them. At least one is active.
    pub cards: Vec<FileCard>,
}

/// A prompt card, read from its file.
#[derive(Debug, Clone, PartialEq)]
pub struct FileCard {
    /// Its id, from the file's name.
    pub prompt_id: PromptId,
    /// Its place among the cards, from the file's name.
    pub step_order: u32,
    /// Whether new jobs run it.
    pub is_active: bool,
    /// What the file says.
    pub draft: CardDraft,
    /// The file, below the folder as it was given.
    pub path: PathBuf,
}

impl ProjectFiles {
    /// Reads the project in this folder.
    ///
    /// Fails with everything that is wrong, ordered by file and line.
    pub fn read(dir: &Path) -> Result<Self, Vec<FileFault>> {
        reading::read(dir, None)
    }

    /// Reads the project in this folder, and checks that the models which it names take their parameters.
    ///
    /// Fails with everything that is wrong, ordered by file and line.
    pub fn read_with(dir: &Path, catalogue: &Catalogue) -> Result<Self, Vec<FileFault>> {
        reading::read(dir, Some(catalogue))
    }

    /// Checks that every active card's model takes its parameters, and has a price where what an article may cost is
    /// limited, once it is known which model runs the cards that name none, or that another was put in its place.
    ///
    /// Fails with a fault for each card, and for each model without a price that is needed, with the first card that it
    /// runs; where in the file is no longer known.
    pub fn check_models(&self, default_model: &str, catalogue: &Catalogue) -> Result<(), Vec<FileFault>> {
        let is_limited = self.settings.limits.cost_per_article.is_some();
        let mut priced = BTreeSet::new();
        let mut faults = Vec::new();
        for card in self.cards.iter().filter(|card| card.is_active) {
            let said = &card.draft.settings;
            let named = said.model.as_deref().or(self.settings.model.as_deref());
            let model = named.unwrap_or(default_model);
            let fault = |message| FileFault {
                path: card.path.clone(),
                place: None,
                message,
            };
            if let Err(refused) = catalogue.parameters(model, &said.parameters.or(&self.settings.parameters))
            {
                faults.push(fault(format!(
                    "the card, or project.yaml, sets what its model refuses: {}",
                    refused.detail
                )));
            }
            if is_limited
                && priced.insert(model)
                && let Err(refused) = catalogue.check_price(model)
            {
                faults.push(fault(refused.detail));
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}
