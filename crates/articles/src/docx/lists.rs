//! The marks of list items: `-` for a bullet, the number for a numbered item.

use std::collections::HashMap;

use quick_xml::events::BytesStart;

use super::package::{Collector, attribute};

/// Word has nine levels.
const MAX_LEVEL: usize = 8;

/// Which list a paragraph belongs to, and how deep in it.
#[derive(Default, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// The `numId`; 0 is no list.
    list: u32,
    level: usize,
}

impl Place {
    pub(super) fn set_list(&mut self, value: Option<String>) {
        self.list = value.and_then(|value| value.parse().ok()).unwrap_or(0);
    }

    pub(super) fn set_level(&mut self, value: Option<String>) {
        self.level = value
            .and_then(|value| value.parse().ok())
            .unwrap_or(0)
            .min(MAX_LEVEL);
    }

    pub(super) fn is_in_list(self) -> bool {
        self.list != 0
    }
}

/// `numbering.xml`, and how far each list has been counted.
pub(super) struct Lists {
    by_style: HashMap<String, Place>,
    /// Which levels of an abstract list are bullets; all others are numbered.
    bullets: HashMap<(String, usize), bool>,
    /// Where an abstract list begins to count, if not at 1.
    starts: HashMap<(String, usize), u32>,
    abstract_of: HashMap<u32, String>,
    counted: HashMap<u32, [u32; MAX_LEVEL + 1]>,
    abstract_list: String,
    list: u32,
    level: usize,
    /// Whether we are in a list, which may override levels of its abstract list.
    in_list: bool,
}

impl Lists {
    pub(super) fn new(by_style: HashMap<String, Place>) -> Self {
        Self {
            by_style,
            bullets: HashMap::new(),
            starts: HashMap::new(),
            abstract_of: HashMap::new(),
            counted: HashMap::new(),
            abstract_list: String::new(),
            list: 0,
            level: 0,
            in_list: false,
        }
    }

    /// The list that paragraphs of a style belong to.
    pub(super) fn place_of_style(&self, style: &str) -> Option<Place> {
        self.by_style.get(style).copied()
    }

    /// The mark of the next item at that place, indented by its level: `- `, `  2. `.
    pub(super) fn next_mark(&mut self, place: Place) -> String {
        let indent = "  ".repeat(place.level);
        let abstract_list = self.abstract_of.get(&place.list).cloned().unwrap_or_default();
        let level = (abstract_list, place.level);
        if self.bullets.get(&level).copied().unwrap_or(true) {
            return format!("{indent}- ");
        }
        let start = self.starts.get(&level).copied().unwrap_or(1);
        let counts = self.counted.entry(place.list).or_default();
        counts[place.level] = counts[place.level].saturating_add(1).max(start);
        counts[place.level + 1..].fill(0);
        format!("{indent}{}. ", counts[place.level])
    }
}

impl Collector for Lists {
    fn open(&mut self, element: &BytesStart<'_>, name: &str) {
        match name {
            "abstractNum" => self.abstract_list = attribute(element, "abstractNumId").unwrap_or_default(),
            "lvl" => {
                let level = attribute(element, "ilvl").and_then(|level| level.parse().ok());
                self.level = level.unwrap_or(0).min(MAX_LEVEL);
            }
            "start" if !self.in_list => {
                let start = attribute(element, "val").and_then(|start| start.parse().ok());
                self.starts
                    .insert((self.abstract_list.clone(), self.level), start.unwrap_or(1));
            }
            "numFmt" if !self.in_list => {
                let is_bullet = matches!(
                    attribute(element, "val").as_deref(),
                    Some("bullet" | "none") | None
                );
                self.bullets
                    .insert((self.abstract_list.clone(), self.level), is_bullet);
            }
            "num" => {
                self.in_list = true;
                self.list = attribute(element, "numId")
                    .and_then(|id| id.parse().ok())
                    .unwrap_or(0);
            }
            "abstractNumId" => {
                let abstract_list = attribute(element, "val").unwrap_or_default();
                self.abstract_of.insert(self.list, abstract_list);
            }
            _ => {}
        }
    }

    fn text(&mut self, _: &str) {}

    fn close(&mut self, name: &str) {
        if name == "num" {
            self.in_list = false;
        }
    }
}
