//! Reference paths: `$`, `$.error`, `$.error.Cause`.

use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

/// A reference path of field names; no array indices, no filters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<String>);

impl Path {
    fn parse(text: &str) -> Option<Self> {
        let fields = text.strip_prefix('$')?;
        if fields.is_empty() {
            return Some(Self(Vec::new()));
        }
        let fields: Vec<_> = fields.strip_prefix('.')?.split('.').map(str::to_owned).collect();
        let plain = |field: &String| {
            !field.is_empty()
                && field
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        fields.iter().all(plain).then_some(Self(fields))
    }

    /// What lies there.
    pub fn get<'a>(&self, input: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(input, |value, field| value.get(field))
    }

    /// The input with `value` put there; `None` where something on the way is no object.
    pub fn put(&self, mut input: Value, value: Value) -> Option<Value> {
        let mut place = &mut input;
        for field in &self.0 {
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
            place = place.as_object_mut()?.entry(field.clone()).or_insert(Value::Null);
        }
        *place = value;
        Some(input)
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "`{text}` is not a path of field names such as `$.error` (nothing else is known)"
            ))
        })
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "$")?;
        self.0.iter().try_for_each(|field| write!(f, ".{field}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_reads_and_writes() {
        let path = Path::parse("$.error.Cause").unwrap();
        let input = path.put(json!({"jobId": "x"}), json!("why")).unwrap();
        assert_eq!(input, json!({"jobId": "x", "error": {"Cause": "why"}}));
        assert_eq!(path.get(&input), Some(&json!("why")));
        assert_eq!(
            Path::parse("$").unwrap().put(json!({}), json!(1)).unwrap(),
            json!(1)
        );
        assert_eq!(path.put(json!({"error": 3}), json!(1)), None);
    }

    #[test]
    fn what_is_no_plain_path_is_refused() {
        for text in [
            "",
            "error",
            "$error",
            "$.",
            "$..a",
            "$.a[0]",
            "$.a.*",
            "$$.Execution.Id",
        ] {
            assert_eq!(Path::parse(text), None, "{text}");
        }
    }
}
