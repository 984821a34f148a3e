//! The ZIP around the document, read part by part within one budget.

use std::borrow::Cow;
use std::io::{BufReader, Cursor, Read};

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;
use zip::result::ZipError;

use crate::ReadError;
use crate::source::Source;

/// Documents nest some dozens of elements deep.
const MAX_DEPTH: usize = 1_000;

/// Something that collects what it needs from the elements of one XML part. Names come without their prefix.
pub(super) trait Collector {
    fn open(&mut self, element: &BytesStart<'_>, name: &str);
    fn text(&mut self, text: &str);
    fn close(&mut self, name: &str);
}

/// The value of an attribute, looked up without its prefix.
pub(super) fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = element.attributes();
    let found = attributes
        .with_checks(false)
        .flatten()
        .find(|a| a.key.local_name().as_ref() == name)?;
    Some(
        found
            .normalized_value(quick_xml::XmlVersion::Implicit1_0)
            .map_or_else(|_| found.value.to_string(), Cow::into_owned),
    )
}

/// An opened DOCX.
pub(super) struct Package<'s, 'a> {
    source: &'s Source<'a>,
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// How many more bytes its parts may unpack to. What the ZIP's headers say about sizes is not believed.
    budget: u64,
}

impl<'s, 'a> Package<'s, 'a> {
    pub(super) fn open(source: &'s Source<'a>) -> Result<Self, ReadError> {
        let archive = ZipArchive::new(Cursor::new(source.bytes)).map_err(|_| damaged(source))?;
        Ok(Self {
            source,
            archive,
            budget: source.limits.max_unpacked_bytes,
        })
    }

    /// The path of the document itself, as the package's relationships tell it.
    pub(super) fn main_document(&mut self) -> Result<String, ReadError> {
        let mut relationships = Relationships(None);
        self.read_part("_rels/.rels", &mut relationships)?;
        Ok(relationships.0.unwrap_or_else(|| "word/document.xml".to_owned()))
    }

    /// Hands all elements of a part to the collector; gives whether the part is there.
    pub(super) fn read_part(
        &mut self,
        path: &str,
        collector: &mut impl Collector,
    ) -> Result<bool, ReadError> {
        let source = self.source;
        let part = match self.archive.by_name(path) {
            Ok(part) => part,
            Err(ZipError::FileNotFound) => return Ok(false),
            Err(ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED)) => {
                return Err(source.unreadable("it is protected by a password; save it without one"));
            }
            Err(_) => return Err(damaged(source)),
        };
        let mut xml = Reader::from_reader(BufReader::new(part.take(self.budget)));
        xml.config_mut().expand_empty_elements = true;
        let result = walk(source, &mut xml, collector);
        self.budget = xml.get_ref().get_ref().limit();
        if self.budget == 0 {
            Err(source.unpacks_too_large())
        } else {
            result.map(|()| true)
        }
    }
}

fn walk<R: std::io::BufRead>(
    source: &Source<'_>,
    xml: &mut Reader<R>,
    collector: &mut impl Collector,
) -> Result<(), ReadError> {
    let mut buffer = Vec::new();
    let mut depth = 0_usize;
    loop {
        buffer.clear();
        match xml.read_event_into(&mut buffer).map_err(|_| damaged(source))? {
            Event::Start(element) => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(source.unreadable("its XML is nested too deeply; send the article's text"));
                }
                collector.open(&element, element.local_name().as_ref());
            }
            Event::End(element) => {
                depth = depth.saturating_sub(1);
                collector.close(element.local_name().as_ref());
            }
            Event::Text(text) => collector.text(&text.xml10_content()),
            Event::CData(text) => collector.text(&text.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(character)) => collector.text(character.encode_utf8(&mut [0; 4])),
                // Entities that a document defines itself are never expanded: no DOCX has them.
                _ => collector.text(resolve_predefined_entity(&reference).ok_or_else(|| damaged(source))?),
            },
            Event::Eof if depth == 0 => return Ok(()),
            Event::Eof | Event::DocType(_) => return Err(damaged(source)),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

fn damaged(source: &Source<'_>) -> ReadError {
    source.unreadable("the DOCX is damaged or incomplete; export it again")
}

/// Finds the target of the relationship that makes a part the main document.
struct Relationships(Option<String>);

impl Collector for Relationships {
    fn open(&mut self, element: &BytesStart<'_>, name: &str) {
        let is_main = || attribute(element, "Type").is_some_and(|kind| kind.ends_with("/officeDocument"));
        if name == "Relationship" && is_main() {
            self.0 = attribute(element, "Target").map(|target| target.trim_start_matches('/').to_owned());
        }
    }

    fn text(&mut self, _: &str) {}

    fn close(&mut self, _: &str) {}
}
