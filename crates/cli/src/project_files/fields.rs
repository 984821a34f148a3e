//! The fields of a YAML document, taken one by one; what is unknown, double or of the wrong type is a fault.

use super::{
    fault::{Faults, Located, Place},
    suggestion::closest,
    yaml::{Node, Tree},
};

/// What a document may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schema {
    /// Every field by its path (`parameters.maxTokens`).
    pub(super) paths: &'static [&'static str],
    /// Fields that people look for here in vain, each with what to do.
    pub(super) elsewhere: &'static [(&'static str, &'static str)],
}

/// A group of fields: the document's own, or those below one of them.
#[derive(Debug)]
pub(super) struct Fields {
    prefix: String,
    schema: Schema,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    place: Place,
    node: Node,
}

impl Fields {
    /// The fields of a document.
    pub(super) fn of(document: Node, schema: Schema, faults: &mut Faults) -> Self {
        Self::below(String::new(), document, schema, faults)
    }

    /// No fields.
    pub(super) fn none(schema: Schema) -> Self {
        Self {
            prefix: String::new(),
            schema,
            entries: Vec::new(),
        }
    }

    /// The fields below this one; none where it is missing or empty.
    pub(super) fn group(&mut self, name: &str, faults: &mut Faults) -> Self {
        let prefix = format!("{}{name}.", self.prefix);
        match self.take(name) {
            Some(entry) => Self::below(prefix, entry.node, self.schema, faults),
            None => Self {
                prefix,
                ..Self::none(self.schema)
            },
        }
    }

    /// A text. A whole number is taken as one: `version: 1`, `title: 2026`.
    pub(super) fn text(&mut self, name: &str, faults: &mut Faults) -> Option<Located<String>> {
        self.value(name, "write a text, in quotes if need be", faults, as_text)
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, name: &str, faults: &mut Faults) -> Option<Located<Vec<String>>> {
        let path = self.path(name);
        let node = self.node(name)?;
        let Tree::List(items) = node.tree else {
            faults.at(
                node.place,
                format!("`{path}` is {}: write a list, such as [one, two]", node.kind()),
            );
            return None;
        };
        let mut texts = Vec::new();
        for item in items {
            match as_text(&item.tree) {
                Some(text) => texts.push(text),
                None => faults.at(
                    item.place,
                    format!(
                        "one of `{path}` is {}: write a text, in quotes if need be",
                        item.kind()
                    ),
                ),
            }
        }
        Some(Located {
            value: texts,
            place: node.place,
        })
    }

    /// A whole number from 0 up.
    pub(super) fn whole<T: TryFrom<u64>>(&mut self, name: &str, faults: &mut Faults) -> Option<Located<T>> {
        self.value(name, "write a whole number", faults, |tree| match tree {
            Tree::Number(number) => T::try_from(number.as_u64()?).ok(),
            _ => None,
        })
    }

    /// A number.
    pub(super) fn number(&mut self, name: &str, faults: &mut Faults) -> Option<Located<f64>> {
        self.value(name, "write a number, such as 0.5", faults, |tree| match tree {
            Tree::Number(number) => number.as_f64(),
            _ => None,
        })
    }

    /// A truth value.
    pub(super) fn truth(&mut self, name: &str, faults: &mut Faults) -> Option<Located<bool>> {
        self.value(name, "write true or false", faults, |tree| match tree {
            Tree::Bool(value) => Some(*value),
            _ => None,
        })
    }

    /// One of these words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &str,
        choices: &[(&'static str, T)],
        faults: &mut Faults,
    ) -> Option<Located<T>> {
        let said = self.text(name, faults)?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == said.value) {
            return Some(Located {
                value: *value,
                place: said.place,
            });
        }
        let words = choices.iter().map(|(word, _)| *word);
        let advice = match closest(&said.value, words.clone()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!(
                "write {}",
                words
                    .map(|word| format!("`{word}`"))
                    .collect::<Vec<_>>()
                    .join(" or ")
            ),
        };
        faults.at(
            said.place,
            format!(
                "`{}` can't be {:?}: {advice}",
                self.path(name),
                shortened(&said.value)
            ),
        );
        None
    }

    /// Whatever stands there.
    pub(super) fn node(&mut self, name: &str) -> Option<Node> {
        self.take(name)
            .map(|entry| entry.node)
            .filter(|node| !matches!(node.tree, Tree::Null))
    }

    fn below(prefix: String, node: Node, schema: Schema, faults: &mut Faults) -> Self {
        let mut fields = Self {
            prefix,
            ..Self::none(schema)
        };
        match node.tree {
            Tree::Null => {}
            Tree::Map(entries) => {
                for (key, value) in entries {
                    fields.add(&key, value, faults);
                }
            }
            _ if fields.prefix.is_empty() => faults.at(
                node.place,
                format!("{} stands here: write fields, such as `name: value`", node.kind()),
            ),
            _ => faults.at(
                node.place,
                format!(
                    "`{}` is {}: write its fields below it, indented by two spaces",
                    fields.prefix.trim_end_matches('.'),
                    node.kind()
                ),
            ),
        }
        fields
    }

    fn add(&mut self, key: &Node, node: Node, faults: &mut Faults) {
        let Some(name) = as_text(&key.tree) else {
            faults.at(
                key.place,
                format!("a field's name must be a word, this is {}", key.kind()),
            );
            return;
        };
        let path = self.path(&name);
        if !self.schema.paths.contains(&path.as_str()) {
            faults.at(key.place, self.unknown(&name));
        } else if let Some(first) = self.entries.iter().find(|entry| entry.name == name) {
            faults.at(
                key.place,
                format!(
                    "`{path}` stands here twice, first in line {}: keep one of them",
                    first.place.line
                ),
            );
        } else {
            self.entries.push(Entry {
                name,
                place: key.place,
                node,
            });
        }
    }

    fn unknown(&self, name: &str) -> String {
        let shown = shortened(name);
        if let Some((_, advice)) = self.schema.elsewhere.iter().find(|(field, _)| *field == name) {
            return format!("`{shown}` is no field here: {advice}");
        }
        let here: Vec<_> = self
            .schema
            .paths
            .iter()
            .filter_map(|path| path.strip_prefix(self.prefix.as_str()))
            .filter(|name| !name.contains('.'))
            .collect();
        let advice = match closest(name, self.schema.paths.iter().copied()) {
            Some(path) => format!(
                "did you mean `{}`?",
                path.strip_prefix(self.prefix.as_str()).unwrap_or(path)
            ),
            None => format!("there are {}", here.join(", ")),
        };
        format!("unknown field `{}{shown}`: {advice}", self.prefix)
    }

    /// The value of a field that is there and not empty.
    fn value<T>(
        &mut self,
        name: &str,
        advice: &str,
        faults: &mut Faults,
        read: impl FnOnce(&Tree) -> Option<T>,
    ) -> Option<Located<T>> {
        let node = self.node(name)?;
        let value = read(&node.tree);
        if value.is_none() {
            faults.at(
                node.place,
                format!("`{}` is {}: {advice}", self.path(name), node.kind()),
            );
        }
        value.map(|value| Located {
            value,
            place: node.place,
        })
    }

    fn take(&mut self, name: &str) -> Option<Entry> {
        let at = self.entries.iter().position(|entry| entry.name == name)?;
        Some(self.entries.swap_remove(at))
    }

    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

fn as_text(tree: &Tree) -> Option<String> {
    match tree {
        Tree::Text(text) => Some(text.clone()),
        Tree::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

/// Enough of a word to recognise it, however long the nonsense is.
fn shortened(word: &str) -> String {
    const SHOWN: usize = 40;
    match word.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &word[..end]),
        None => word.to_owned(),
    }
}
