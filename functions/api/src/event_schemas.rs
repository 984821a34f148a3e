//! The events as JSON Schemas: one for each type, for whoever hears of them by a bus, a webhook or a stream.

use std::collections::BTreeMap;

use bedrock_diy_core::{
    event::{Event, Fact},
    webhook::WebhookDisabled,
};
use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

/// Where schemas of the OpenAPI document refer to, and where those of a JSON Schema do.
const COMPONENTS: &str = "#/components/schemas/";
const DEFINITIONS: &str = "#/$defs/";

/// The JSON Schema of each type of event (draft 2020-12), by the type's name. Each stands by itself.
#[must_use]
pub fn event_schemas() -> BTreeMap<String, Value> {
    let mut referred = Vec::new();
    Event::schemas(&mut referred);
    let definitions: Map<_, _> = referred
        .into_iter()
        .map(|(name, schema)| (name, json!(schema)))
        .collect();
    let facts = json!(Fact::schema());
    let event = json!(Event::schema());
    let common = event["allOf"].as_array().and_then(|parts| {
        // What is not a reference to the facts is what all events have.
        parts.iter().find(|part| part["properties"].is_object())
    });
    let common = common.cloned().unwrap_or_default();
    let facts = facts["oneOf"].as_array().cloned().unwrap_or_default();
    facts
        .iter()
        .map(|fact| schema(fact, &common, &definitions))
        .chain([disabled_webhook()])
        .collect()
}

/// What the bus tells that is no job's: it stands by itself.
fn disabled_webhook() -> (String, Value) {
    let name = WebhookDisabled::TYPE;
    let told = json!(WebhookDisabled::schema());
    let mut referred = Vec::new();
    WebhookDisabled::schemas(&mut referred);
    let definitions: Map<_, _> = referred
        .into_iter()
        .map(|(name, schema)| (name, json!(schema)))
        .collect();
    let mut properties = members(&told, "properties");
    properties.insert("type".to_owned(), json!({ "const": name }));
    let mut required = told["required"].as_array().cloned().unwrap_or_default();
    if !required.contains(&json!("type")) {
        required.push(json!("type"));
    }
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        "description": told["description"],
        "type": "object",
        "properties": properties,
        "required": required,
        "$defs": definitions,
    });
    refer_within(&mut schema);
    (name.to_owned(), schema)
}

/// The schema of the events with this fact, and their type.
fn schema(fact: &Value, common: &Value, definitions: &Map<String, Value>) -> (String, Value) {
    let parts = parts(fact, definitions);
    let mut names = parts
        .iter()
        .filter_map(|part| part["properties"]["type"]["enum"][0].as_str());
    let name = names.next().unwrap_or_default();
    let mut properties = members(common, "properties");
    properties.extend(parts.iter().flat_map(|part| members(part, "properties")));
    properties.insert("type".to_owned(), json!({ "const": name }));
    let required: Vec<_> = [common]
        .iter()
        .chain(&parts)
        .flat_map(|part| part["required"].as_array().cloned().unwrap_or_default())
        .collect();
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        "description": fact["description"],
        "type": "object",
        "properties": properties,
        "required": required,
    });
    let mut used = Map::new();
    // What is referred to may refer on.
    while let Some((name, definition)) = definitions.iter().find(|(name, _)| {
        !used.contains_key(*name) && refers_to(name, &[&schema, &Value::from(used.clone())])
    }) {
        used.insert(name.clone(), definition.clone());
    }
    if !used.is_empty() {
        schema["$defs"] = used.into();
    }
    refer_within(&mut schema);
    (name.to_owned(), schema)
}

/// What a fact is put together of: what a type of its own says lies among the definitions.
fn parts<'a>(fact: &'a Value, definitions: &'a Map<String, Value>) -> Vec<&'a Value> {
    let Some(parts) = fact["allOf"].as_array() else {
        return vec![fact];
    };
    let referred = |part: &'a Value| definitions.get(part["$ref"].as_str()?.strip_prefix(COMPONENTS)?);
    parts.iter().map(|part| referred(part).unwrap_or(part)).collect()
}

fn members(schema: &Value, name: &str) -> Map<String, Value> {
    schema[name].as_object().cloned().unwrap_or_default()
}

fn refers_to(name: &str, schemas: &[&Value]) -> bool {
    let reference = format!("{COMPONENTS}{name}\"");
    schemas
        .iter()
        .any(|schema| schema.to_string().contains(&reference))
}

/// References to the OpenAPI document's schemas become references to the schema's own definitions.
fn refer_within(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get_mut("$ref") {
                *reference = reference.replace(COMPONENTS, DEFINITIONS);
            }
            members.values_mut().for_each(refer_within);
        }
        Value::Array(items) => items.iter_mut().for_each(refer_within),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use bedrock_diy_core::webhook::{ALL_EVENTS, event_types};

    use super::*;

    #[test]
    fn a_webhook_can_tell_everything_that_has_a_schema_but_pieces_of_answers() {
        let schemas = event_schemas();
        let with_schema = schemas.keys().map(String::as_str);
        let mut told: Vec<_> = event_types().filter(|name| *name != ALL_EVENTS).collect();
        told.sort_unstable();
        assert_eq!(
            with_schema
                .filter(|name| *name != "stage.delta")
                .collect::<Vec<_>>(),
            told
        );
    }
}
