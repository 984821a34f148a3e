//! What a document says about itself, and the languages and lists of its styles.

use std::collections::HashMap;

use quick_xml::events::BytesStart;

use super::lists::Place;
use super::package::{Collector, attribute};

/// `docProps/core.xml`.
#[derive(Default)]
pub(super) struct Properties {
    pub(super) title: String,
    pub(super) language: Option<String>,
    field: Option<Field>,
}

#[derive(Clone, Copy)]
enum Field {
    Title,
    Language,
}

impl Collector for Properties {
    fn open(&mut self, _: &BytesStart<'_>, name: &str) {
        self.field = match name {
            "title" => Some(Field::Title),
            "language" => Some(Field::Language),
            _ => None,
        };
    }

    fn text(&mut self, text: &str) {
        match self.field {
            Some(Field::Title) => self.title.push_str(text),
            Some(Field::Language) => self.language.get_or_insert_default().push_str(text),
            None => {}
        }
    }

    fn close(&mut self, _: &str) {
        self.field = None;
    }
}

/// `styles.xml`: the default languages, and which paragraph styles make list items.
#[derive(Default)]
pub(super) struct Styles {
    pub(super) languages: Languages,
    pub(super) lists: HashMap<String, Place>,
    style: Option<String>,
    place: Place,
}

/// The default languages of a document: one for East Asian text and one for all other.
#[derive(Default)]
pub(super) struct Languages {
    western: Option<String>,
    east_asian: Option<String>,
}

impl Languages {
    /// The one that applies to most of the text.
    pub(super) fn of(&self, text: &str) -> Option<&str> {
        let letters = text.chars().filter(|c| c.is_alphabetic());
        let (east_asian, western): (Vec<_>, Vec<_>) = letters.take(10_000).partition(|c| *c >= '\u{2e80}');
        if east_asian.len() > western.len() {
            self.east_asian.as_deref()
        } else {
            self.western.as_deref()
        }
    }
}

impl Collector for Styles {
    fn open(&mut self, element: &BytesStart<'_>, name: &str) {
        match name {
            "style" => {
                self.style = attribute(element, "styleId");
                self.place = Place::default();
            }
            "numId" => self.place.set_list(attribute(element, "val")),
            "ilvl" => self.place.set_level(attribute(element, "val")),
            // The first is that of the document's defaults; styles may have their own.
            "lang" if self.style.is_none() => {
                self.languages.western = attribute(element, "val");
                self.languages.east_asian = attribute(element, "eastAsia");
            }
            _ => {}
        }
    }

    fn text(&mut self, _: &str) {}

    fn close(&mut self, name: &str) {
        if name == "style"
            && let Some(style) = self.style.take()
            && self.place.is_in_list()
        {
            self.lists.insert(style, self.place);
        }
    }
}
