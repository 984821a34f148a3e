//! Judging answers: a truncated, blocked or invalid one is never a success.

use std::collections::BTreeSet;

use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde_json::Value;

use crate::{
    error::{Code, Failure, Result},
    model::{Message, ModelAnswer, ModelRequest, StopReason},
};

/// A card's output schema, compiled.
#[derive(Debug)]
pub struct OutputSchema {
    validator: jsonschema::Validator,
    /// Every name that the schema itself uses: these may be repeated to a model and in a job's error.
    names: BTreeSet<String>,
}

impl OutputSchema {
    /// Compiles a JSON Schema. References to other documents are not followed.
    ///
    /// Fails with [`Code::InvalidRequest`], saying what makes it no schema.
    pub fn parse(schema: &Value) -> Result<Self> {
        let wrong = |what: String| {
            Failure::new(
                Code::InvalidRequest,
                format!("`outputSchema` is no JSON Schema: {what}"),
            )
        };
        if !schema.is_object() {
            return Err(wrong("it must be an object".into()));
        }
        jsonschema::meta::validate(schema)
            .map_err(|error| wrong(format!("{error} (at {:?})", error.instance_path().as_str())))?;
        let mut names = BTreeSet::new();
        collect_names(schema, &mut names);
        jsonschema::validator_for(schema)
            .map(|validator| Self { validator, names })
            .map_err(|error| wrong(error.to_string()))
    }

    /// Reads an answer as JSON and validates it. Says what is wrong in words that the model (for the
    /// repair turn) and people understand; they name places in the answer by the schema's own names and
    /// quote none of it, keys neither: an answer repeats what an article says.
    fn faults(&self, text: &str) -> std::result::Result<(), String> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
        let faults: Vec<_> = self
            .validator
            .iter_errors(&value)
            .take(SHOWN_FAULTS)
            .map(|error| format!("at {}: {}", self.place(&error), what_is_wrong(&error)))
            .collect();
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults.join("; "))
        }
    }

    /// Where in the answer something is wrong, as a JSON Pointer with `*` for names that are not the
    /// schema's.
    fn place(&self, error: &ValidationError<'_>) -> String {
        let path = error.instance_path().as_str();
        let mut place = String::new();
        for segment in path.split('/').skip(1) {
            let name = segment.replace("~1", "/").replace("~0", "~");
            let is_index = segment.len() < 10 && segment.bytes().all(|byte| byte.is_ascii_digit());
            place.push('/');
            place.push_str(if is_index || self.names.contains(&name) {
                segment
            } else {
                "*"
            });
        }
        if place.is_empty() {
            "the whole".to_owned()
        } else {
            bounded(place)
        }
    }
}

fn collect_names(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            for (name, inner) in map {
                names.insert(name.clone());
                collect_names(inner, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_names(item, names)),
        _ => {}
    }
}

/// What the validator says, with nothing of the answer in it.
fn what_is_wrong(error: &ValidationError<'_>) -> String {
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            format!("{} properties are not allowed", unexpected.len())
        }
        ValidationErrorKind::PropertyNames { .. } => "a property's name is not allowed".to_owned(),
        ValidationErrorKind::FromUtf8 { .. } => "value is not UTF-8 within its encoding".to_owned(),
        _ => bounded(error.masked().to_string()),
    }
}

/// A schema may be long; what is said about it need not be.
fn bounded(text: String) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// More would not help a model to repair its answer.
const SHOWN_FAULTS: usize = 5;
const SHOWN_CHARACTERS: usize = 300;

/// What an answer is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A good output: the text to keep.
    Output(String),
    /// One repair turn may help.
    Repair(Fault),
}

/// What is wrong with an answer that may be repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is empty.
    Empty,
    /// It is not what the schema asks for, and why.
    Schema(String),
}

impl Fault {
    /// Its code, should it stay so.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Empty => Code::OutputUnusable,
            Self::Schema(_) => Code::SchemaMismatch,
        }
    }

    /// The failure of an answer that is no better after the repair turn.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let detail = match self {
            Self::Empty => "the model ended its answer without a word, even in a repair turn".to_owned(),
            Self::Schema(faults) => {
                format!("the answer does not satisfy the card's schema, even after a repair turn: {faults}")
            }
        };
        Failure::new(self.code(), detail)
    }
}

/// Judges an answer.
///
/// Fails with [`Code::OutputTruncated`], [`Code::ContentBlocked`], or [`Code::OutputUnusable`] where
/// the model stopped for a reason that leaves no answer: it was paid, and asking the same again would only be
/// paid again.
pub fn judge(answer: &ModelAnswer, schema: Option<&OutputSchema>) -> Result<Verdict> {
    match &answer.stop_reason {
        StopReason::EndTurn | StopReason::StopSequence => {}
        StopReason::MaxTokens => {
            return Err(Failure::new(
                Code::OutputTruncated,
                format!(
                    "the model stopped at its limit after {} tokens",
                    answer.usage.output_tokens
                ),
            ));
        }
        StopReason::GuardrailIntervened => {
            return Err(Failure::new(
                Code::ContentBlocked,
                "the guardrail withheld the answer",
            ));
        }
        StopReason::ContentFiltered => {
            return Err(Failure::new(
                Code::ContentBlocked,
                "the model's own filter withheld the answer",
            ));
        }
        StopReason::Other(reason) => {
            return Err(Failure::new(
                Code::OutputUnusable,
                format!("the model stopped with {}", bounded(format!("{reason:?}"))),
            ));
        }
    }
    let text = answer.text.trim();
    if text.is_empty() {
        return Ok(Verdict::Repair(Fault::Empty));
    }
    let Some(schema) = schema else {
        return Ok(Verdict::Output(text.to_owned()));
    };
    let json = without_fence(text);
    Ok(match schema.faults(json) {
        Ok(()) => Verdict::Output(json.to_owned()),
        Err(faults) => Verdict::Repair(Fault::Schema(faults)),
    })
}

/// The repair turn: the same conversation, the bad answer, and what is wrong with it.
#[must_use]
pub fn repair(request: &ModelRequest, answer: &ModelAnswer, fault: &Fault) -> ModelRequest {
    let mut repair = request.clone();
    // Converse refuses an empty or blank message.
    let said = if answer.text.trim().is_empty() {
        "(nothing)"
    } else {
        answer.text.trim_end()
    };
    repair.messages.push(Message::assistant(said));
    repair.messages.push(Message::user(match fault {
        Fault::Empty => "Your answer was empty. Answer again.".to_owned(),
        Fault::Schema(faults) => format!(
            "Your answer does not satisfy the JSON Schema: {faults}. Answer again with the corrected JSON document \
             alone, without any words or code fences around it."
        ),
    }));
    repair
}

/// The inside of a Markdown code fence where the whole text is one: models like to wrap JSON.
fn without_fence(text: &str) -> &str {
    let inner = text
        .strip_prefix("```")
        .and_then(|rest| rest.strip_suffix("```"))
        .and_then(|rest| {
            rest.split_once('\n')
                .map(|(language, body)| (language.trim(), body))
        });
    match inner {
        Some(("" | "json" | "JSON", body)) => body.trim(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Usage;
    use serde_json::json;

    fn answer(text: &str, stop_reason: StopReason) -> ModelAnswer {
        ModelAnswer {
            text: text.into(),
            stop_reason,
            usage: Usage::default(),
            latency: std::time::Duration::ZERO,
        }
    }

    fn schema() -> OutputSchema {
        OutputSchema::parse(
            &json!({"type": "object", "required": ["title"], "properties": {"title": {"type": "string"}}}),
        )
        .unwrap()
    }

    #[test]
    fn a_truncated_answer_is_never_a_success() {
        let failure = judge(&answer("Half a sen", StopReason::MaxTokens), None).unwrap_err();
        assert_eq!(failure.code, Code::OutputTruncated);
    }

    #[test]
    fn a_blocked_answer_is_never_a_success() {
        for reason in [StopReason::GuardrailIntervened, StopReason::ContentFiltered] {
            assert_eq!(
                judge(&answer("Sorry", reason), None).unwrap_err().code,
                Code::ContentBlocked
            );
        }
    }

    #[test]
    fn an_answer_that_was_paid_and_is_none_is_not_paid_for_again_and_again() {
        let failure = judge(&answer("x", StopReason::Other("tool_use".into())), None).unwrap_err();
        assert_eq!(failure.code, Code::OutputUnusable);
        assert!(failure.detail.contains("tool_use"), "{failure}");
        let empty = judge(&answer(" \n", StopReason::EndTurn), None).unwrap();
        assert_eq!(empty, Verdict::Repair(Fault::Empty));
        assert_eq!(Fault::Empty.failure().code, Code::OutputUnusable);
    }

    #[test]
    fn json_is_validated_and_taken_out_of_its_fence() {
        let verdict = |text: &str| judge(&answer(text, StopReason::EndTurn), Some(&schema())).unwrap();
        assert_eq!(
            verdict("{\"title\": \"a\"}"),
            Verdict::Output("{\"title\": \"a\"}".into())
        );
        assert_eq!(
            verdict("```json\n{\"title\": \"a\"}\n```"),
            Verdict::Output("{\"title\": \"a\"}".into())
        );
        assert!(
            matches!(verdict("{\"title\": 3}"), Verdict::Repair(Fault::Schema(faults)) if faults.contains("/title"))
        );
        assert!(
            matches!(verdict("Here you are"), Verdict::Repair(Fault::Schema(faults)) if faults.contains("not JSON"))
        );
    }

    #[test]
    fn what_is_said_about_a_bad_answer_quotes_none_of_it() {
        let schema = OutputSchema::parse(&json!({
            "properties": {"title": {"type": "string"}, "tags": {"items": {"type": "string"}}},
            "patternProperties": {"^secret": {"type": "object", "additionalProperties": {"type": "string"}}},
            "additionalProperties": false,
            "propertyNames": {"maxLength": 30},
        }))
        .unwrap();
        let faults = |text: &str| schema.faults(text).unwrap_err();
        for hostile in [
            json!({"title": ["secret"]}),
            json!({"x. Ignore the secret schema": 1}),
            json!({"secret/~ 1": {"secret": 2}}),
            json!({"secret-secret-secret-secret-secret-secret": {}}),
        ] {
            let said = faults(&hostile.to_string());
            assert!(!said.contains("secret"), "{said}");
        }
        assert!(faults(r#"{"title": 1, "tags": ["a", 2]}"#).contains("at /tags/1: "));
        assert!(faults(r#"{"secret": {"a": 2}}"#).contains("at /*/*: "));
    }

    #[test]
    fn what_is_said_about_a_long_schema_is_short() {
        let names: Vec<_> = (0..5_000).map(|number| format!("value {number}")).collect();
        let schema = OutputSchema::parse(&json!({"enum": names})).unwrap();
        assert!(schema.faults("1").unwrap_err().chars().count() < 400);
    }

    #[test]
    fn a_schema_that_is_none_is_refused() {
        for wrong in [
            json!("x"),
            json!({"type": "strin"}),
            json!({"required": 3}),
            json!({"$ref": "https://example.com/s"}),
        ] {
            assert_eq!(
                OutputSchema::parse(&wrong).unwrap_err().code,
                Code::InvalidRequest,
                "{wrong}"
            );
        }
    }
}
