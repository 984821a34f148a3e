//! Makes a JSON Schema stricter where it leaves lengths open. What keeps the stricter one keeps the other.
//!
//! A small model seldom ends a list or a string by itself, and invents properties as long as it may.
//!
//! Clients of Bedrock write the limits that its structured output doesn't take into a description, as JSON
//! on its last line: a large model reads them there. A small one doesn't, but can be held to them.

use serde_json::{Map, Value, json};

/// The longest string where the schema sets no limit, in characters.
const STRING_CHARS: u64 = 400;

/// The longest array where the schema sets no limit.
const ARRAY_ITEMS: u64 = 8;

/// The largest number, either way, where the schema sets no limit.
const NUMBER: i64 = 1_000_000_000;

/// The limits that are taken from a description.
const LIMITS: [&str; 8] = [
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
];

/// Puts the limits that a description ends with where they belong.
fn limits_from_description(fields: &mut Map<String, Value>) {
    let written = fields.get("description").and_then(Value::as_str);
    let last = written
        .and_then(|written| written.lines().last())
        .unwrap_or_default();
    let Ok(Value::Object(limits)) = serde_json::from_str(last) else {
        return;
    };
    let limits = limits
        .into_iter()
        .filter(|(keyword, value)| LIMITS.contains(&keyword.as_str()) && value.is_number());
    fields.extend(limits);
}

/// The limits of a schema and of all schemas in it.
pub(crate) fn narrow(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else {
        return;
    };
    // Its own settings of the constraint engine are no business of a request.
    fields.remove("x-guidance");
    limits_from_description(fields);
    for of_one in ["items", "additionalProperties"] {
        if let Some(inner) = fields.get_mut(of_one) {
            narrow(inner);
        }
    }
    for of_many in ["properties", "patternProperties", "$defs", "definitions"] {
        if let Some(Value::Object(inner)) = fields.get_mut(of_many) {
            inner.values_mut().for_each(narrow);
        }
    }
    // Not within `oneOf` and `allOf`: there, stricter parts may mean another whole.
    for of_list in ["prefixItems", "anyOf"] {
        if let Some(Value::Array(inner)) = fields.get_mut(of_list) {
            inner.iter_mut().for_each(narrow);
        }
    }
    // Values that are listed need no limits, and a reference's target has its own.
    if ["enum", "const", "$ref", "allOf", "oneOf", "anyOf"]
        .iter()
        .any(|key| fields.contains_key(*key))
    {
        return;
    }
    if may_be(fields, "string") && !fields.contains_key("pattern") && !fields.contains_key("format") {
        limit(fields, "maxLength", "minLength", STRING_CHARS);
    }
    if may_be(fields, "array") {
        limit(fields, "maxItems", "minItems", ARRAY_ITEMS);
    }
    if may_be(fields, "integer") {
        if !fields.contains_key("maximum") && !fields.contains_key("exclusiveMaximum") {
            let least = fields
                .get("minimum")
                .or(fields.get("exclusiveMinimum"))
                .and_then(Value::as_i64)
                .unwrap_or(0);
            fields.insert(
                "maximum".to_owned(),
                json!(least.saturating_add(NUMBER).max(NUMBER)),
            );
        }
        if !fields.contains_key("minimum") && !fields.contains_key("exclusiveMinimum") {
            let most = fields
                .get("maximum")
                .or(fields.get("exclusiveMaximum"))
                .and_then(Value::as_i64)
                .unwrap_or(0);
            fields.insert(
                "minimum".to_owned(),
                json!(most.saturating_sub(NUMBER).min(-NUMBER)),
            );
        }
    }
    let others = fields.contains_key("additionalProperties") || fields.contains_key("patternProperties");
    if may_be(fields, "object") && fields.contains_key("properties") && !others {
        fields.insert("additionalProperties".to_owned(), json!(false));
    }
}

/// Whether a schema names the type.
fn may_be(fields: &Map<String, Value>, name: &str) -> bool {
    match fields.get("type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(many)) => many.iter().any(|one| one == name),
        _ => false,
    }
}

fn limit(fields: &mut Map<String, Value>, most: &str, least: &str, usual: u64) {
    if !fields.contains_key(most) {
        let least = fields.get(least).and_then(Value::as_u64).unwrap_or(0);
        fields.insert(most.to_owned(), json!(usual.max(least)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrowed(mut schema: Value) -> Value {
        narrow(&mut schema);
        schema
    }

    #[test]
    fn open_lengths_get_a_limit_and_given_ones_stay() {
        let schema = json!({
            "type": "object",
            "properties": {
                "type": { "type": "string" },
                "title": { "type": "string", "maxLength": 5000 },
                "long": { "type": "string", "minLength": 900 },
                "tags": { "type": "array", "items": { "type": "string", "enum": ["a"] } },
                "year": { "type": "integer", "minimum": 1900 },
            },
        });
        let expected = json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "type": { "type": "string", "maxLength": 400 },
                "title": { "type": "string", "maxLength": 5000 },
                "long": { "type": "string", "minLength": 900, "maxLength": 900 },
                "tags": { "type": "array", "maxItems": 8, "items": { "type": "string", "enum": ["a"] } },
                "year": { "type": "integer", "minimum": 1900, "maximum": 1_000_001_900 },
            },
        });
        assert_eq!(narrowed(schema), expected);
    }

    #[test]
    fn limits_in_a_description_are_kept_like_others() {
        let schema = json!({
            "type": "array",
            "minItems": 1,
            "description": "At most three\n\n{\"minItems\":2,\"maxItems\":3,\"uniqueItems\":true}",
            "items": { "type": "string", "description": "{\"maxLength\":30}" },
        });
        let list = narrowed(schema);
        assert_eq!((&list["minItems"], &list["maxItems"]), (&json!(2), &json!(3)));
        assert_eq!(list["items"]["maxLength"], json!(30));
        assert_eq!(list.get("uniqueItems"), None);
        for other in ["{", "30", "{\"maxLength\":\"x\"}", ""] {
            let schema = json!({ "type": "string", "description": other });
            assert_eq!(narrowed(schema)["maxLength"], json!(400), "{other}");
        }
    }

    #[test]
    fn alternatives_that_exclude_each_other_are_left_alone() {
        let schema = json!({ "oneOf": [{ "type": "string" }, { "type": "array" }] });
        assert_eq!(narrowed(schema.clone()), schema);
    }

    #[test]
    fn a_schema_has_no_say_in_how_it_is_kept() {
        assert_eq!(narrowed(json!({ "x-guidance": { "lenient": true } })), json!({}));
    }
}
