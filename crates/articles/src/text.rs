//! Text that is already text: plain, Markdown, and the cleaning that every article's text gets.

use std::borrow::Cow;

use encoding_rs::WINDOWS_1252;

use crate::encoding;
use crate::source::Source;
use crate::{Article, MediaType, ReadError, language};

/// A title is a label, and travels with messages and jobs that are claims; what is longer is text. In bytes.
const LONGEST_TITLE: usize = 300;

pub(crate) fn read_plain(source: &Source<'_>) -> Result<Article, ReadError> {
    read_as(source, MediaType::PlainText, |_| Stated::default())
}

/// Markdown is kept as it is written; title and language are those of its front matter, the title else its first
/// heading.
pub(crate) fn read_markdown(source: &Source<'_>) -> Result<Article, ReadError> {
    read_as(source, MediaType::Markdown, Stated::in_markdown)
}

/// The text with `\n` line ends and without control characters; borrowed where it is so already.
///
/// The control characters U+0080 to U+009F are none in practice: they are the quotation marks and dashes of
/// windows-1252, in a text that somebody took for Latin-1 on its way. They become what they were.
pub(crate) fn clean(text: Cow<'_, str>) -> Cow<'_, str> {
    if is_surely_clean(text.as_bytes()) {
        return text;
    }
    let Some(first) = text.find(|c: char| c.is_control() && c != '\n' && c != '\t') else {
        return text;
    };
    let mut cleaned = String::with_capacity(text.len());
    cleaned.push_str(&text[..first]);
    let mut rest = text[first..].chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\r' => {
                rest.next_if_eq(&'\n');
                cleaned.push('\n');
            }
            '\x0b' | '\x0c' | '\u{85}' => cleaned.push('\n'),
            c if c.is_control() && c != '\n' && c != '\t' => cleaned.extend(taken_for_latin_1(c)),
            c => cleaned.push(c),
        }
    }
    Cow::Owned(cleaned)
}

/// Whether no byte is a control character or may begin one (those after ASCII begin with C2): most texts, and
/// many bytes at once are looked at faster than one character after the other.
fn is_surely_clean(bytes: &[u8]) -> bool {
    let is_suspect =
        |byte: u8| (byte < b' ' && byte != b'\n' && byte != b'\t') || byte == 0x7f || byte == 0xc2;
    !bytes
        .chunks(64)
        .any(|chunk| chunk.iter().fold(false, |found, byte| found | is_suspect(*byte)))
}

/// A title on one line: white space collapsed, control characters gone, `…` for what is too long to be a title;
/// `None` if nothing remains.
pub(crate) fn title(raw: &str) -> Option<String> {
    let raw = clean(Cow::Borrowed(raw));
    let mut title = raw.split_whitespace().collect::<Vec<_>>().join(" ");
    if title.len() > LONGEST_TITLE {
        title.truncate(title.floor_char_boundary(LONGEST_TITLE));
        title.push('…');
    }
    (!title.is_empty()).then_some(title)
}

/// The character of windows-1252 that became this control character.
fn taken_for_latin_1(control: char) -> Option<char> {
    let byte = u8::try_from(u32::from(control)).ok()?;
    let (text, _) = WINDOWS_1252.decode_without_bom_handling(std::slice::from_ref(&byte));
    text.chars().next().filter(|c| !c.is_control())
}

/// What a text says about itself.
#[derive(Default)]
struct Stated {
    title: Option<String>,
    language: Option<String>,
}

impl Stated {
    fn in_markdown(markdown: &str) -> Self {
        let (front_matter, body) = front_matter(markdown).unwrap_or(("", markdown));
        let field = |names: [&str; 2]| {
            let mut lines = front_matter.lines();
            lines.find_map(|line| {
                let (name, value) = line.split_once(':')?;
                names.contains(&name).then(|| unquoted(value.trim()))
            })
        };
        Self {
            title: field(["title", "headline"])
                .and_then(title)
                .or_else(|| first_heading(body)),
            language: field(["lang", "language"]).and_then(language::validated),
        }
    }
}

/// The YAML block that static site generators write at the top, and what is below it.
fn front_matter(markdown: &str) -> Option<(&str, &str)> {
    let inside = markdown.strip_prefix("---\n")?;
    let end = inside.find("\n---\n")?;
    Some((&inside[..end], &inside[end + 5..]))
}

fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

fn read_as(
    source: &Source<'_>,
    media_type: MediaType,
    find_stated: fn(&str) -> Stated,
) -> Result<Article, ReadError> {
    let decoded = encoding::decode(source, None)?;
    let text = clean(decoded.text);
    source.check_text_size(text.len())?;
    let stated = find_stated(&text);
    Ok(Article {
        title: stated.title,
        language: stated.language,
        media_type,
        encoding: Some(decoded.encoding),
        same_as_source: false,
        text: text.into_owned(),
    })
}

fn first_heading(markdown: &str) -> Option<String> {
    let mut in_code = false;
    let mut above = "";
    let heading = markdown.lines().find_map(|line| {
        in_code ^= line.trim_start().starts_with("```");
        let above = std::mem::replace(&mut above, line);
        if in_code {
            return None;
        }
        let is_underline = line.starts_with('=') && line.trim_end().bytes().all(|byte| byte == b'=');
        if is_underline && !above.trim().is_empty() {
            return Some(above);
        }
        Some(line.strip_prefix("# ")?.trim_end().trim_end_matches('#'))
    });
    heading.and_then(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_become_newlines_and_control_characters_go() {
        let cleaned = clean(Cow::Borrowed("a\r\nb\rc\n\rd\x0ce\u{85}f\0\tg\u{1b}[0m\r"));
        assert_eq!(cleaned, "a\nb\nc\n\nd\ne\nf\tg[0m\n");
    }

    #[test]
    fn what_windows_1252_has_in_place_of_control_characters_is_kept() {
        let cleaned = clean(Cow::Borrowed(
            "the city\u{92}s \u{93}new\u{94} bridge \u{96} \u{80}5\u{81}",
        ));
        assert_eq!(cleaned, "the city’s “new” bridge – €5");
    }

    #[test]
    fn clean_text_is_not_copied() {
        assert!(matches!(clean(Cow::Borrowed("Grüße,\n\t서울")), Cow::Borrowed(_)));
    }

    #[test]
    fn markdown_takes_its_title_from_the_first_heading_outside_code() {
        assert_eq!(
            first_heading("```\n# not this\n```\n\n# The  harbour *bridge* #\n# Two").as_deref(),
            Some("The harbour *bridge*")
        );
        assert_eq!(
            first_heading("Bridge opens\n============\n# Two").as_deref(),
            Some("Bridge opens")
        );
        assert_eq!(first_heading("No heading.\n#hashtag"), None);
        assert_eq!(first_heading("\n====\nNo heading."), None);
    }

    #[test]
    fn markdown_takes_title_and_language_from_its_front_matter() {
        let stated = Stated::in_markdown(
            "---\n# of the editor\ntitle: \"Bridge: it opens\"\nlang: en_gb\ntags: [a]\n---\n# Another\n",
        );
        assert_eq!(stated.title.as_deref(), Some("Bridge: it opens"));
        assert_eq!(stated.language.as_deref(), Some("en-GB"));
        let stated = Stated::in_markdown("---\n# of the editor\ndraft: true\n---\n\n# Bridge opens\n");
        assert_eq!(stated.title.as_deref(), Some("Bridge opens"));
        let stated = Stated::in_markdown("---\n\n# After a rule\n");
        assert_eq!(stated.title.as_deref(), Some("After a rule"));
    }

    #[test]
    fn a_title_is_one_line_of_bounded_length() {
        assert_eq!(title(" Bridge\r\n  opens\0 ").as_deref(), Some("Bridge opens"));
        assert_eq!(title("\t\0 "), None);
        let cut = title(&"다리 ".repeat(1_000)).unwrap();
        assert!(
            cut.len() <= LONGEST_TITLE + '…'.len_utf8() && cut.ends_with('…'),
            "{cut}"
        );
    }
}
