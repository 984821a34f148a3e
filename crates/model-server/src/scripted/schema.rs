//! What Bedrock refuses in a JSON Schema for structured output.
//!
//! Sources: as for the messages, what the service was seen to say (public issue reports of 2026);
//! for the rules, "JSON Schema limitations" and "Schema complexity limits"
//! (<https://platform.claude.com/docs/en/build-with-claude/structured-outputs>), 2026-11.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::wire::errors::ServiceError;

/// Which JSON Schemas are taken.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JsonSchemas {
    /// Those that Bedrock takes; others are a `ValidationException`. The answer is the script's either way.
    #[default]
    Bedrock,
    /// All.
    All,
    /// None, as for a model without structured output.
    None,
}

const OPTIONAL_PROPERTIES: usize = 24;
const ALTERNATIVES: usize = 16;

/// Keywords of every schema.
const COMMON: [&str; 14] = [
    "$defs",
    "$ref",
    "$schema",
    "allOf",
    "anyOf",
    "const",
    "default",
    "definitions",
    "description",
    "enum",
    "nullable",
    "title",
    "type",
    "$comment",
];

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

impl JsonSchemas {
    /// Refuses a request's schema where Bedrock would.
    pub(crate) fn check(self, schema: &str) -> Result<(), ServiceError> {
        let refuse = |field: &str, what: &str| {
            Err(ServiceError::validation(format!(
                "The model returned the following errors: {field}{what}"
            )))
        };
        match self {
            Self::All => Ok(()),
            Self::None => refuse("output_config.format: ", "Extra inputs are not permitted"),
            Self::Bedrock => {
                // That it is JSON was seen when the request was read.
                let schema = serde_json::from_str(schema).unwrap_or_default();
                let mut check = Check {
                    root: &schema,
                    open: Vec::new(),
                    done: HashSet::new(),
                    optional: 0,
                    alternatives: 0,
                };
                match check.whole() {
                    Ok(()) => Ok(()),
                    Err(what) => refuse("output_config.format.schema: ", &what),
                }
            }
        }
    }
}

struct Check<'a> {
    root: &'a Value,
    /// The references that are being followed, and those that have been.
    open: Vec<&'a str>,
    done: HashSet<&'a str>,
    optional: usize,
    alternatives: usize,
}

impl<'a> Check<'a> {
    fn whole(&mut self) -> Result<(), String> {
        self.schema(self.root)?;
        if self.optional > OPTIONAL_PROPERTIES {
            return Err(format!(
                "Schemas contains too many optional parameters ({}), limit: {OPTIONAL_PROPERTIES}",
                self.optional
            ));
        }
        if self.alternatives > ALTERNATIVES {
            return Err(format!(
                "Schemas contains too many parameters with union types ({}), limit: {ALTERNATIVES}",
                self.alternatives
            ));
        }
        Ok(())
    }

    fn schema(&mut self, schema: &'a Value) -> Result<(), String> {
        let fields = schema.as_object().ok_or("Schema must be an object")?;
        if let Some(reference) = fields.get("$ref") {
            return self.reference(reference);
        }
        let kind = fields.get("type");
        if let Some(Value::Array(_)) = kind {
            self.alternatives += 1;
        }
        let is = |name: &str| {
            kind.is_some_and(|kind| {
                kind == name
                    || kind
                        .as_array()
                        .is_some_and(|kinds| kinds.iter().any(|kind| kind == name))
            })
        };
        if !["type", "enum", "const", "anyOf", "allOf"]
            .iter()
            .any(|keyword| fields.contains_key(*keyword))
        {
            return Err("Schema must have a 'type', 'enum', 'anyOf' or 'allOf' field".to_owned());
        }
        only_known(fields, is)?;
        if let Some(Value::Array(values)) = fields.get("enum")
            && values.iter().any(|value| value.is_array() || value.is_object())
        {
            return Err("Enum values must be of a primitive type".to_owned());
        }
        if is("object") {
            if fields.get("additionalProperties") != Some(&Value::Bool(false)) {
                return Err(
                    "For 'object' type, 'additionalProperties' must be explicitly set to false".to_owned(),
                );
            }
            self.properties(fields)?;
        }
        if let Some(items) = fields.get("items") {
            self.schema(items)?;
        }
        if let Some(least) = fields.get("minItems")
            && !matches!(least.as_u64(), Some(0 | 1))
        {
            return Err(format!(
                "For 'array' type, 'minItems' values other than 0 or 1 are not supported (got: {least})"
            ));
        }
        if let Some(Value::Array(choices)) = fields.get("anyOf") {
            self.alternatives += 1;
            choices.iter().try_for_each(|choice| self.schema(choice))?;
        }
        if let Some(Value::Array(parts)) = fields.get("allOf") {
            if parts.iter().any(|part| part.get("$ref").is_some()) {
                return Err("'allOf' with '$ref' is not supported".to_owned());
            }
            parts.iter().try_for_each(|part| self.schema(part))?;
        }
        Ok(())
    }

    fn properties(&mut self, fields: &'a Map<String, Value>) -> Result<(), String> {
        let Some(Value::Object(properties)) = fields.get("properties") else {
            return Ok(());
        };
        let required = |name: &String| {
            fields
                .get("required")
                .and_then(Value::as_array)
                .is_some_and(|required| required.iter().any(|one| one == name))
        };
        for (name, property) in properties {
            self.optional += usize::from(!required(name));
            self.schema(property)?;
        }
        Ok(())
    }

    fn reference(&mut self, reference: &'a Value) -> Result<(), String> {
        let name = reference.as_str().unwrap_or_default();
        let target = name
            .strip_prefix('#')
            .and_then(|pointer| self.root.pointer(pointer));
        let Some(target) = target else {
            return Err(format!("Reference '{name}' can't be resolved"));
        };
        if name == "#" || self.open.contains(&name) {
            return Err(format!(
                "Circular reference detected in schema definitions: {name} -> {name}. Self-referencing or \
                 mutually-referencing definitions are not supported."
            ));
        }
        if !self.done.insert(name) {
            return Ok(());
        }
        self.open.push(name);
        let checked = self.schema(target);
        self.open.pop();
        checked
    }
}

/// Refuses keywords that the service doesn't know, type by type as it does.
fn only_known(fields: &Map<String, Value>, is: impl Fn(&str) -> bool) -> Result<(), String> {
    let known = |keyword: &str| {
        COMMON.contains(&keyword)
            || match keyword {
                "properties" | "required" | "additionalProperties" => is("object"),
                "items" | "minItems" => is("array"),
                "format" | "pattern" => is("string"),
                _ => false,
            }
    };
    let unknown: Vec<&str> = fields
        .keys()
        .map(String::as_str)
        .filter(|keyword| !known(keyword))
        .collect();
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or("mixed");
    match unknown.as_slice() {
        [] => {}
        [one] => return Err(format!("For '{kind}' type, property '{one}' is not supported")),
        several => {
            return Err(format!(
                "For '{kind}' type, properties {} are not supported",
                several.join(", ")
            ));
        }
    }
    if let Some(format) = fields.get("format")
        && !FORMATS.iter().any(|known| format == known)
    {
        return Err(format!("String format {format} is not supported"));
    }
    if let Some(Value::String(pattern)) = fields.get("pattern")
        && ["(?", "\\b", "\\B", "\\1", "\\p"]
            .iter()
            .any(|hard| pattern.contains(hard))
    {
        return Err("The pattern is not supported".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(schema: &Value) -> Result<(), ServiceError> {
        JsonSchemas::Bedrock.check(&schema.to_string())
    }

    #[test]
    fn what_bedrock_takes_is_taken() {
        for schema in [
            json!({"type": "string", "format": "date", "description": "When"}),
            json!({"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"type": "null"}}}),
            json!({"type": "object", "properties": {"a": {"enum": ["b", 1]}}, "required": ["a"], "additionalProperties": false}),
            json!({"anyOf": [{"type": "string"}, {"type": ["integer", "null"]}]}),
        ] {
            assert_eq!(check(&schema), Ok(()), "{schema}");
        }
    }

    #[test]
    fn what_bedrock_refuses_is_refused_in_its_words() {
        let object = |property: Value| json!({"type": "object", "additionalProperties": false, "properties": {"a": property}});
        for (schema, expected) in [
            (
                object(json!({"type": "number", "maximum": 1, "minimum": 0})),
                "For 'number' type, properties maximum, minimum are not supported",
            ),
            (
                object(json!({"type": "array", "items": {"type": "string"}, "maxItems": 3})),
                "For 'array' type, property 'maxItems' is not supported",
            ),
            (
                json!({"type": "array", "items": {"type": "string"}, "minItems": 2}),
                "'minItems' values other than 0 or 1",
            ),
            (json!({"type": "string", "maxLength": 3}), "'maxLength'"),
            (
                json!({"type": "object", "properties": {}}),
                "'additionalProperties' must be explicitly set to false",
            ),
            (
                json!({"type": "array", "items": {"$ref": "#"}}),
                "Circular reference",
            ),
            (json!({"$ref": "https://example.com"}), "can't be resolved"),
            (json!({"oneOf": [{"type": "string"}]}), "must have a 'type'"),
            (json!({"type": "string", "format": "iri"}), "\"iri\""),
            (json!({"enum": [{"a": 1}]}), "primitive"),
            (json!(true), "must be an object"),
        ] {
            let error = check(&schema).unwrap_err();
            assert!(error.message.contains(expected), "{schema}: {error}");
            assert!(
                error.message.contains("output_config.format.schema: "),
                "{schema}: {error}"
            );
        }
    }

    #[test]
    fn too_many_optional_properties_or_alternatives_are_refused() {
        let object = |count: usize, property: &Value| {
            let properties: Map<_, _> = (0..count).map(|n| (format!("p{n}"), property.clone())).collect();
            json!({"type": "object", "properties": properties, "additionalProperties": false})
        };
        assert_eq!(check(&object(24, &json!({"type": "string"}))), Ok(()));
        assert!(check(&object(25, &json!({"type": "string"}))).is_err());
        assert!(check(&object(17, &json!({"type": ["string", "null"]}))).is_err());
    }

    #[test]
    fn a_model_may_take_all_schemas_or_none() {
        assert_eq!(JsonSchemas::All.check("true"), Ok(()));
        let error = JsonSchemas::None.check(r#"{"type":"string"}"#).unwrap_err();
        assert!(
            error
                .message
                .ends_with("output_config.format: Extra inputs are not permitted")
        );
    }
}
