//! What the name of a file in `cards/` says.

use bedrock_diy_core::{PromptId, ids::slug_of};
use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

/// A card's file name: `10-facts.md`. Cards run in the order of these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CardName {
    pub(super) step_order: u32,
    pub(super) prompt_id: PromptId,
}

/// What a file in `cards/` is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    Card(CardName),
    /// A card, but its name says no place or no id.
    Misnamed {
        /// What is wrong and what to do.
        message: String,
        /// What it may have been meant to say.
        likely: Option<CardName>,
    },
    /// Nothing of a project's; what to do.
    Stray(String),
    /// A schema, a note, something hidden: left alone.
    Other,
}

impl Entry {
    /// What the name says; of a name that is not UTF-8, give what can be shown.
    pub(super) fn of(name: &str) -> Self {
        if name.starts_with('.') || name.ends_with('~') || name.eq_ignore_ascii_case("README.md") {
            return Self::Other;
        }
        match name.rsplit_once('.') {
            Some((stem, "md")) => match CardName::of(stem) {
                Ok(card) => Self::Card(card),
                Err(message) => Self::Misnamed {
                    message,
                    likely: CardName::likely(stem),
                },
            },
            Some((_, "json")) => Self::Other,
            Some((stem, _)) => Self::Stray(stray(stem)),
            None => Self::Stray(stray(name)),
        }
    }
}

impl CardName {
    fn of(stem: &str) -> Result<Self, String> {
        let (number, rest) = parted(stem);
        let Some(id) = rest.strip_prefix('-').filter(|_| !number.is_empty()) else {
            return Err(format!(
                "a card's file is named NUMBER-NAME.md, its number says when it runs: rename it, to `{}` for example",
                suggested(stem)
            ));
        };
        let step_order = number.parse().map_err(|_| {
            format!(
                "the number in front of the name is too large: write one up to {}",
                u32::MAX
            )
        })?;
        let prompt_id = PromptId::new(id).map_err(|failure| {
            let advice = suggested(stem);
            match offending(id) {
                Some(what) => format!(
                    "the name holds {what}, a prompt id takes lower-case letters a to z, digits and inner hyphens: \
                     rename the file, to `{advice}` for example"
                ),
                None => format!("{}: rename the file, to `{advice}` for example", failure.detail),
            }
        })?;
        Ok(Self {
            step_order,
            prompt_id,
        })
    }

    fn likely(stem: &str) -> Option<Self> {
        Self::of(suggested(stem).strip_suffix(".md")?).ok()
    }
}

/// The title that a card gets whose file says none: `social-post` becomes `Social post`.
pub(super) fn title_of(prompt_id: &str) -> String {
    let words = prompt_id.replace('-', " ");
    let mut letters = words.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

fn stray(stem: &str) -> String {
    format!(
        "this is no card: name it `{}` if it is meant as one, else move it out of `cards`",
        suggested(stem)
    )
}

/// A file name that would do.
fn suggested(stem: &str) -> String {
    let (number, rest) = parted(stem);
    let number = number.parse::<u32>().ok().filter(|number| *number > 0);
    // An é may be one character or, from some file systems, an e and an accent: its letter is what counts.
    let letters: String = rest.nfd().filter(|c| !is_combining_mark(*c)).collect();
    let slug = slug_of(&letters);
    let name = if slug.is_empty() { "summary" } else { &slug };
    format!("{}-{name}.md", number.unwrap_or(10))
}

/// The digits that a name begins with, and the rest.
fn parted(stem: &str) -> (&str, &str) {
    let digits = stem.bytes().take_while(u8::is_ascii_digit).count();
    stem.split_at(digits)
}

/// The first character that an id can't have, named so that an invisible one is found too.
fn offending(id: &str) -> Option<String> {
    let c = id
        .nfc()
        .find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-'))?;
    let code = u32::from(c);
    Some(if c.is_alphanumeric() || c.is_ascii_punctuation() {
        format!("`{c}`")
    } else if c == ' ' {
        "a space".into()
    } else {
        format!("the character U+{code:04X}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    #[test]
    fn a_number_and_an_id_make_a_card() {
        for (name, step_order, prompt_id) in [
            ("10-facts.md", 10, "facts"),
            ("007-social-post.md", 7, "social-post"),
            ("1-2.md", 1, "2"),
        ] {
            let Entry::Card(card) = Entry::of(name) else {
                panic!("{name} is a card")
            };
            assert_eq!(
                (card.step_order, card.prompt_id.as_str()),
                (step_order, prompt_id)
            );
        }
        assert_eq!(title_of("social-post"), "Social post");
    }

    #[test]
    fn what_is_no_card_is_left_alone_or_named() {
        for name in [
            ".gitkeep",
            ".10-facts.md.swp",
            "10-facts.md~",
            "ReadMe.md",
            "facts.json",
        ] {
            assert_eq!(Entry::of(name), Entry::Other, "{name}");
        }
        let said: String = [
            "facts.md",
            "10_facts.md",
            "10.md",
            "-facts.md",
            "10-Facts.md",
            "10-my facts.md",
            "10-re\u{301}sume\u{301}.md",
            "10-r\u{e9}sum\u{e9}.md",
            "10-요약.md",
            "10-a\u{200b}b.md",
            "10-facts-.md",
            "99999999999-facts.md",
            "10-facts.txt",
            "10-facts.MD",
            "notes",
        ]
        .map(|name| match Entry::of(name) {
            Entry::Misnamed { message, .. } | Entry::Stray(message) => format!("{name:?}: {message}\n"),
            entry => panic!("{name} is {entry:?}"),
        })
        .concat();
        expect![[r#"
            "facts.md": a card's file is named NUMBER-NAME.md, its number says when it runs: rename it, to `10-facts.md` for example
            "10_facts.md": a card's file is named NUMBER-NAME.md, its number says when it runs: rename it, to `10-facts.md` for example
            "10.md": a card's file is named NUMBER-NAME.md, its number says when it runs: rename it, to `10-summary.md` for example
            "-facts.md": a card's file is named NUMBER-NAME.md, its number says when it runs: rename it, to `10-facts.md` for example
            "10-Facts.md": the name holds `F`, a prompt id takes lower-case letters a to z, digits and inner hyphens: rename the file, to `10-facts.md` for example
            "10-my facts.md": the name holds a space, a prompt id takes lower-case letters a to z, digits and inner hyphens: rename the file, to `10-my-facts.md` for example
            "10-re\u{301}sume\u{301}.md": the name holds `é`, a prompt id takes lower-case letters a to z, digits and inner hyphens: rename the file, to `10-resume.md` for example
            "10-résumé.md": the name holds `é`, a prompt id takes lower-case letters a to z, digits and inner hyphens: rename the file, to `10-resume.md` for example
            "10-요약.md": the name holds `요`, a prompt id takes lower-case letters a to z, digits and inner hyphens: rename the file, to `10-summary.md` for example
            "10-a\u{200b}b.md": the name holds the character U+200B, a prompt id takes lower-case letters a to z, digits and inner hyphens: rename the file, to `10-a-b.md` for example
            "10-facts-.md": "facts-" can't be a prompt id: it must be 1 to 64 lower-case letters, digits and inner hyphens: rename the file, to `10-facts.md` for example
            "99999999999-facts.md": the number in front of the name is too large: write one up to 4294967295
            "10-facts.txt": this is no card: name it `10-facts.md` if it is meant as one, else move it out of `cards`
            "10-facts.MD": this is no card: name it `10-facts.md` if it is meant as one, else move it out of `cards`
            "notes": this is no card: name it `10-notes.md` if it is meant as one, else move it out of `cards`
        "#]].assert_eq(&said);
    }

    proptest! {
        #[test]
        fn any_name_is_answered_and_what_is_suggested_is_a_card(name in "(?s).{0,20}") {
            let _ = Entry::of(&name);
            let suggestion = suggested(&name);
            prop_assert!(matches!(Entry::of(&suggestion), Entry::Card(_)), "{suggestion}");
        }
    }
}
