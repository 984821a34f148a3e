//! Outputs that are JSON, with every number as the model wrote it: a number that is read and written again has lost
//! whatever it has beyond the sixteen or so digits of a float.

use serde_json::{Value, value::RawValue};

/// The object or array that a text is, in one line; none where it is anything else.
pub(crate) fn document(text: &str) -> Option<Box<RawValue>> {
    match serde_json::from_str(text) {
        Ok(Value::Object(_) | Value::Array(_)) => RawValue::from_string(in_one_line(text)).ok(),
        _ => None,
    }
}

/// Valid JSON as serde writes it, without whitespace and with as few escapes as can be, but for its numbers, which stay
/// as they are.
pub(crate) fn in_one_line(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        let (token, after) = rest.split_at(match first {
            '"' => end_of_text(rest),
            other => other.len_utf8(),
        });
        match first {
            ' ' | '\t' | '\r' | '\n' => {}
            '"' => line.push_str(&rewritten(token).unwrap_or_else(|_| token.to_owned())),
            _ => line.push_str(token),
        }
        rest = after;
    }
    line
}

/// The text in quotation marks that something begins with, with as few escapes as can be.
fn rewritten(token: &str) -> serde_json::Result<String> {
    serde_json::to_string(&serde_json::from_str::<String>(token)?)
}

/// Where the text in quotation marks ends that something begins with.
fn end_of_text(json: &str) -> usize {
    let mut escaped = true;
    json.find(|c| {
        let ends = c == '"' && !escaped;
        // The first quotation mark is passed over as an escaped one is.
        escaped = c == '\\' && !escaped;
        ends
    })
    .map_or(json.len(), |end| end + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_stay_as_they_are_and_everything_else_is_written_as_short_as_can_be() {
        for (text, line) in [
            (
                "{\n  \"id\": 12345678901234567890123,\r\n\t\"a b\": [-0.10, 1E5, 1e400, true, null]\n}\n",
                "{\"id\":12345678901234567890123,\"a b\":[-0.10,1E5,1e400,true,null]}",
            ),
            (
                r#" [ "\uc11c\uc6b8 \"1\\" , "\\", "\n\/", "" ] "#,
                r#"["서울 \"1\\","\\","\n/",""]"#,
            ),
            (r#"["\ud800 alone"]"#, r#"["\ud800 alone"]"#),
        ] {
            assert_eq!(in_one_line(text), line);
        }
        assert_eq!(
            document("[12345678901234567890123]").unwrap().get(),
            "[12345678901234567890123]"
        );
        for text in ["12345678901234567890123", "\"a\"", "null", "{", "[1] 2", ""] {
            assert!(document(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_document_means_the_same_in_one_line(text in "[\\[\\]{}:,\"\\\\a0 \n]{0,12}") {
            if let (Ok(value), Some(line)) = (serde_json::from_str::<Value>(&text), document(&text)) {
                prop_assert_eq!(serde_json::from_str::<Value>(line.get()).unwrap(), value);
                prop_assert!(!line.get().contains('\n'));
            }
        }

        #[test]
        fn texts_and_names_mean_the_same(name in ".{0,8}", text in ".{0,8}") {
            let value = serde_json::json!({ name: [text] });
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            let line = document(&pretty).unwrap();
            prop_assert_eq!(line.get(), value.to_string());
        }
    }
}
