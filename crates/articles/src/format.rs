//! What a file is, judged by its content first and its name second.

use std::io::Cursor;
use std::panic::catch_unwind;

use infer::MatcherType;
use serde::de::IgnoredAny;
use zip::ZipArchive;

use crate::source::Source;
use crate::{MediaType, ReadError, encoding};

/// More entries than any document has; a ZIP with more is made to exhaust memory.
const MAX_ZIP_ENTRIES: usize = 10_000;

/// The kind of file to read the source as, or why it can't be read at all.
pub(crate) fn decide(source: &Source<'_>) -> Result<MediaType, ReadError> {
    let promised = MediaType::from_name(source.name);
    match Content::of(source.bytes) {
        Content::Readable(media_type) => Ok(media_type),
        Content::Text if is_textual(promised) => Ok(promised.unwrap_or(MediaType::PlainText)),
        Content::Text => Ok(sniff_text(source.bytes)),
        Content::LatePdf if promised == Some(MediaType::Pdf) => Ok(MediaType::Pdf),
        Content::Protected if promised == Some(MediaType::Docx) => {
            Err(source.unreadable("it is protected by a password; save it without one"))
        }
        Content::DamagedZip if promised == Some(MediaType::Docx) => {
            Err(source.unreadable("the DOCX is damaged or incomplete; export it again"))
        }
        Content::LatePdf | Content::Unknown if promised.is_some() => Err(source.is_binary()),
        Content::LatePdf | Content::Unknown => Err(source.unsupported("binary data of an unknown kind")),
        Content::Protected => Err(source.unsupported("Office document of 1997–2003 or with a password")),
        Content::DamagedZip => Err(source.unsupported("ZIP archive, damaged")),
        Content::Foreign(found) => Err(source.unsupported(found)),
    }
}

/// The kind that the bytes alone show.
pub(crate) fn sniff(bytes: &[u8]) -> Option<MediaType> {
    match Content::of(bytes) {
        Content::Readable(media_type) => Some(media_type),
        Content::Text => Some(sniff_text(bytes)),
        _ => None,
    }
}

/// What the bytes show without a name.
enum Content {
    /// Unmistakably this kind, whatever its name says.
    Readable(MediaType),
    /// Text, of a kind that its name may tell.
    Text,
    /// Binary data in which a PDF may begin later, as some mail gateways make them.
    LatePdf,
    /// A compound file: an old Office document, or a new one with a password.
    Protected,
    DamagedZip,
    /// A known kind that holds no article, in words.
    Foreign(String),
    Unknown,
}

impl Content {
    fn of(bytes: &[u8]) -> Self {
        const COMPOUND_FILE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
        let start = bytes
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(bytes)
            .trim_ascii_start();
        if start.starts_with(b"%PDF-") {
            return Self::Readable(MediaType::Pdf);
        }
        if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
            return of_zip(bytes);
        }
        if bytes.starts_with(COMPOUND_FILE) {
            return Self::Protected;
        }
        if start.starts_with(b"{\\rtf") {
            return Self::Foreign("Rich Text Format (.rtf)".to_owned());
        }
        if start.starts_with(b"%!PS") {
            return Self::Foreign("PostScript".to_owned());
        }
        // A signature may be as short as the two letters "BM", so it counts only beside bytes that no text has.
        let head = &bytes[..bytes.len().min(64)];
        if !encoding::is_text(bytes) || (!encoding::is_text(head) && std::str::from_utf8(bytes).is_err()) {
            return of_binary(bytes);
        }
        if is_html(bytes) {
            Self::Readable(MediaType::Html)
        } else {
            Self::Text
        }
    }
}

fn is_textual(media_type: Option<MediaType>) -> bool {
    matches!(
        media_type,
        Some(
            MediaType::PlainText
                | MediaType::Markdown
                | MediaType::Html
                | MediaType::Json
                | MediaType::JsonLines
        )
    )
}

fn of_binary(bytes: &[u8]) -> Content {
    let Some(found) = infer::get(bytes) else {
        let has_late_pdf = bytes[..bytes.len().min(1024)]
            .windows(5)
            .any(|window| window == b"%PDF-");
        return if has_late_pdf {
            Content::LatePdf
        } else {
            Content::Unknown
        };
    };
    let kind = match found.matcher_type() {
        MatcherType::App => "program",
        MatcherType::Archive => "archive",
        MatcherType::Audio => "audio",
        MatcherType::Font => "font",
        MatcherType::Image => "image",
        MatcherType::Video => "video",
        _ => "file",
    };
    Content::Foreign(format!("{} ({kind})", found.extension().to_uppercase()))
}

fn of_zip(bytes: &[u8]) -> Content {
    let entries = bytes
        .windows(4)
        .filter(|window| window == b"PK\x01\x02")
        .take(MAX_ZIP_ENTRIES + 1)
        .count();
    if entries > MAX_ZIP_ENTRIES {
        return Content::Foreign("ZIP archive of many files".to_owned());
    }
    // Contained like every third-party parser of outside bytes.
    let Ok(Ok(archive)) = catch_unwind(|| ZipArchive::new(Cursor::new(bytes))) else {
        return Content::DamagedZip;
    };
    let has = |prefix: &str| {
        archive
            .file_names()
            .flatten()
            .any(|name| name.starts_with(prefix))
    };
    let found = if has("word/") {
        return Content::Readable(MediaType::Docx);
    } else if has("xl/") {
        "Excel workbook (.xlsx)"
    } else if has("ppt/") {
        "PowerPoint presentation (.pptx)"
    } else if has("META-INF/container.xml") {
        "EPUB book (.epub)"
    } else if has("content.xml") {
        "OpenDocument file (.odt, .ods)"
    } else {
        "ZIP archive"
    };
    Content::Foreign(found.to_owned())
}

/// The start of the text as ASCII, in lower case, also where the text is UTF-16.
fn ascii_start(bytes: &[u8]) -> Vec<u8> {
    let start = bytes
        .iter()
        .take(2048)
        .filter(|byte| byte.is_ascii() && **byte != 0);
    start
        .map(u8::to_ascii_lowercase)
        .collect::<Vec<_>>()
        .trim_ascii_start()
        .to_vec()
}

fn is_html(bytes: &[u8]) -> bool {
    let start = ascii_start(bytes);
    let mut start = start.as_slice();
    // What saved pages and XHTML have in front of it.
    for (opening, end) in [("<?xml", "?>"), ("<!--", "-->"), ("<!--", "-->")] {
        if start.starts_with(opening.as_bytes())
            && let Some(at) = start
                .windows(end.len())
                .position(|window| window == end.as_bytes())
        {
            start = start[at + end.len()..].trim_ascii_start();
        }
    }
    start.starts_with(b"<!doctype html") || start.starts_with(b"<html")
}

/// The kind of a text whose name says nothing.
fn sniff_text(bytes: &[u8]) -> MediaType {
    let start = bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(bytes)
        .trim_ascii_start();
    if is_html(bytes) {
        return MediaType::Html;
    }
    // "[Seoul] The mayor …" is no JSON: the first value must be whole, and an object or an array of objects.
    let opens_array = start
        .strip_prefix(b"[")
        .is_some_and(|rest| rest.trim_ascii_start().starts_with(b"{"));
    if !start.starts_with(b"{") && !opens_array {
        return MediaType::PlainText;
    }
    let mut values = serde_json::Deserializer::from_slice(start).into_iter::<IgnoredAny>();
    if !matches!(values.next(), Some(Ok(_))) {
        return MediaType::PlainText;
    }
    match start[values.byte_offset()..].trim_ascii_start().first() {
        None => MediaType::Json,
        Some(b'{') if !opens_array => MediaType::JsonLines,
        Some(_) => MediaType::PlainText,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_a_telling_name_is_judged_by_its_first_characters() {
        let of = |text: &str| sniff(text.as_bytes());
        assert_eq!(of("BMW opens a plant."), Some(MediaType::PlainText));
        assert_eq!(of("[Seoul] The mayor said …"), Some(MediaType::PlainText));
        assert_eq!(of("{braces} are not JSON"), Some(MediaType::PlainText));
        assert_eq!(of("\n<!DOCTYPE HTML><p>Hi"), Some(MediaType::Html));
        assert_eq!(
            of("<?xml version='1.0'?>\n<!-- saved -->\n<html><p>Hi"),
            Some(MediaType::Html)
        );
        assert_eq!(of("<!-- a note --> in a text"), Some(MediaType::PlainText));
        assert_eq!(of("{\"text\": \"a\"}\n"), Some(MediaType::Json));
        assert_eq!(of("[{\"text\": \"a\"}]"), Some(MediaType::Json));
        assert_eq!(
            of("{\"text\": \"a\"}\n{\"text\": \"b\"}"),
            Some(MediaType::JsonLines)
        );
        assert_eq!(of("%PDF-1.7\n"), Some(MediaType::Pdf));
        assert_eq!(sniff(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), None);
    }
}
