//! JSON Schemas as Bedrock's structured outputs take them.
//!
//! The service holds a model to a schema while it writes, and knows a part of JSON Schema only; anything
//! else is a `ValidationException`. So it gets a *relaxed* copy: what it doesn't know is taken out and
//! written into the description beside it, where the model reads it. Every answer is judged by the whole
//! schema afterwards, so nothing is lost. A schema whose relaxed copy would not let every right answer
//! through, or would still be refused, is not sent; the model is then told the schema in words.
//!
//! Sources: "Get validated JSON results from models", Amazon Bedrock User Guide
//! (<https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html>), and the limits of the
//! models behind it, "JSON Schema limitations" and "Schema complexity limits"
//! (<https://platform.claude.com/docs/en/build-with-claude/structured-outputs>), 2026-11.

use serde_json::{Map, Value};

/// How many properties may be optional, in all.
const OPTIONAL_PROPERTIES: usize = 24;

/// How many schemas may have alternatives (`anyOf`, or a list of types), in all.
const ALTERNATIVES: usize = 16;

/// The string formats that the service knows.
const FORMATS: [&str; 10] = [
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "uri",
    "ipv4",
    "ipv6",
    "uuid",
];

/// The highest count in a pattern's quantifier; the documentation says "large" and names no number.
const REPETITIONS: u32 = 50;

/// Without these, a schema would let too much through, or, closed as the service wants objects to be, not
/// every right answer.
const UNTELLABLE: [&str; 12] = [
    "$dynamicRef",
    "$recursiveRef",
    "additionalItems",
    "dependencies",
    "dependentSchemas",
    "else",
    "if",
    "patternProperties",
    "prefixItems",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// What gives a value its shape; it can't stand beside alternatives or a reference, because each side would
/// be closed to the other's properties.
const SHAPES: [&str; 8] = [
    "$ref",
    "allOf",
    "anyOf",
    "items",
    "oneOf",
    "properties",
    "required",
    "additionalProperties",
];

/// What says nothing about values.
const SILENT: [&str; 7] = [
    "$schema",
    "$id",
    "$anchor",
    "$comment",
    "$vocabulary",
    "$defs",
    "definitions",
];

/// The copy that the service takes; none where there can't be one.
pub(super) fn relaxed(schema: &Value) -> Option<Value> {
    if schema.get("$defs").is_some() && schema.get("definitions").is_some() {
        // Both are written to one place, where their names could meet.
        return None;
    }
    let mut relaxing = Relaxing {
        root: schema,
        open: Vec::new(),
        definitions: Map::new(),
        optional: 0,
        alternatives: 0,
    };
    let mut relaxed = relaxing.schema(schema)?;
    if relaxing.optional > OPTIONAL_PROPERTIES || relaxing.alternatives > ALTERNATIVES {
        return None;
    }
    if !relaxing.definitions.is_empty() {
        relaxed.insert("$defs".into(), relaxing.definitions.into());
    }
    Some(relaxed.into())
}

struct Relaxing<'a> {
    root: &'a Value,
    /// The definitions that are being relaxed, outermost first: one that leads to itself is recursive.
    open: Vec<&'a str>,
    definitions: Map<String, Value>,
    optional: usize,
    alternatives: usize,
}

type Fields = Map<String, Value>;

impl<'a> Relaxing<'a> {
    fn schema(&mut self, schema: &'a Value) -> Option<Fields> {
        // The schemas `true` and `false` have no counterpart.
        let said = schema.as_object()?;
        if UNTELLABLE.iter().any(|keyword| said.contains_key(*keyword)) {
            return None;
        }
        let has = |keyword| said.contains_key(keyword);
        let shapes = SHAPES.iter().filter(|keyword| has(**keyword)).count();
        if has("$ref") || has("allOf") || has("anyOf") || has("oneOf") {
            return (shapes == 1).then(|| self.combined(said)).flatten();
        }
        self.plain(said)
    }

    /// A reference or alternatives, and nothing else that gives a shape.
    fn combined(&mut self, said: &'a Fields) -> Option<Fields> {
        if let Some(reference) = said.get("$ref") {
            return self.reference(reference.as_str()?);
        }
        if let Some(all) = said.get("allOf") {
            // Objects that are closed each for itself have no value in common.
            let [one] = all.as_array()?.as_slice() else {
                return None;
            };
            return self.schema(one);
        }
        let choices = said.get("anyOf").or(said.get("oneOf"))?.as_array()?;
        let choices: Option<Vec<_>> = choices
            .iter()
            .map(|choice| self.schema(choice).map(Value::from))
            .collect();
        self.alternatives += 1;
        let mut kept = Fields::new();
        kept.insert("anyOf".into(), choices?.into());
        describe(&mut kept, said, Fields::new());
        Some(kept)
    }

    /// What stands beside a reference is left to the judge: the service takes nothing there.
    fn reference(&mut self, reference: &'a str) -> Option<Fields> {
        let path = reference.strip_prefix("#/")?;
        let (place, name) = path.split_once('/')?;
        if !matches!(place, "$defs" | "definitions") || name.contains(['/', '~', '%']) {
            return None;
        }
        if self.open.contains(&name) {
            return None;
        }
        if !self.definitions.contains_key(name) {
            let definition = self.root.get(place)?.get(name)?;
            self.open.push(name);
            let relaxed = self.schema(definition)?;
            self.open.pop();
            self.definitions.insert(name.into(), relaxed.into());
        }
        let mut kept = Fields::new();
        kept.insert("$ref".into(), format!("#/$defs/{name}").into());
        Some(kept)
    }

    /// A type, or values that are listed.
    fn plain(&mut self, said: &'a Fields) -> Option<Fields> {
        let mut kept = Fields::new();
        let mut rest = Fields::new();
        let types = types(said);
        match types.as_slice() {
            [] if said.contains_key("enum") || said.contains_key("const") => {}
            [] => return None,
            [one] => {
                kept.insert("type".into(), (*one).into());
            }
            several => {
                self.alternatives += 1;
                kept.insert("type".into(), several.into());
            }
        }
        for (keyword, value) in said {
            let taken = match keyword.as_str() {
                "type"
                | "title"
                | "description"
                | "properties"
                | "required"
                | "additionalProperties"
                | "items" => continue,
                silent if SILENT.contains(&silent) => continue,
                "default" => true,
                "enum" => value.as_array()?.iter().all(is_scalar),
                "const" => is_scalar(value),
                "format" => value.as_str().is_some_and(|format| FORMATS.contains(&format)),
                "pattern" => value.as_str().is_some_and(is_simple),
                "minItems" => {
                    let least = value.as_u64()?.min(1);
                    kept.insert("minItems".into(), least.into());
                    value.as_u64() == Some(least)
                }
                _ => false,
            };
            let to = if taken { &mut kept } else { &mut rest };
            to.insert(keyword.clone(), value.clone());
        }
        if types.is_empty() && !kept.contains_key("enum") && !kept.contains_key("const") {
            return None;
        }
        if types.contains(&"object") {
            self.object(said, &mut kept)?;
        }
        if let Some(items) = said.get("items").filter(|_| types.contains(&"array")) {
            kept.insert("items".into(), self.schema(items)?.into());
        }
        describe(&mut kept, said, rest);
        Some(kept)
    }

    /// The service wants every object closed. That changes nothing where all properties are named; an object
    /// of names that nobody knows before would stay empty.
    fn object(&mut self, said: &'a Fields, kept: &mut Fields) -> Option<()> {
        let properties: Vec<(&'a String, &'a Value)> = match said.get("properties") {
            Some(properties) => properties.as_object()?.iter().collect(),
            None => Vec::new(),
        };
        let others = said.get("additionalProperties");
        let is_closed = others == Some(&Value::Bool(false));
        let takes_any = properties.is_empty() && !is_closed;
        if takes_any || !matches!(others, None | Some(Value::Bool(_))) {
            return None;
        }
        let required: Vec<&str> = match said.get("required") {
            Some(names) => names
                .as_array()?
                .iter()
                .map(Value::as_str)
                .collect::<Option<_>>()?,
            None => Vec::new(),
        };
        let is_named = |name: &str| properties.iter().any(|(named, _)| *named == name);
        if !required.iter().all(|name| is_named(name)) {
            return None;
        }
        let mut relaxed = Fields::new();
        for (name, property) in properties {
            self.optional += usize::from(!required.contains(&name.as_str()));
            relaxed.insert(name.clone(), self.schema(property)?.into());
        }
        kept.insert("properties".into(), relaxed.into());
        if !required.is_empty() {
            kept.insert("required".into(), required.into());
        }
        kept.insert("additionalProperties".into(), false.into());
        Some(())
    }
}

/// The types that a schema names, or shows by what it says of them.
fn types(said: &Fields) -> Vec<&str> {
    match said.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ if said.contains_key("properties") => vec!["object"],
        _ if said.contains_key("items") => vec!["array"],
        _ => Vec::new(),
    }
}

/// Title, description, and below it, as JSON on a line of its own, what the service doesn't take.
fn describe(kept: &mut Fields, said: &Fields, rest: Fields) {
    if let Some(title) = said.get("title") {
        kept.insert("title".into(), title.clone());
    }
    let written = said
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let description = match (written, rest.is_empty()) {
        ("", true) => return,
        (written, true) => written.to_owned(),
        ("", false) => Value::from(rest).to_string(),
        (written, false) => format!("{written}\n\n{}", Value::from(rest)),
    };
    kept.insert("description".into(), description.into());
}

fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

/// Whether a pattern keeps to what the service compiles: no look-around, no back reference, no word
/// boundary, no large count.
fn is_simple(pattern: &str) -> bool {
    let mut characters = pattern.chars().peekable();
    let mut number = 0_u32;
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped) if escaped.is_ascii_alphanumeric() => {
                    if !"dDwWsSnrt".contains(escaped) {
                        return false;
                    }
                }
                Some(_) => {}
                None => return false,
            },
            '(' if characters.peek() == Some(&'?') => return false,
            '{' => {
                for inside in characters.by_ref().take_while(|inside| *inside != '}') {
                    number = inside
                        .to_digit(10)
                        .map_or(0, |digit| number.saturating_mul(10) + digit);
                    if number > REPETITIONS {
                        return false;
                    }
                }
                number = 0;
            }
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_service_takes_stays_as_it_is() {
        for schema in [
            json!({"type": "string"}),
            json!({"type": "string", "format": "date", "description": "When"}),
            json!({"type": "string", "pattern": "^[A-Z]{2}\\d{4}$"}),
            json!({"type": ["string", "null"], "title": "Place", "default": null}),
            json!({"enum": ["a", 1, true, null]}),
            json!({"const": "a"}),
            json!({"type": "array", "minItems": 1, "items": {"type": "integer"}}),
            json!({
                "type": "object",
                "properties": {"a": {"type": "boolean"}, "b": {"type": "number"}},
                "required": ["a"],
                "additionalProperties": false,
            }),
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ] {
            assert_eq!(relaxed(&schema).as_ref(), Some(&schema));
        }
    }

    #[test]
    fn what_it_does_not_take_goes_into_the_description() {
        let cases = [
            (
                json!({"type": "string", "minLength": 1, "maxLength": 30}),
                json!({"type": "string", "description": r#"{"minLength":1,"maxLength":30}"#}),
            ),
            (
                json!({"type": "integer", "minimum": 0, "multipleOf": 5, "description": "Steps"}),
                json!({"type": "integer", "description": "Steps\n\n{\"minimum\":0,\"multipleOf\":5}"}),
            ),
            (
                json!({"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 3, "uniqueItems": true}),
                json!({
                    "type": "array", "minItems": 1, "items": {"type": "string"},
                    "description": r#"{"minItems":2,"maxItems":3,"uniqueItems":true}"#,
                }),
            ),
            (
                json!({"type": "string", "format": "iri"}),
                json!({"type": "string", "description": r#"{"format":"iri"}"#}),
            ),
            (
                json!({"type": "string", "pattern": "^(?!x)"}),
                json!({"type": "string", "description": r#"{"pattern":"^(?!x)"}"#}),
            ),
            (
                json!({"type": "array", "items": {"type": "string"}, "enum": [["a"]]}),
                json!({"type": "array", "items": {"type": "string"}, "description": r#"{"enum":[["a"]]}"#}),
            ),
            (
                json!({"type": "string", "not": {"const": "a"}}),
                json!({"type": "string", "description": r#"{"not":{"const":"a"}}"#}),
            ),
        ];
        for (schema, expected) in cases {
            assert_eq!(relaxed(&schema), Some(expected), "{schema}");
        }
    }

    #[test]
    fn objects_are_closed_and_alternatives_are_any_of_them() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "properties": {
                "who": {"oneOf": [{"type": "string", "maxLength": 9}, {"type": "null"}]},
                "where": {"allOf": [{"$ref": "#/definitions/place"}], "description": "Where"},
            },
            "definitions": {
                "place": {"type": "object", "properties": {"name": {"type": "string"}}, "additionalProperties": true},
                "unused": {"if": {}},
            },
        });
        let expected = json!({
            "type": "object",
            "properties": {
                "who": {"anyOf": [{"type": "string", "description": r#"{"maxLength":9}"#}, {"type": "null"}]},
                "where": {"$ref": "#/$defs/place"},
            },
            "additionalProperties": false,
            "$defs": {
                "place": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}},
                    "additionalProperties": false,
                },
            },
        });
        assert_eq!(relaxed(&schema), Some(expected));
    }

    #[test]
    fn a_definition_may_be_used_twice_but_not_within_itself() {
        let pair = json!({
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/name"}, "b": {"$ref": "#/$defs/name"}},
            "$defs": {"name": {"type": "string"}},
        });
        assert!(relaxed(&pair).is_some());
        let tree = json!({
            "$ref": "#/$defs/node",
            "$defs": {"node": {
                "type": "object",
                "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
            }},
        });
        assert_eq!(relaxed(&tree), None);
        assert_eq!(relaxed(&json!({"type": "array", "items": {"$ref": "#"}})), None);
    }

    #[test]
    fn a_schema_that_can_not_be_told_is_not_sent() {
        for schema in [
            json!(true),
            json!({}),
            json!({"type": "object"}),
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            json!({"type": "object", "properties": {"a": {}}}),
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]}),
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}]}),
            json!({"type": "object", "patternProperties": {"^x": {"type": "string"}}}),
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "if": {"required": ["a"]}}),
            json!({"type": "array", "items": true}),
            json!({"type": "array", "prefixItems": [{"type": "string"}]}),
            json!({"allOf": [{"type": "string"}, {"type": "string"}]}),
            json!({"$ref": "https://example.com/schema"}),
            json!({"$ref": "#/$defs/missing"}),
            json!({"$ref": "#name"}),
            json!({"enum": [{"a": 1}]}),
        ] {
            assert_eq!(relaxed(&schema), None, "{schema}");
        }
    }

    #[test]
    fn a_schema_above_the_limits_is_not_sent() {
        let object = |count: usize, property: Value, required: bool| {
            let names: Vec<_> = (0..count).map(|n| format!("p{n}")).collect();
            let properties: Fields = names
                .iter()
                .map(|name| (name.clone(), property.clone()))
                .collect();
            let required = if required { names } else { Vec::new() };
            json!({"type": "object", "properties": properties, "required": required})
        };
        assert!(relaxed(&object(24, json!({"type": "string"}), false)).is_some());
        assert!(relaxed(&object(25, json!({"type": "string"}), false)).is_none());
        assert!(relaxed(&object(99, json!({"type": "string"}), true)).is_some());
        assert!(relaxed(&object(16, json!({"type": ["string", "null"]}), true)).is_some());
        assert!(relaxed(&object(17, json!({"type": ["string", "null"]}), true)).is_none());
    }

    #[test]
    fn patterns_are_kept_where_they_are_simple() {
        for simple in ["^a+$", "[a-z]{1,50}", "(ab|c)*", "\\d{4}-\\d{2}", "\\.", "^가.*"] {
            assert!(is_simple(simple), "{simple}");
        }
        for hard in [
            "\\bword\\b",
            "(?=a)",
            "(?i)a",
            "(a)\\1",
            "a{1,1000}",
            "\\p{L}",
            "\\",
        ] {
            assert!(!is_simple(hard), "{hard}");
        }
    }
}
