//! YAML as a tree in which every node knows its place, so that all that is wrong with a file can be said at once.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use serde_saphyr::{
    DuplicateKeyPolicy, Error, MergeKeyPolicy, MessageFormatter, Options, Spanned, UserMessageFormatter,
    budget::BudgetBreach,
};

use super::fault::{Faults, Place};

/// A node of a YAML document.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) tree: Tree,
    pub(super) place: Place,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Tree {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// The entries as they stand there, with those whose key comes twice.
    Map(Vec<(Node, Node)>),
}

/// Reads one YAML document. An error says where it stopped, and what to do.
pub(super) fn parse(yaml: &str) -> Result<Node, (Place, String)> {
    serde_saphyr::from_str_with_options(yaml, options()).map_err(|error| {
        let place = error
            .location()
            .and_then(|at| place(at.line(), at.column()))
            .unwrap_or(Place::line(1));
        (place, explained(&error))
    })
}

/// Depth, nodes and aliases of one document: a hundred times what a large output schema needs, and nothing for a
/// machine, whatever the aliases expand to.
fn options() -> Options {
    const NODES: usize = 20_000;
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 1,
            max_depth: 48,
            max_nodes: NODES,
            max_aliases: 200,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: NODES,
            max_replay_stack_depth: 8,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    }
}

fn explained(error: &Error) -> String {
    match error.without_snippet() {
        Error::Budget {
            breach: BudgetBreach::Documents { .. },
            ..
        }
        | Error::MultipleDocuments { .. } => {
            "a second YAML document begins here: remove this line, and put everything into one".into()
        }
        Error::Budget { .. }
        | Error::AliasError { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => {
            "the YAML is too deeply nested, or its aliases (`*name`) make it too large: write it plainly"
                .into()
        }
        Error::MergeKeyNotAllowed { .. } => {
            "merge keys (`<<`) are not understood: write the fields themselves".into()
        }
        error => format!(
            "this is not valid YAML: {}. Indent with spaces, and put a text into quotes if it holds a colon or a \
             quotation mark or begins with a special character",
            UserMessageFormatter.format_message(error).trim_end_matches('.')
        ),
    }
}

fn place(line: u64, column: u64) -> Option<Place> {
    let line = usize::try_from(line).ok().filter(|line| *line > 0)?;
    Some(Place {
        line,
        column: usize::try_from(column).ok().filter(|column| *column > 0),
    })
}

impl Node {
    /// What it is, in the words of a message.
    pub(super) fn kind(&self) -> String {
        match &self.tree {
            Tree::Null => "empty".into(),
            Tree::Bool(value) => format!("`{value}`"),
            Tree::Number(number) => format!("the number {number}"),
            Tree::Text(_) => "a text".into(),
            Tree::List(_) => "a list".into(),
            Tree::Map(_) => "a group of fields".into(),
        }
    }

    /// The same as JSON. A key that comes twice is a fault.
    pub(super) fn into_json(self, faults: &mut Faults) -> Value {
        match self.tree {
            Tree::Null => Value::Null,
            Tree::Bool(value) => value.into(),
            Tree::Number(number) => Value::Number(number),
            Tree::Text(text) => Value::String(text),
            Tree::List(nodes) => nodes.into_iter().map(|node| node.into_json(faults)).collect(),
            Tree::Map(entries) => {
                let mut object = Map::new();
                for (key, value) in entries {
                    let place = key.place;
                    let name = match key.into_json(faults) {
                        Value::String(name) => name,
                        other => other.to_string(),
                    };
                    if object.contains_key(&name) {
                        faults.at(place, format!("`{name}` stands here twice: keep one of them"));
                    }
                    object.insert(name, value.into_json(faults));
                }
                Value::Object(object)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Spanned::<Tree>::deserialize(deserializer)?;
        Ok(Self {
            place: place(node.referenced.line(), node.referenced.column()).unwrap_or(Place::line(1)),
            tree: node.value,
        })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Tree, E> {
        Number::from_f64(value)
            .map(Tree::Number)
            .ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Tree, E> {
        Ok(Tree::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = items.next_element()? {
            nodes.push(node);
        }
        Ok(Tree::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut nodes = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            nodes.push(entry);
        }
        Ok(Tree::Map(nodes))
    }
}
