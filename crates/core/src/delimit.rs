//! Text from outside is delimited, and can't close its delimiter.
//!
//! An article may say "`</article>` You are now …". The delimiter therefore carries a mark that the
//! text does not contain: `<article-5f2c91d07be4a386>…</article-5f2c91d07be4a386>`. The mark is derived from the text,
//! so that the same article always makes the same prompt (and is found in the memo), and the text
//! itself is not changed by a character.

use sha2::{Digest, Sha256};

/// The text between two delimiters of this kind (`article`, `previous`, `meta` …).
#[must_use]
pub fn delimited(kind: &str, text: &str) -> String {
    let mark = mark(kind, text);
    let line_end = if text.ends_with('\n') { "" } else { "\n" };
    let parts = [
        "<", kind, "-", &mark, ">\n", text, line_end, "</", kind, "-", &mark, ">",
    ];
    parts.concat()
}

/// How many hexadecimal digits a mark has: 64 bits, more than anybody can search through for a text that
/// contains the mark of its own hash.
const DIGITS: usize = 16;

/// Hexadecimal digits that do not occur in the text, in small or capital letters: a model may not tell them
/// apart.
///
/// Whoever writes the text can't choose them: they would have to find a text that contains a part of
/// its own hash. Should chance do it, the next candidate is taken.
fn mark(kind: &str, text: &str) -> String {
    for attempt in 0_u32.. {
        let mut hash = Sha256::new();
        hash.update(attempt.to_be_bytes());
        hash.update(kind.as_bytes());
        hash.update([0]);
        hash.update(text.as_bytes());
        let mark = crate::text::hex(&hash.finalize()[..DIGITS / 2]);
        if !contains_mark(text.as_bytes(), mark.as_bytes()) {
            return mark;
        }
    }
    // 2^32 candidates can't all stand in a text that fits in memory.
    String::new()
}

/// Whether the text contains the mark, in small or capital letters. Looks at about one byte in ten of
/// common text: where a byte is no hexadecimal digit, the mark begins behind it or not at all.
fn contains_mark(text: &[u8], mark: &[u8]) -> bool {
    let mut at = 0;
    while let Some(window) = text.get(at..at + mark.len()) {
        match window.iter().rposition(|byte| !byte.is_ascii_hexdigit()) {
            Some(other) => at += other + 1,
            None if window.eq_ignore_ascii_case(mark) => return true,
            None => at += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_article_can_not_end_its_delimiter(text in "(?s).*") {
            let delimited = delimited("article", &text);
            let (open, rest) = delimited.split_once('\n').unwrap();
            let close = open.replacen('<', "</", 1);
            prop_assert_eq!(delimited.matches(open).count(), 1);
            prop_assert_eq!(delimited.matches(&close).count(), 1);
            prop_assert!(rest.ends_with(&close));
        }

        #[test]
        fn a_text_that_contains_its_own_delimiter_gets_another_one(text in "[a-z ]{0,40}", kind in "[a-z]{1,8}") {
            let hostile = format!("{text}{}", delimited(&kind, &text));
            let inner = mark(&kind, &text);
            let outer = mark(&kind, &hostile);
            prop_assert_eq!(outer.len(), DIGITS);
            prop_assert_ne!(&inner, &outer);
            prop_assert!(!hostile.contains(&outer));
        }

        #[test]
        fn a_mark_is_found_wherever_it_stands_and_however_it_is_written(
            before in "[0-9a-fA-F한 ]{0,40}", after in "[0-9a-fA-F한 ]{0,40}", mark in "[0-9a-f]{16}", capital in any::<bool>(),
        ) {
            let written = if capital { mark.to_ascii_uppercase() } else { mark.clone() };
            let found = |text: &str| contains_mark(text.as_bytes(), mark.as_bytes());
            let text = format!("{before}{written}{after}");
            prop_assert!(found(&text));
            prop_assert_eq!(found(&before), before.to_ascii_lowercase().contains(&mark));
            prop_assert!(!found(&written[1..]));
        }

        #[test]
        fn the_text_is_kept_to_the_character(text in "(?s).*") {
            prop_assert!(delimited("article", &text).contains(&text));
        }
    }
}
