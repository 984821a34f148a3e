//! The document's text: paragraphs, list items, tables, notes.

use std::collections::HashMap;

use quick_xml::events::BytesStart;

use super::lists::{Lists, Place};
use super::package::{Collector, attribute};

/// Collects `document.xml`, then `footnotes.xml` and `endnotes.xml`.
pub(super) struct Body {
    lists: Lists,
    /// What is being filled: the document, and inside it table cells, text boxes and notes.
    frames: Vec<Frame>,
    tables: Vec<Table>,
    /// The notes that the text refers to, in its order.
    references: Vec<NoteId>,
    notes: HashMap<NoteId, String>,
    /// How many elements deep we are in one that is passed over.
    skipped: usize,
    in_text: bool,
    in_row_properties: bool,
    /// Whether the document embeds another file in place of text of its own.
    pub(super) embeds_a_file: bool,
}

/// A run of blocks.
#[derive(Default)]
struct Frame {
    text: String,
    ends_with_item: bool,
    paragraph: Option<Paragraph>,
    note: Option<NoteId>,
}

#[derive(Default)]
struct Paragraph {
    text: String,
    place: Option<Place>,
    /// The text of boxes that are anchored here; it follows the paragraph.
    boxes: Vec<String>,
}

#[derive(Default)]
struct Table {
    rows: Vec<String>,
    cells: Vec<String>,
    row_is_deleted: bool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct NoteId {
    is_endnote: bool,
    id: String,
}

impl Body {
    pub(super) fn new(lists: Lists) -> Self {
        Self {
            lists,
            frames: vec![Frame::default()],
            tables: Vec::new(),
            references: Vec::new(),
            notes: HashMap::new(),
            skipped: 0,
            in_text: false,
            in_row_properties: false,
            embeds_a_file: false,
        }
    }

    /// All of it, the notes at the end behind the numbers that the text refers to them by.
    pub(super) fn into_text(mut self) -> String {
        let mut text = self.frames.swap_remove(0).text;
        for (number, id) in (1..).zip(&self.references) {
            if let Some(note) = self.notes.get(id) {
                text.extend(["\n\n", &mark(number), " ", note]);
            }
        }
        text
    }

    fn paragraph(&mut self) -> Option<&mut Paragraph> {
        self.frames.last_mut()?.paragraph.as_mut()
    }

    fn write(&mut self, text: &str) {
        if let Some(paragraph) = self.paragraph() {
            paragraph.text.push_str(text);
        }
    }

    fn refer(&mut self, is_endnote: bool, element: &BytesStart<'_>) {
        let Some(id) = attribute(element, "id") else {
            return;
        };
        self.references.push(NoteId { is_endnote, id });
        self.write(&mark(self.references.len()));
    }

    fn close_paragraph(&mut self) {
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        let Some(paragraph) = frame.paragraph.take() else {
            return;
        };
        let text = paragraph.text.trim_end();
        if !text.trim_start().is_empty() {
            match paragraph.place.filter(|place| place.is_in_list()) {
                Some(place) => frame.push_item(&(self.lists.next_mark(place) + text)),
                None => frame.push_block(text),
            }
        }
        for text in paragraph.boxes {
            frame.push_block(&text);
        }
    }

    fn close_frame(&mut self) -> Option<Frame> {
        // The first frame is the document's own; an end tag too many must not take it.
        if self.frames.len() > 1 {
            self.frames.pop()
        } else {
            None
        }
    }

    fn close_cell(&mut self) {
        let Some(cell) = self.close_frame() else { return };
        if let Some(table) = self.tables.last_mut() {
            table.cells.push(cell.text);
        }
    }

    fn close_row(&mut self) {
        let Some(table) = self.tables.last_mut() else {
            return;
        };
        let cells = std::mem::take(&mut table.cells);
        let row = match cells.as_slice() {
            // A table of one column is a frame around text, with paragraphs of its own.
            [only] => only.clone(),
            _ => cells
                .iter()
                .map(|cell| on_one_line(cell))
                .collect::<Vec<_>>()
                .join("\t"),
        };
        if !std::mem::take(&mut table.row_is_deleted) && !row.trim().is_empty() {
            table.rows.push(row);
        }
    }

    fn close_table(&mut self) {
        let rows = self.tables.pop().map(|table| table.rows).unwrap_or_default();
        let has_paragraphs = rows.iter().any(|row| row.contains('\n'));
        let rows = rows.join(if has_paragraphs { "\n\n" } else { "\n" });
        if let Some(frame) = self.frames.last_mut() {
            frame.push_block(&rows);
        }
    }
}

fn on_one_line(cell: &str) -> String {
    cell.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How the text refers to its notes.
fn mark(number: usize) -> String {
    format!("[{number}]")
}

impl Frame {
    fn push_block(&mut self, block: &str) {
        self.push(block, "\n\n");
        self.ends_with_item = false;
    }

    fn push_item(&mut self, item: &str) {
        self.push(item, if self.ends_with_item { "\n" } else { "\n\n" });
        self.ends_with_item = true;
    }

    fn push(&mut self, block: &str, separator: &str) {
        if block.is_empty() {
            return;
        }
        if !self.text.is_empty() {
            self.text.push_str(separator);
        }
        self.text.push_str(block);
    }
}

/// Elements whose content is no part of the text: deleted and moved-away text, former formatting, the second form of
/// what the document has in two, and the small print above East Asian characters that tells how they are spoken.
fn is_passed_over(name: &str) -> bool {
    matches!(name, "del" | "moveFrom" | "Fallback" | "tabs" | "sectPr" | "rt") || name.ends_with("Change")
}

impl Collector for Body {
    fn open(&mut self, element: &BytesStart<'_>, name: &str) {
        if name == "del" && self.in_row_properties {
            self.tables
                .iter_mut()
                .last()
                .into_iter()
                .for_each(|table| table.row_is_deleted = true);
        }
        if self.skipped > 0 || is_passed_over(name) {
            self.skipped += 1;
            return;
        }
        match name {
            "p" => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.paragraph = Some(Paragraph::default());
                }
            }
            "t" => self.in_text = true,
            "tab" | "ptab" => self.write("\t"),
            "br" | "cr" => self.write("\n"),
            "noBreakHyphen" => self.write("\u{2011}"),
            "softHyphen" => self.write("\u{ad}"),
            "sym" => {
                let code = attribute(element, "char").and_then(|code| u32::from_str_radix(&code, 16).ok());
                if let Some(symbol) = code.and_then(char::from_u32) {
                    self.write(symbol.encode_utf8(&mut [0; 4]));
                }
            }
            "pStyle" => {
                let place = attribute(element, "val").and_then(|style| self.lists.place_of_style(&style));
                self.paragraph()
                    .into_iter()
                    .for_each(|paragraph| paragraph.place = place);
            }
            "numId" => {
                let value = attribute(element, "val");
                if let Some(paragraph) = self.paragraph() {
                    paragraph.place.get_or_insert_default().set_list(value);
                }
            }
            "ilvl" => {
                let value = attribute(element, "val");
                if let Some(paragraph) = self.paragraph() {
                    paragraph.place.get_or_insert_default().set_level(value);
                }
            }
            "footnoteReference" => self.refer(false, element),
            "endnoteReference" => self.refer(true, element),
            "footnote" | "endnote" => {
                let id = attribute(element, "id").unwrap_or_default();
                let note = Some(NoteId {
                    is_endnote: name == "endnote",
                    id,
                });
                self.frames.push(Frame {
                    note,
                    ..Frame::default()
                });
            }
            "txbxContent" | "tc" => self.frames.push(Frame::default()),
            "tbl" => self.tables.push(Table::default()),
            "trPr" => self.in_row_properties = true,
            "altChunk" => self.embeds_a_file = true,
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if self.in_text && self.skipped == 0 {
            self.write(text);
        }
    }

    fn close(&mut self, name: &str) {
        if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        match name {
            "p" => self.close_paragraph(),
            "t" => self.in_text = false,
            "footnote" | "endnote" => {
                if let Some(Frame {
                    note: Some(note),
                    text,
                    ..
                }) = self.close_frame()
                {
                    self.notes.insert(note, text);
                }
            }
            "txbxContent" => {
                if let Some(frame) = self.close_frame()
                    && let Some(paragraph) = self.paragraph()
                {
                    paragraph.boxes.push(frame.text);
                }
            }
            "tc" => self.close_cell(),
            "tr" => self.close_row(),
            "tbl" => self.close_table(),
            "trPr" => self.in_row_properties = false,
            _ => {}
        }
    }
}
