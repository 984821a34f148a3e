//! Marked content: what a page says about the glyphs that it draws.

use hayro_syntax::object::{Dict, Name, Object, String as PdfString};
use hayro_syntax::page::Resources;

use super::text_string;

/// Open spans within spans. Real pages nest some dozens; those beyond are taken as part of the last.
const MAX_OPEN: usize = 1_000;

/// The spans of marked content that are open.
#[derive(Default)]
pub(super) struct Marks {
    open: Vec<Mark>,
    /// How many more were opened than are kept.
    beyond: usize,
}

/// What the glyph that comes next says.
pub(super) enum Say {
    ItsCharacter,
    /// It is no part of the article.
    Nothing,
    /// The span's text, which is empty after its first glyph.
    Instead(String),
}

enum Mark {
    Plain,
    /// A running head, a page number.
    Pagination,
    /// The text that the span's glyphs stand for, until the first of them is there to place it.
    Replaced(Option<String>),
}

impl Marks {
    pub(super) fn begin(&mut self) {
        self.push(Mark::Plain);
    }

    /// Opens a span with properties, which stand in the content or by name in the resources.
    pub(super) fn begin_with(&mut self, tag: &Name<'_>, properties: &Object<'_>, resources: &Resources<'_>) {
        let mark = match properties {
            Object::Dict(properties) => mark(tag, properties),
            Object::Name(name) => resources
                .properties
                .get::<Dict<'_>>(name)
                .map_or(Mark::Plain, |properties| mark(tag, &properties)),
            _ => Mark::Plain,
        };
        self.push(mark);
    }

    pub(super) fn end(&mut self) {
        match self.beyond.checked_sub(1) {
            Some(beyond) => self.beyond = beyond,
            None => drop(self.open.pop()),
        }
    }

    pub(super) fn say(&mut self) -> Say {
        let mut instead = None;
        for mark in &mut self.open {
            match mark {
                Mark::Pagination => return Say::Nothing,
                Mark::Replaced(text) if instead.is_none() => instead = Some(text),
                _ => {}
            }
        }
        instead.map_or(Say::ItsCharacter, |text| {
            Say::Instead(text.take().unwrap_or_default())
        })
    }

    fn push(&mut self, mark: Mark) {
        if self.open.len() < MAX_OPEN {
            self.open.push(mark);
        } else {
            self.beyond += 1;
        }
    }
}

fn mark(tag: &Name<'_>, properties: &Dict<'_>) -> Mark {
    let is_pagination = |kind: Name<'_>| kind.as_str() == "Pagination";
    if tag.as_str() == "Artifact" && properties.get::<Name<'_>>("Type").is_some_and(is_pagination) {
        return Mark::Pagination;
    }
    let text = properties.get::<PdfString<'_>>("ActualText");
    text.map_or(Mark::Plain, |text| {
        Mark::Replaced(Some(text_string(text.as_bytes())))
    })
}
