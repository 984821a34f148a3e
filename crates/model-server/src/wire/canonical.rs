//! The one form that equal requests share, so that their hashes can be compared.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::model::ContentHash;

/// See [`crate::Request::content_hash`]. A body that is no JSON is hashed byte for byte.
pub(crate) fn hash(model_id: &str, body: &[u8]) -> ContentHash {
    let mut canonical = Vec::with_capacity(model_id.len() + 1 + body.len());
    canonical.extend_from_slice(model_id.as_bytes());
    canonical.push(b'\n');
    match serde_json::from_slice::<Value>(body) {
        Ok(mut value) => {
            if let Some(fields) = value.as_object_mut() {
                fields.shift_remove("requestMetadata");
            }
            write(&mut canonical, &value);
        }
        Err(_) => canonical.extend_from_slice(body),
    }
    ContentHash(Sha256::digest(&canonical).into())
}

fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_unstable_by_key(|(key, _)| *key);
            out.push(b'{');
            for (n, (key, value)) in sorted.into_iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                write_scalar(out, key);
                out.push(b':');
                write(out, value);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                write(out, item);
            }
            out.push(b']');
        }
        scalar => write_scalar(out, scalar),
    }
}

fn write_scalar(out: &mut Vec<u8>, scalar: &impl serde::Serialize) {
    // Writing a string, a number, a boolean or null into memory has no way to fail.
    let _ = serde_json::to_writer(out, scalar);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_order_white_space_and_request_metadata_do_not_change_the_hash() {
        let one = hash(
            "m",
            br#"{"a":1,"b":{"c":[1,2],"d":"x"},"requestMetadata":{"job":"1"}}"#,
        );
        let other = hash(
            "m",
            br#"{ "requestMetadata": {"job":"2"}, "b": {"d":"x", "c":[1, 2]}, "a": 1 }"#,
        );
        assert_eq!(one, other);
    }

    #[test]
    fn another_model_or_another_text_is_another_hash() {
        let body = br#"{"a":1}"#;
        assert_ne!(hash("m", body), hash("n", body));
        assert_ne!(hash("m", body), hash("m", br#"{"a":2}"#));
        assert_ne!(hash("m", b"no json"), hash("m", b"no json either"));
    }
}
