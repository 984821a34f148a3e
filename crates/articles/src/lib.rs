//! Articles as people have them, turned into text.
//!
//! [`read`] takes one file (`.txt`, `.md`, `.html`, `.pdf`, `.docx`, `.json`) and gives one [`Article`];
//! [`records`] takes a JSON or JSONL file and gives its articles one by one. Both are pure functions: no I/O,
//! no clock. Neither panics, whatever the bytes are, and neither cuts anything silently: what can't be read
//! whole is a [`ReadError`] with a sentence for the person whose article it is.
//!
//! What the text looks like, whichever file it came from:
//!
//! * line ends are `\n` (from `\r\n`, `\r`, form feed, vertical tab and U+0085);
//! * control characters other than `\n` and `\t` are removed, but for those that are the punctuation of windows-1252
//!   in disguise; a file in which more than one byte in a hundred is one is refused as binary data;
//! * a byte order mark is removed; all other Unicode text is kept exactly, without normalisation.

mod docx;
mod encoding;
mod error;
mod fields;
mod format;
mod html;
mod language;
mod limits;
mod media_type;
mod pdf;
mod records;
mod source;
mod text;

pub use error::ReadError;
pub use limits::Limits;
pub use media_type::MediaType;
pub use records::{Record, Records, records};

use source::Source;

/// An article, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Article {
    /// The article's text; never empty or whitespace only.
    pub text: String,
    /// The title that the file itself states: `<title>`, a document property, front matter or a first heading of
    /// Markdown. One line of at most 300 bytes; a longer one is cut, with `…` at its end.
    pub title: Option<String>,
    /// The language that the file itself states, as a valid BCP 47 tag (`ko`, `zh-Hant-TW`).
    pub language: Option<String>,
    /// What the file turned out to be, which is not always what its name says.
    pub media_type: MediaType,
    /// The encoding that a text file was decoded from (`UTF-8`, `EUC-KR`); `None` for PDF and DOCX.
    pub encoding: Option<&'static str>,
    /// Whether `text` is byte for byte the source, so that nobody needs to store it twice.
    pub same_as_source: bool,
}

/// Reads one article from the bytes of a file.
///
/// The content decides what the file is where it contradicts the extension of `name` clearly; `name` is else only
/// used for messages.
///
/// # Errors
/// [`ReadError::UnsupportedFormat`] for a file of another kind (an image, a spreadsheet),
/// [`ReadError::UnreadableArticle`] for one that is damaged, protected, binary or without text, and
/// [`ReadError::ArticleTooLarge`] for one past `limits`.
pub fn read(name: &str, bytes: &[u8], limits: &Limits) -> Result<Article, ReadError> {
    let source = Source::new(name, bytes, limits)?;
    let mut article = match format::decide(&source)? {
        MediaType::PlainText => text::read_plain(&source),
        MediaType::Markdown => text::read_markdown(&source),
        MediaType::Html => html::read(&source),
        MediaType::Pdf => pdf::read(&source),
        MediaType::Docx => docx::read(&source),
        MediaType::Json => records::read_single(&source, MediaType::Json),
        MediaType::JsonLines => records::read_single(&source, MediaType::JsonLines),
    }?;
    source.check_text_size(article.text.len())?;
    if article.text.trim().is_empty() {
        return Err(source.has_no_text());
    }
    article.same_as_source = article.text.as_bytes() == bytes;
    Ok(article)
}
