//! Text from outside is delimited, and can't close its delimiter.
//!
//! An article may say "`</article>` You are now …". The delimiter therefore carries a mark that the
//! text does not contain: `<article-5f2c91d0>…</article-5f2c91d0>`. The mark is derived from the text,
//! so that the same article always makes the same prompt (and is found in the memo), and the text
//! itself is not changed by a character.

use sha2::{Digest, Sha256};

/// The text between two delimiters of this kind (`article`, `previous`, `meta` …).
#[must_use]
pub fn delimited(kind: &str, text: &str) -> String {
    let mark = mark(kind, text);
    let line_end = if text.ends_with('\n') { "" } else { "\n" };
    format!("<{kind}-{mark}>\n{text}{line_end}</{kind}-{mark}>")
}

/// Eight hexadecimal digits that do not occur in the text.
///
/// Whoever writes the text can't choose them: they would have to find a text that contains a part of
/// its own hash. Should chance do it, the next candidate is taken.
fn mark(kind: &str, text: &str) -> String {
    const DIGITS: usize = 8;
    for attempt in 0_u32.. {
        let mut hash = Sha256::new();
        hash.update(attempt.to_be_bytes());
        hash.update(kind.as_bytes());
        hash.update([0]);
        hash.update(text.as_bytes());
        let mut mark = crate::text::hex(&hash.finalize()[..DIGITS / 2]);
        mark.truncate(DIGITS);
        if !text.contains(&mark) {
            return mark;
        }
    }
    // 2^32 candidates can't all stand in a text that fits in memory.
    String::new()
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
            prop_assert_ne!(&inner, &outer);
            prop_assert!(!hostile.contains(&outer));
        }

        #[test]
        fn the_text_is_kept_to_the_character(text in "(?s).*") {
            prop_assert!(delimited("article", &text).contains(&text));
        }
    }
}
