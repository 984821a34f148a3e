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
    /// How many of those open are pagination.
    paginations: usize,
    /// The outermost one with a text of its own. Both are kept up, so that no glyph has to look through all marks.
    replaced: Option<usize>,
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
        if let Some(beyond) = self.beyond.checked_sub(1) {
            self.beyond = beyond;
            return;
        }
        if let Some(Mark::Pagination) = self.open.pop() {
            self.paginations -= 1;
        }
        self.replaced = self.replaced.filter(|at| *at < self.open.len());
    }

    pub(super) fn say(&mut self) -> Say {
        if self.paginations > 0 {
            return Say::Nothing;
        }
        match self.replaced.and_then(|at| self.open.get_mut(at)) {
            Some(Mark::Replaced(text)) => Say::Instead(text.take().unwrap_or_default()),
            _ => Say::ItsCharacter,
        }
    }

    fn push(&mut self, mark: Mark) {
        if self.open.len() >= MAX_OPEN {
            self.beyond += 1;
            return;
        }
        match mark {
            Mark::Plain => {}
            Mark::Pagination => self.paginations += 1,
            Mark::Replaced(_) => self.replaced = self.replaced.or(Some(self.open.len())),
        }
        self.open.push(mark);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn said(marks: &mut Marks) -> String {
        match marks.say() {
            Say::ItsCharacter => "character".to_owned(),
            Say::Nothing => "nothing".to_owned(),
            Say::Instead(text) => text,
        }
    }

    #[test]
    fn the_outermost_replacement_counts_and_pagination_hides_all() {
        let mut marks = Marks::default();
        marks.push(Mark::Plain);
        marks.push(Mark::Replaced(Some("outer".to_owned())));
        marks.push(Mark::Replaced(Some("inner".to_owned())));
        assert_eq!([said(&mut marks), said(&mut marks)], ["outer", ""]);
        marks.push(Mark::Pagination);
        assert_eq!(said(&mut marks), "nothing");
        marks.end();
        marks.end();
        assert_eq!(said(&mut marks), "");
        marks.end();
        assert_eq!(said(&mut marks), "character");
        marks.push(Mark::Replaced(Some("next".to_owned())));
        assert_eq!(said(&mut marks), "next");
    }

    #[test]
    fn more_marks_than_are_kept_are_closed_again() {
        let mut marks = Marks::default();
        for _ in 0..MAX_OPEN + 5 {
            marks.push(Mark::Pagination);
        }
        for _ in 0..MAX_OPEN + 5 {
            assert_eq!(said(&mut marks), "nothing");
            marks.end();
        }
        assert_eq!(said(&mut marks), "character");
        marks.end();
    }
}
