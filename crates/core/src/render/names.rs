//! Filters, tests, functions and methods that a template calls: which of them there are.

use std::collections::BTreeSet;

use minijinja::{Environment, Value};

use super::{
    OUTSIDE,
    uses::{self, Called, Kind, Uses},
};

/// A filter, test, function or method that a template calls, and that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownName {
    /// The byte of the template at which its name stands.
    pub at: usize,
    /// The line, counted from 1.
    pub line: usize,
    /// What it is, and what there is, to go on after "the template".
    pub what: String,
}

/// The filters that there are, without their second names.
const FILTERS: [&str; 45] = [
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "default",
    "dictsort",
    "escape",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "zip",
];

/// The tests that there are, without those that are signs.
const TESTS: [&str; 36] = [
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "escaped",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "int",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "safe",
    "sameas",
    "sequence",
    "startingwith",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
];

/// What a template calls, and what does not exist.
pub(super) fn unknown(content: &str, environment: &Environment<'_>, uses: &Uses) -> Vec<UnknownName> {
    let line_ends: Vec<_> = content.match_indices('\n').map(|(at, _)| at).collect();
    let mut looked_at = BTreeSet::new();
    uses.called
        .iter()
        // Each is named once, where it is called first.
        .filter(|called| looked_at.insert((&called.kind, &called.name)))
        .filter_map(|called| {
            let what = what_is_unknown(called, environment, uses)?;
            Some(UnknownName {
                at: called.at,
                line: 1 + line_ends.partition_point(|end| *end < called.at),
                what,
            })
        })
        .collect()
}

/// What is wrong with what is called, if anything is.
fn what_is_unknown(called: &Called, environment: &Environment<'_>, uses: &Uses) -> Option<String> {
    let name = &called.name;
    // The engine's own tests ask it for names: it tells in no other way which it has.
    let there_is = |kind: &str, name: &str| {
        let asked = environment.empty_state().perform_test(kind, &[Value::from(name)]);
        asked.unwrap_or(false)
    };
    let no_such = |kind: &str, known: &[&str]| {
        format!(
            "uses the {kind} `{name}`, which does not exist: there are {}",
            known.join(", ")
        )
    };
    let no_method = || {
        let instead = if there_is("filter", name) {
            format!("the filter of that name (`… | {name}`)")
        } else {
            "a filter (`… | replace('a', 'b')`)".to_owned()
        };
        Some(format!(
            "calls the method `{name}`, and nothing has methods here: use {instead}"
        ))
    };
    match &called.kind {
        Kind::Filter => (!there_is("filter", name)).then(|| no_such("filter", &FILTERS)),
        Kind::Test => (!there_is("test", name)).then(|| no_such("test", &TESTS)),
        Kind::Function => {
            let known: Vec<_> = environment.globals().map(|(name, _)| name).collect();
            (!known.contains(&name.as_str()) && !uses.own.contains(name)).then(|| no_such("function", &known))
        }
        // Of a variable that does not exist, that is said; what a template makes itself may hold what can be called.
        Kind::MethodOf(path)
            if !OUTSIDE.contains(&uses::root(path)) || uses.own.contains(uses::root(path)) =>
        {
            None
        }
        Kind::MethodOf(_) | Kind::MethodOfConstant => no_method(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_that_a_refusal_lists_are_those_that_the_engine_has() {
        let engine = format!("{:?}", Environment::new());
        for (kind, listed, second) in [
            ("filters", FILTERS.as_slice(), ["count", "d", "e"].as_slice()),
            ("tests", TESTS.as_slice(), &[]),
        ] {
            let (_, names) = engine.split_once(&format!("{kind}: [")).unwrap();
            let (names, _) = names.split_once(']').unwrap();
            let has: Vec<_> = names
                .split(", ")
                .map(|name| name.trim_matches('"'))
                .filter(|name| !second.contains(name) && name.starts_with(char::is_alphabetic))
                .collect();
            assert_eq!(listed, has);
        }
    }
}
