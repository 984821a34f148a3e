//! Formulas: cells of a CSV file that a spreadsheet would run, and an article may try just that.

use std::borrow::Cow;

/// The cell, with an apostrophe in front where a spreadsheet may take it for a formula: so it is text.
///
/// By OWASP's page on CSV injection, a cell is dangerous that begins with `=`, `+`, `-`, `@`, their full-width
/// forms, a tab, a carriage return or a line feed; by its ASVS (1.2.10) with a NUL, too. Spreadsheets drop
/// white space in front, so what comes first after that counts as well.
pub(crate) fn neutral(cell: &str) -> Cow<'_, str> {
    let seen = cell.trim_start_matches(is_dropped);
    if cell.starts_with(char::is_control) || seen.starts_with(begins_a_formula) {
        format!("'{cell}").into()
    } else {
        cell.into()
    }
}

/// The signs themselves, and what a spreadsheet may make them of (the characters whose compatibility form
/// they are, as wide keyboards type them).
fn begins_a_formula(c: char) -> bool {
    matches!(
        c,
        '=' | '+' | '-' | '@' // ASCII
            | '＝' | '＋' | '－' | '＠' // full width
            | '﹦' | '﹢' | '﹣' | '﹫' // small
    )
}

/// White space, control characters, and what has no width: byte order marks, joiners, directions.
fn is_dropped(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_spreadsheet_would_run_becomes_text() {
        for cell in [
            "=HYPERLINK(\"x\")",
            "+1",
            "-1+1|cmd",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\n=1",
            "\0=1",
            "\ttext",
            "  =1",
            "\u{3000}=1",
            "\u{feff}=1",
            "\u{200b}\u{202e}=1",
            "＝1",
            "＋1",
            "－1",
            "＠SUM(A1)",
            "﹦1",
        ] {
            assert_eq!(neutral(cell), format!("'{cell}"));
        }
    }

    #[test]
    fn what_is_no_formula_stays_as_it_is() {
        for cell in [
            "",
            "a=b",
            "기사 한 편",
            "文章。",
            " text",
            "{\"a\": -1}",
            "'=1",
            "1-2",
            "—",
            "· a",
        ] {
            assert_eq!(neutral(cell), cell);
        }
    }

    proptest! {
        #[test]
        fn no_cell_begins_like_a_formula_and_none_loses_anything(
            cell in "[ \t\r\n\u{0}\u{feff}\u{3000}a=+@＝＋－＠-]{0,6}.*"
        ) {
            let neutral = neutral(&cell);
            let first = neutral.chars().find(|c| !c.is_whitespace() && *c != '\u{feff}');
            let is_formula = matches!(first, Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠'));
            prop_assert!(!is_formula, "{neutral:?}");
            prop_assert!(!neutral.starts_with(['\t', '\r', '\n', '\0']));
            prop_assert!(neutral == cell || neutral.strip_prefix('\'') == Some(&cell));
        }
    }
}
