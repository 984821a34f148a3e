//! Text that is already text: plain, Markdown, and the cleaning that every article's text gets.

use std::borrow::Cow;

use crate::encoding;
use crate::source::Source;
use crate::{Article, MediaType, ReadError};

pub(crate) fn read_plain(source: &Source<'_>) -> Result<Article, ReadError> {
    read_as(source, MediaType::PlainText, |_| None)
}

/// Markdown is kept as it is written; its title is its first heading.
pub(crate) fn read_markdown(source: &Source<'_>) -> Result<Article, ReadError> {
    read_as(source, MediaType::Markdown, first_heading)
}

/// The text with `\n` line ends and without control characters; borrowed where it is so already.
pub(crate) fn clean(text: Cow<'_, str>) -> Cow<'_, str> {
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
            c if c.is_control() && c != '\n' && c != '\t' => {}
            c => cleaned.push(c),
        }
    }
    Cow::Owned(cleaned)
}

/// A title on one line: white space collapsed, control characters gone; `None` if nothing remains.
pub(crate) fn title(raw: &str) -> Option<String> {
    let words = raw
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty());
    let title = words.collect::<Vec<_>>().join(" ");
    (!title.is_empty()).then_some(title)
}

fn read_as(
    source: &Source<'_>,
    media_type: MediaType,
    find_title: fn(&str) -> Option<String>,
) -> Result<Article, ReadError> {
    let decoded = encoding::decode(source, None)?;
    let text = clean(decoded.text);
    source.check_text_size(text.len())?;
    Ok(Article {
        title: find_title(&text),
        language: None,
        media_type,
        encoding: Some(decoded.encoding),
        same_as_source: false,
        text: text.into_owned(),
    })
}

fn first_heading(markdown: &str) -> Option<String> {
    let mut in_code = false;
    let heading = markdown.lines().find_map(|line| {
        in_code ^= line.trim_start().starts_with("```");
        let heading = line.strip_prefix("# ").filter(|_| !in_code)?;
        Some(heading.trim_end().trim_end_matches('#'))
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
    fn clean_text_is_not_copied() {
        assert!(matches!(clean(Cow::Borrowed("Grüße,\n\t서울")), Cow::Borrowed(_)));
    }

    #[test]
    fn markdown_takes_its_title_from_the_first_heading_outside_code() {
        assert_eq!(
            first_heading("```\n# not this\n```\n\n# The  harbour *bridge* #\n# Two").as_deref(),
            Some("The harbour *bridge*")
        );
        assert_eq!(first_heading("No heading.\n#hashtag"), None);
    }
}
