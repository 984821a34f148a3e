//! PDFs with selectable text.

mod content;
mod filters;
mod layout;
mod line;
mod marks;
mod unpack;

use encoding_rs::UTF_16BE;
use hayro_font::FontCache;
use hayro_syntax::object::{Dict, String as PdfString};
use hayro_syntax::{DecryptionError, LoadPdfError, Pdf};

use crate::source::Source;
use crate::text::{clean, title};
use crate::{Article, MediaType, ReadError, language};

use content::{Interpreter, Stopped};

/// Of so many glyphs that have no character, one may be a bullet; more, and the text is not to be had.
const MAX_UNKNOWN_SHARE: f64 = 0.1;

/// The text of all pages, in the order in which the file draws it, with words, lines and paragraphs put together
/// again from where the glyphs stand.
pub(crate) fn read(source: &Source<'_>) -> Result<Article, ReadError> {
    source.contain("PDF", || {
        if !ends_whole(source.bytes) {
            return Err(
                source.unreadable("the PDF is incomplete: its end is missing; save or download it again")
            );
        }
        unpack::check_raw(source)?;
        let pdf = Pdf::new(source.bytes.to_vec()).map_err(|error| match error {
            LoadPdfError::Decryption(DecryptionError::PasswordProtected) => {
                source.unreadable("it is protected by a password; save it without one")
            }
            LoadPdfError::Decryption(_) => {
                source.unreadable("it is encrypted in a way that can't be undone; save it without protection")
            }
            LoadPdfError::Invalid => damaged(source),
        })?;
        unpack::check_streams(source, &pdf)?;
        let catalog = pdf
            .xref()
            .get::<Dict<'_>>(pdf.xref().root_id())
            .unwrap_or_default();
        let stated = catalog
            .get::<Dict<'_>>("Pages")
            .and_then(|pages| pages.get::<u32>("Count"));
        if pdf.pages().is_empty() || stated.is_some_and(|stated| pdf.pages().len() < stated as usize) {
            return Err(source.unreadable("the PDF is damaged: pages are missing; save or export it again"));
        }
        let text = pages_text(source, &pdf)?;
        Ok(Article {
            text: clean(text.into()).into_owned(),
            title: pdf.metadata().title.as_deref().and_then(stated_title),
            language: catalog
                .get::<PdfString<'_>>("Lang")
                .and_then(|lang| language::validated(&text_string(&lang))),
            media_type: MediaType::Pdf,
            encoding: None,
            same_as_source: false,
        })
    })
}

fn damaged(source: &Source<'_>) -> ReadError {
    source.unreadable("the PDF is damaged; save or export it again")
}

/// Whether the file's last bytes are those of a PDF. A reader can repair a file without its end, but what it repairs
/// has lost pages that nobody would miss.
fn ends_whole(bytes: &[u8]) -> bool {
    const TAIL: usize = 2_048;
    bytes[bytes.len().saturating_sub(TAIL)..]
        .windows(5)
        .any(|window| window == b"%%EOF")
}

fn pages_text(source: &Source<'_>, pdf: &Pdf) -> Result<String, ReadError> {
    let fonts = FontCache::new();
    let mut interpreter = Interpreter::new(&fonts, source.limits);
    let mut text = String::new();
    for (number, page) in (1..).zip(pdf.pages().iter()) {
        let page_text = interpreter.page(page).map_err(|stopped| match stopped {
            Stopped::OutOfBudget => source.unpacks_too_large(),
            Stopped::Damaged => source.unreadable(format!(
                "page {number} of the PDF is damaged; save or export it again"
            )),
        })?;
        layout::push_page(&mut text, &page_text);
        source.check_text_size(text.len())?;
    }
    let seen = &interpreter.seen;
    if seen.unknown as f64 > seen.glyphs as f64 * MAX_UNKNOWN_SHARE {
        return Err(source.unreadable("its fonts don't say which characters they show: run OCR first"));
    }
    if text.trim().is_empty() && seen.images > 0 {
        return Err(source.unreadable("the pages hold images only: run OCR first"));
    }
    Ok(text)
}

/// The title of the document information; generators write one of these where they were told none.
fn stated_title(bytes: &[u8]) -> Option<String> {
    title(&text_string(bytes))
        .filter(|title| !matches!(title.as_str(), "untitled" | "Untitled" | "(anonymous)"))
}

/// A PDF text string: UTF-16BE or UTF-8 by its mark, else `PDFDocEncoding`.
fn text_string(bytes: &[u8]) -> String {
    if let Some(utf16) = bytes.strip_prefix(b"\xfe\xff") {
        return UTF_16BE.decode_without_bom_handling(utf16).0.into_owned();
    }
    let utf8 = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(utf8).map_or_else(
        |_| bytes.iter().copied().filter_map(pdf_doc).collect(),
        str::to_owned,
    )
}

/// A byte in `PDFDocEncoding`: Latin-1 with punctuation where Latin-1 has control characters (ISO 32000-1, annex D.2).
fn pdf_doc(byte: u8) -> Option<char> {
    const ACCENTS: [char; 8] = ['˘', 'ˇ', 'ˆ', '˙', '˝', '˛', '˚', '˜'];
    const PUNCTUATION: [char; 31] = [
        '•', '†', '‡', '…', '—', '–', 'ƒ', '⁄', '‹', '›', '−', '‰', '„', '“', '”', '‘', '’', '‚', '™', 'ﬁ',
        'ﬂ', 'Ł', 'Œ', 'Š', 'Ÿ', 'Ž', 'ı', 'ł', 'œ', 'š', 'ž',
    ];
    match byte {
        0x18..=0x1f => ACCENTS.get(usize::from(byte - 0x18)).copied(),
        0x80..=0x9e => PUNCTUATION.get(usize::from(byte - 0x80)).copied(),
        0x7f | 0x9f | 0xad => None,
        0xa0 => Some('€'),
        _ => Some(char::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_strings_are_read_in_their_three_encodings() {
        assert_eq!(text_string(b"\xfe\xff\xd5\x6d\xb9\xcc"), "항만");
        assert_eq!(text_string("\u{feff}항만".as_bytes()), "항만");
        assert_eq!(text_string(b"caf\xe9"), "café");
        assert_eq!(
            text_string(b"the city\x90s \x8dcaf\xe9\x8e \x84 \xa05"),
            "the city’s “café” — €5"
        );
    }

    #[test]
    fn a_title_that_nobody_wrote_is_none() {
        assert_eq!(stated_title(b"untitled"), None);
        assert_eq!(stated_title(b" Bridge  opens "), Some("Bridge opens".to_owned()));
    }
}
