//! The memo key: an answer is paid once.

use std::io::{BufWriter, Write};

use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{ids::ProjectId, model::ModelRequest};

/// SHA-256, in hexadecimal, over the canonical JSON of everything that an answer depends on: project,
/// model, inference parameters, system prompt, messages, guardrail and output schema.
///
/// Canonical: the fields below in this order, absent ones as `null` or left out as their type says,
/// and the keys of the schema sorted, because their order is the author's whim.
#[must_use]
pub fn memo_key(project: &ProjectId, request: &ModelRequest) -> String {
    /// Names the layout, so that a future change of it can't be mistaken for this one.
    const LAYOUT: u32 = 1;

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Canonical<'a> {
        layout: u32,
        project: &'a ProjectId,
        model: &'a str,
        parameters: &'a crate::project::InferenceParameters,
        system: &'a str,
        messages: &'a [crate::model::Message],
        guardrail: Option<&'a crate::project::Guardrail>,
        output_schema: Option<Value>,
    }

    let canonical = Canonical {
        layout: LAYOUT,
        project,
        model: &request.model,
        parameters: &request.parameters,
        system: &request.system,
        messages: &request.messages,
        guardrail: request.guardrail.as_ref(),
        output_schema: request.output_schema.as_ref().map(sorted),
    };
    // JSON is written by the character where it is escaped: a hash of single bytes would be slow.
    let mut writer = BufWriter::with_capacity(8 * 1024, HashWriter(Sha256::new()));
    // The writer never fails, and every map in the layout has string keys.
    let written = serde_json::to_writer(&mut writer, &canonical);
    debug_assert!(written.is_ok());
    let flushed = writer.flush();
    debug_assert!(flushed.is_ok());
    crate::text::hex(&writer.into_parts().0.0.finalize())
}

/// The value with every object's keys in byte order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            Value::Object(
                entries
                    .into_iter()
                    .map(|(key, value)| (key.clone(), sorted(value)))
                    .collect::<Map<_, _>>(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        scalar => scalar.clone(),
    }
}

/// Hashes JSON while it is written, so that a 10 MB article is not copied for its key.
struct HashWriter(Sha256);

impl Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Message, project::InferenceParameters};
    use serde_json::json;

    fn request() -> ModelRequest {
        ModelRequest {
            model: "m".into(),
            parameters: InferenceParameters {
                max_tokens: Some(10),
                ..Default::default()
            },
            system: "Summarise.".into(),
            messages: vec![Message::user("text")],
            guardrail: None,
            output_schema: Some(json!({"type": "object", "required": ["a"]})),
            send_schema: true,
        }
    }

    fn key(project: &str, change: impl FnOnce(&mut ModelRequest)) -> String {
        let mut request = request();
        change(&mut request);
        memo_key(&ProjectId::new(project).unwrap(), &request)
    }

    #[test]
    fn everything_that_an_answer_depends_on_changes_the_key() {
        let same = key("p", |_| {});
        assert_ne!(same, key("q", |_| {}), "memo entries never cross projects");
        assert_ne!(same, key("p", |r| r.model.push('x')));
        assert_ne!(same, key("p", |r| r.parameters.temperature = Some(0.1)));
        assert_ne!(same, key("p", |r| r.system.push('x')));
        assert_ne!(same, key("p", |r| r.messages[0].text.push('x')));
        assert_ne!(same, key("p", |r| r.output_schema = None));
    }

    #[test]
    fn what_an_answer_does_not_depend_on_does_not() {
        let same = key("p", |_| {});
        assert_eq!(
            same,
            key("p", |r| r.output_schema =
                Some(json!({"required": ["a"], "type": "object"})))
        );
        assert_eq!(same, key("p", |r| r.send_schema = false));
    }
}
