//! The top level of a JSON object, without what is nested below it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// More fields than any record has; one with more is made to exhaust memory.
const MAX_FIELDS: usize = 1_000;

/// One JSON value, of which only the scalars at an object's top level are kept: a record's nested arrays can be
/// many times larger in memory than in the file.
pub(crate) enum Fields {
    Object(Map<String, Value>),
    TooMany,
    NotAnObject,
}

impl Fields {
    /// Why a value that is not [`Fields::Object`] is no record.
    pub(crate) fn why_not(&self) -> &'static str {
        match self {
            Self::TooMany => "it has more than 1,000 fields",
            Self::Object(_) | Self::NotAnObject => "it is not a JSON object",
        }
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldsVisitor)
    }
}

/// A scalar, or `None` for `null`, an array or an object.
struct Scalar(Option<Value>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor).map(Self)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Fields, A::Error> {
        let mut fields = Map::new();
        let mut too_many = false;
        while let Some((name, Scalar(value))) = entries.next_entry::<String, Scalar>()? {
            too_many |= fields.len() >= MAX_FIELDS;
            if let Some(value) = value
                && !too_many
            {
                fields.insert(name, value);
            }
        }
        Ok(if too_many {
            Fields::TooMany
        } else {
            Fields::Object(fields)
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Fields, A::Error> {
        ScalarVisitor.visit_seq(elements).map(|_| Fields::NotAnObject)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Fields, E> {
        Ok(Fields::NotAnObject)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Fields, E> {
        Ok(Fields::NotAnObject)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Fields, E> {
        Ok(Fields::NotAnObject)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Fields, E> {
        Ok(Fields::NotAnObject)
    }

    fn visit_str<E>(self, _: &str) -> Result<Fields, E> {
        Ok(Fields::NotAnObject)
    }

    fn visit_unit<E>(self) -> Result<Fields, E> {
        Ok(Fields::NotAnObject)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Some(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Some(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Some(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Self::Value, E> {
        Ok(Some(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}
