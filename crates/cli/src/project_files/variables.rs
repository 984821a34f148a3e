//! Where in a prompt its variables, the names that it uses, and its mistakes stand. What is a mistake is the domain's
//! to say.

use bedrock_diy_core::{Failure, PromptId, render::Template};
use minijinja::Environment;

use super::fault::Place;

/// A card that a template may ask about, and whether its output is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Neighbour {
    pub(super) prompt_id: PromptId,
    pub(super) standing: Standing,
}

/// How a card stands to the one whose template is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It runs before.
    Before,
    /// It would, but is inactive.
    Inactive,
    /// It is the card itself.
    Itself,
    /// It runs after.
    After,
}

/// Everything that is wrong with a template's grammar, its variables and the names that it uses, with its places in
/// the template.
pub(super) fn faults(content: &str, cards: &[Neighbour]) -> Vec<(Option<Place>, String)> {
    let template = match Template::parse(content) {
        Ok(template) => template,
        Err(failure) => return vec![grammar(content, &failure)],
    };
    let all: Vec<_> = cards.iter().map(|card| card.prompt_id.clone()).collect();
    let before: Vec<_> = cards
        .iter()
        .filter(|card| card.standing == Standing::Before)
        .map(|card| card.prompt_id.clone())
        .collect();
    let variables = match template.variables() {
        Ok(variables) => variables,
        Err(failure) => return vec![grammar(content, &failure)],
    };
    let mut found: Vec<_> = variables
        .into_iter()
        .filter_map(|path| {
            // Each variable is put to the domain alone: the template as a whole is refused for its first.
            let alone = Template::parse(&format!("{{{{ {path} }}}}")).ok()?;
            alone.check(&before).err()?;
            let message = match alone.check(&all) {
                Err(failure) => failure.detail,
                Ok(()) => not_there(&path, cards),
            };
            Some((place_of(content, &path), message))
        })
        .collect();
    let unknown = template.unknown_names().iter();
    found.extend(unknown.map(|name| {
        let place = Place::of_byte(content, name.at);
        (Some(place), format!("the template {}", name.what))
    }));
    match template.check(&before) {
        Err(failure) if found.is_empty() => vec![(None, failure.detail)],
        _ => found,
    }
}

/// The output of a card that is there, but not for this one.
fn not_there(path: &str, cards: &[Neighbour]) -> String {
    let name = path.split('.').nth(1).unwrap_or_default();
    let is_meant = |card: &&Neighbour| card.prompt_id.as_str().replace('-', "_") == name;
    let why = cards.iter().find(is_meant).map(|card| {
        let id = &card.prompt_id;
        match card.standing {
            Standing::Itself => ": it is this card's own output".to_owned(),
            Standing::Inactive => {
                format!(": the card `{id}` is inactive, make it active or don't use it here")
            }
            Standing::After | Standing::Before => {
                format!(
                    ": the card `{id}` runs after it, give this card a higher number or don't use it here"
                )
            }
        }
    });
    format!(
        "the template uses `{path}`, which is not there for this card{}",
        why.unwrap_or_default()
    )
}

/// What is wrong with the grammar: the domain's words, and the template engine's place.
fn grammar(content: &str, failure: &Failure) -> (Option<Place>, String) {
    let environment = Environment::empty();
    let error = environment.template_from_str(content).err();
    let place = error.and_then(|error| {
        let line = error.line()?;
        Some(
            error
                .range()
                .map(|range| Place::of_byte(content, range.start))
                .filter(|place| place.line == line)
                .unwrap_or(Place::line(line)),
        )
    });
    // The domain counts lines from the template's first; the place counts them from the file's.
    let what = failure
        .detail
        .strip_prefix("line ")
        .and_then(|rest| rest.split_once(" of the template: "))
        .map_or(failure.detail.as_str(), |(_, what)| what);
    (place, format!("the template is not understood: {what}"))
}

/// Where a path, or at least its beginning, first stands in a tag.
fn place_of(content: &str, path: &str) -> Option<Place> {
    let mut sought = path;
    loop {
        let found = tags(content).find_map(|(start, tag)| {
            tag.match_indices(sought)
                .find(|(at, _)| is_word(tag, *at, sought.len()))
                .map(|(at, _)| start + at)
        });
        if let Some(byte) = found {
            return Some(Place::of_byte(content, byte));
        }
        sought = sought.rsplit_once('.')?.0;
    }
}

/// Whether this part of a tag is a variable of its own: no part of a longer name, no field of another, no text.
fn is_word(tag: &str, at: usize, len: usize) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    let before = tag[..at].chars().next_back();
    let after = tag[at + len..].chars().next();
    !before.is_some_and(|c| part_of_name(c) || matches!(c, '.' | '"' | '\''))
        && !after.is_some_and(part_of_name)
}

/// The insides of `{{ … }}` and `{% … %}`, each with the byte at which it begins.
fn tags(content: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let open = at + content[at..].find('{')?;
            let close = match content.as_bytes().get(open + 1) {
                Some(b'{') => "}}",
                Some(b'%') => "%}",
                Some(b'#') => "#}",
                _ => {
                    at = open + 1;
                    continue;
                }
            };
            let start = open + 2;
            let end = content[start..]
                .find(close)
                .map_or(content.len(), |end| start + end);
            at = (end + close.len()).min(content.len());
            if close != "#}" {
                return Some((start, &content[start..end]));
            }
        }
    })
}

#[cfg(test)]
#[expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    fn cards() -> Vec<Neighbour> {
        [
            ("facts", Standing::Before),
            ("key-quotes", Standing::Inactive),
            ("headline", Standing::Itself),
            ("social", Standing::After),
        ]
        .map(|(id, standing)| Neighbour {
            prompt_id: PromptId::new(id).unwrap(),
            standing,
        })
        .into()
    }

    fn said(content: &str) -> String {
        faults(content, &cards())
            .into_iter()
            .map(|(place, message)| {
                let (line, column) = place.map_or((0, None), |place| (place.line, place.column));
                [
                    format!("{line}:{}: {message}", column.unwrap_or_default()),
                    "\n".into(),
                ]
                .concat()
            })
            .collect()
    }

    #[test]
    fn every_unknown_variable_is_named_in_its_place() {
        expect![[r#"
            1:26: the template uses `artcle`, which does not exist: there are `article`, `previous`, `stages.<name>.output` and `meta.*`
            4:63: the template uses `article.title`, which does not exist: it is a text without fields; title, language and the like are in `meta`
            4:16: the template uses `stages.fakts.output`, which does not exist: the cards of this project are facts, key_quotes, headline, social
            3:33: the template uses `titel`, which does not exist: there are `article`, `previous`, `stages.<name>.output` and `meta.*`
        "#]].assert_eq(&said(
            "{# artcle #} Artcle é {{ artcle }}\n\n{% if meta.title %}{{ 'titel' ~ titel }}{% endif %}\n\
             {% for fact in stages.fakts.output %}{{ fact }}{% endfor %}{{ article.title }}",
        ));
    }

    #[test]
    fn an_output_that_is_not_there_yet_is_told_from_one_that_does_not_exist() {
        expect![[r#"
            6:4: the template uses `stages.facts.text`, which does not exist: a stage has `stages.facts.output` and nothing else
            3:4: the template uses `stages.headline.output`, which is not there for this card: it is this card's own output
            2:4: the template uses `stages.key_quotes.output`, which is not there for this card: the card `key-quotes` is inactive, make it active or don't use it here
            4:4: the template uses `stages.social.output`, which is not there for this card: the card `social` runs after it, give this card a higher number or don't use it here
            5:4: the template uses `stages.x.output`, which does not exist: the cards of this project are facts, key_quotes, headline, social
        "#]].assert_eq(&said(
            "{{ stages.facts.output }}\n{{ stages.key_quotes.output }}\n{{ stages.headline.output }}\n\
             {{ stages.social.output }}\n{{ stages.x.output }}\n{{ stages.facts.text }}",
        ));
    }

    #[test]
    fn bad_grammar_is_named_in_its_place() {
        let all = [
            "one\ntwo {% if %}",
            "{{ article",
            "{% endfor %}",
            "a\n\n{{ article | shout }}",
        ]
        .map(said)
        .concat();
        expect![[r#"
            2:11: the template is not understood: unexpected end of block
            1:4: the template is not understood: unexpected end of input, expected end of variable block
            1:4: the template is not understood: unknown statement endfor
            3:14: the template uses the filter `shout`, which does not exist: there are abs, attr, batch, bool, capitalize, chain, default, dictsort, escape, first, float, format, groupby, indent, int, items, join, last, length, lines, list, lower, map, max, min, pprint, reject, rejectattr, replace, reverse, round, safe, select, selectattr, slice, sort, split, string, sum, title, tojson, trim, unique, upper, zip
        "#]]
        .assert_eq(&all);
    }

    #[test]
    fn a_name_that_does_not_exist_is_named_in_its_place() {
        expect![[r#"
            4:52: the template uses `artcle`, which does not exist: there are `article`, `previous`, `stages.<name>.output` and `meta.*`
            1:12: the template uses the function `shout`, which does not exist: there are debug, dict, namespace, range
            3:5: the template uses the filter `shout`, which does not exist: there are abs, attr, batch, bool, capitalize, chain, default, dictsort, escape, first, float, format, groupby, indent, int, items, join, last, length, lines, list, lower, map, max, min, pprint, reject, rejectattr, replace, reverse, round, safe, select, selectattr, slice, sort, split, string, sum, title, tojson, trim, unique, upper, zip
            4:40: the template uses the test `titled`, which does not exist: there are boolean, defined, divisibleby, endingwith, eq, equalto, escaped, even, false, filter, float, ge, greaterthan, gt, in, int, integer, iterable, le, lessthan, lower, lt, mapping, ne, none, number, odd, safe, sameas, sequence, startingwith, string, test, true, undefined, upper
            4:15: the template calls the method `strip`, and nothing has methods here: use a filter (`… | replace('a', 'b')`)
        "#]].assert_eq(&said(
            "{% set n = shout(1) %}\né {% if false %}{{ article | upper\n  | shout }}{% endif %}\n\
             {{ meta.title.strip() if meta.title is titled }}{{ artcle[:9] }}",
        ));
    }

    #[test]
    fn what_a_template_sets_itself_is_no_fault() {
        assert_eq!(
            said(
                "{% set n = 3 %}{% for i in range(n) %}{{ loop.index }}{{ i }}{{ meta.x }}{% endfor %}{{ article }}"
            ),
            ""
        );
    }

    proptest! {
        #[test]
        fn any_template_is_answered(content in "(?s)(\\{\\{|\\}\\}|\\{%|%\\}|[a-z.' é\n]){0,30}") {
            let _ = faults(&content, &cards());
        }
    }
}
