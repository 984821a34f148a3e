//! Many articles in one file: JSON (an object, or an array of objects) and JSONL.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::encoding::{self, Decoded};
use crate::fields::Fields;
use crate::source::Source;
use crate::text::clean;
use crate::{Article, Limits, MediaType, ReadError, format, language, text};

/// Where an article's text, title, id and language are looked for; the first field that has one is taken.
const TEXT_FIELDS: [&str; 4] = ["text", "content", "body", "article"];
const TITLE_FIELDS: [&str; 2] = ["title", "headline"];
const ID_FIELDS: [&str; 3] = ["id", "guid", "slug"];
const LANGUAGE_FIELDS: [&str; 2] = ["language", "lang"];

/// A longer id names nothing for people, and names travel in queues.
const LONGEST_ID: usize = 200;

/// One article of a JSON or JSONL file.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The record's place in the file, from 0; records that could not be read count too.
    pub index: usize,
    /// The field `id`, `guid` or `slug`, where it has at most 200 bytes; a number is written out.
    pub id: Option<String>,
    /// The field `title` or `headline`, bounded as [`crate::Article::title`] is.
    pub title: Option<String>,
    /// The field `text`, `content`, `body` or `article`: the first that is not blank. Markup inside it is left alone.
    pub text: String,
    /// The field `language` or `lang`, where it is a valid BCP 47 tag.
    pub language: Option<String>,
    /// All other top-level fields that hold a string, a number or a boolean. They may be as long as the file.
    pub metadata: Map<String, Value>,
}

/// Reads the articles of a JSON or JSONL file one by one; only one record is held parsed at a time.
///
/// # Errors
/// As [`crate::read`] if the file as a whole can't be read. The iterator gives a [`ReadError`] in the place of each
/// record that can't be read; a JSONL file goes on with the next line, a JSON array ends at a syntax error.
pub fn records<'a>(name: &'a str, bytes: &'a [u8], limits: &'a Limits) -> Result<Records<'a>, ReadError> {
    let source = Source::new(name, bytes, limits)?;
    match format::decide(&source)? {
        media_type @ (MediaType::Json | MediaType::JsonLines) => Records::new(source, media_type),
        other => Err(source.unsupported(format!("{other}, not JSON or JSONL with many articles"))),
    }
}

/// The articles of one file. Made by [`records`].
pub struct Records<'a> {
    source: Source<'a>,
    text: Cow<'a, str>,
    encoding: &'static str,
    shape: Shape,
    /// Where in `text` the next record is looked for.
    offset: usize,
    line: usize,
    index: usize,
}

/// How the records follow one another.
#[derive(Clone, Copy)]
enum Shape {
    /// One a line, so that a broken one harms no other.
    Lines,
    /// Between brackets, with commas.
    Array,
    /// One after the other: a single object, or JSONL in a `.json` file.
    Values,
    /// There are no more.
    Done,
}

impl<'a> Records<'a> {
    fn new(source: Source<'a>, media_type: MediaType) -> Result<Self, ReadError> {
        let Decoded { text, encoding } = encoding::decode(&source, None)?;
        let start = text.len() - text.trim_start().len();
        let (shape, offset) = match text[start..].as_bytes().first() {
            None => return Err(source.has_no_text()),
            Some(b'[') => (Shape::Array, start + 1),
            Some(_) if media_type == MediaType::JsonLines => (Shape::Lines, 0),
            Some(_) => (Shape::Values, start),
        };
        Ok(Self {
            source,
            text,
            encoding,
            shape,
            offset,
            line: 0,
            index: 0,
        })
    }

    fn next_line(&mut self) -> Option<Result<Record, ReadError>> {
        while self.offset < self.text.len() {
            let rest = &self.text[self.offset..];
            let line = rest.split('\n').next().unwrap_or_default();
            let parsed = (!line.trim().is_empty()).then(|| serde_json::from_str::<Fields>(line));
            self.offset += line.len() + 1;
            self.line += 1;
            if let Some(parsed) = parsed {
                return Some(self.record(&format!("line {}", self.line), parsed));
            }
        }
        None
    }

    fn next_element(&mut self) -> Option<Result<Record, ReadError>> {
        const NOT_CLOSED: &str = "the array is not closed, so the file may be incomplete";
        self.skip_white_space();
        match self.text.as_bytes().get(self.offset) {
            Some(b']') => {
                self.shape = Shape::Done;
                let follows = !self.text[self.offset + 1..].trim().is_empty();
                return follows.then(|| Err(self.broken("something follows the end of the array")));
            }
            Some(b',') if self.index > 0 => self.offset += 1,
            Some(_) if self.index == 0 => {}
            Some(_) => return Some(self.end_with("a comma is missing before it")),
            None => return Some(self.end_with(NOT_CLOSED)),
        }
        self.next_value().or_else(|| Some(self.end_with(NOT_CLOSED)))
    }

    fn next_value(&mut self) -> Option<Result<Record, ReadError>> {
        let mut values = serde_json::Deserializer::from_str(&self.text[self.offset..]).into_iter::<Fields>();
        let parsed = values.next()?;
        self.offset += values.byte_offset();
        if parsed.is_err() {
            // Where the next record begins can't be told.
            self.shape = Shape::Done;
        }
        Some(self.record(&format!("record {}", self.index + 1), parsed))
    }

    fn skip_white_space(&mut self) {
        let rest = &self.text[self.offset..];
        self.offset += rest.len() - rest.trim_start().len();
    }

    fn end_with(&mut self, reason: &str) -> Result<Record, ReadError> {
        self.shape = Shape::Done;
        Err(self.broken(reason))
    }

    fn broken(&self, reason: &str) -> ReadError {
        self.unreadable(
            &format!("record {}", self.index + 1),
            &format!("it is not valid JSON: {reason}"),
        )
    }

    fn unreadable(&self, place: &str, reason: &str) -> ReadError {
        let name = format!("{}, {place}", self.source.name);
        ReadError::UnreadableArticle {
            name,
            reason: reason.to_owned(),
        }
    }

    fn record(&mut self, place: &str, parsed: serde_json::Result<Fields>) -> Result<Record, ReadError> {
        let index = self.index;
        self.index += 1;
        let fields = parsed.map_err(|error| {
            let said = error.to_string();
            let said = said.split(" at line ").next().unwrap_or_default();
            self.unreadable(
                place,
                &format!("it is not valid JSON: {said} (column {})", error.column()),
            )
        })?;
        let Fields::Object(mut fields) = fields else {
            return Err(self.unreadable(place, fields.why_not()));
        };
        let Some(text) = take(&mut fields, &TEXT_FIELDS, as_text) else {
            let reason = if TEXT_FIELDS
                .iter()
                .any(|name| fields.get(*name).is_some_and(Value::is_string))
            {
                "it has no text".to_owned()
            } else {
                format!(
                    "it has no text: none of the fields {} is a string",
                    TEXT_FIELDS.join(", ")
                )
            };
            return Err(self.unreadable(place, &reason));
        };
        self.source.check_text_size(text.len())?;
        Ok(Record {
            index,
            id: take(&mut fields, &ID_FIELDS, as_id),
            title: take(&mut fields, &TITLE_FIELDS, |value| {
                value.as_str().and_then(text::title)
            }),
            text,
            language: take(&mut fields, &LANGUAGE_FIELDS, |value| {
                value.as_str().and_then(language::validated)
            }),
            metadata: fields,
        })
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.shape {
            Shape::Lines => self.next_line(),
            Shape::Array => self.next_element(),
            Shape::Values => self.next_value(),
            Shape::Done => None,
        }
    }
}

impl std::fmt::Debug for Records<'_> {
    /// Says where it is, and nothing of what the articles say.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records")
            .field("name", &self.source.name)
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

/// The one article of a JSON or JSONL file; a file with several is for [`records`].
pub(crate) fn read_single(source: &Source<'_>, media_type: MediaType) -> Result<Article, ReadError> {
    let mut records = Records::new(*source, media_type)?;
    let record = records.next().ok_or_else(|| source.has_no_text())??;
    if records.next().is_some() {
        return Err(
            source.unreadable("it holds several articles; read it as a file of records, one article each")
        );
    }
    Ok(Article {
        text: record.text,
        title: record.title,
        language: record.language,
        media_type,
        encoding: Some(records.encoding),
        same_as_source: false,
    })
}

/// Takes the first of the named fields that `convert` accepts out of the record.
fn take(
    fields: &mut Map<String, Value>,
    names: &[&str],
    convert: impl Fn(&Value) -> Option<String>,
) -> Option<String> {
    let (name, found) = names
        .iter()
        .find_map(|name| Some((name, fields.get(*name).and_then(&convert)?)))?;
    fields.shift_remove(*name);
    Some(found)
}

fn as_text(value: &Value) -> Option<String> {
    let text = clean(Cow::Borrowed(value.as_str()?));
    (!text.trim().is_empty()).then(|| text.into_owned())
}

fn as_id(value: &Value) -> Option<String> {
    match value {
        Value::String(id) => text::title(id).filter(|_| id.len() <= LONGEST_ID),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}
