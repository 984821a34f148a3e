//! What differs between two versions of a document, field by field.

use serde_json::Value;

/// A field that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    /// Which: a JSON Pointer (RFC 6901) into the document.
    pub field: String,
    /// What the older version says; nothing where it says nothing.
    pub from: Option<Value>,
    /// What the newer one says.
    pub to: Option<Value>,
}

/// The fields that differ: those that the newer version has in its order, then those that it has no more.
///
/// A list is one field, and so is an `outputSchema`: a change within it is read best beside the whole.
#[must_use]
pub fn fields(older: &Value, newer: &Value) -> Vec<FieldChange> {
    let said = |document| {
        let mut fields = Vec::new();
        flatten("", document, &mut fields);
        fields
    };
    let (before, after) = (said(older), said(newer));
    let value = |fields: &[(String, Value)], name: &str| {
        let found = fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.clone())
    };
    let gone = before.iter().filter(|(name, _)| value(&after, name).is_none());
    let changed = after.iter().chain(gone).filter_map(|(name, _)| {
        let (from, to) = (value(&before, name), value(&after, name));
        (from != to).then(|| FieldChange {
            field: name.clone(),
            from,
            to,
        })
    });
    changed.collect()
}

/// The fields of a document by their pointers, objects opened.
fn flatten(at: &str, value: &Value, fields: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(object) if !at.ends_with("/outputSchema") => {
            for (name, value) in object {
                let name = name.replace('~', "~0").replace('/', "~1");
                flatten(&format!("{at}/{name}"), value, fields);
            }
        }
        _ => fields.push((at.to_owned(), value.clone())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_field_that_differs_is_named_with_both_its_values() {
        let older = json!({"title": "Facts", "tags": ["a"], "settings": {"model": "m", "a/b": 1}});
        let newer = json!({"title": "Facts", "tags": ["b"], "settings": {"outputSchema": {"type": "object"}, "a/b": 2}});
        let told: Vec<_> = fields(&older, &newer)
            .into_iter()
            .map(|change| (change.field, change.from, change.to))
            .collect();
        assert_eq!(
            told,
            [
                ("/tags".into(), Some(json!(["a"])), Some(json!(["b"]))),
                (
                    "/settings/outputSchema".into(),
                    None,
                    Some(json!({"type": "object"}))
                ),
                ("/settings/a~1b".into(), Some(json!(1)), Some(json!(2))),
                ("/settings/model".into(), Some(json!("m")), None),
            ]
        );
        assert_eq!(fields(&newer, &newer), []);
    }
}
