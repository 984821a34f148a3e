//! Judging answers: a truncated, blocked or invalid one is never a success.

use serde_json::Value;

use crate::{
    error::{Code, Failure, Result},
    model::{Message, ModelAnswer, ModelRequest, StopReason},
};

/// A card's output schema, compiled.
#[derive(Debug)]
pub struct OutputSchema(jsonschema::Validator);

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
        jsonschema::validator_for(schema)
            .map(Self)
            .map_err(|error| wrong(error.to_string()))
    }

    /// Reads an answer as JSON and validates it. Says what is wrong in words that the model (for the
    /// repair turn) and people understand; they name places in the answer and quote none of it.
    fn faults(&self, text: &str) -> std::result::Result<(), String> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
        let faults: Vec<_> = self
            .0
            .iter_errors(&value)
            .take(SHOWN_FAULTS)
            .map(|error| {
                let place = error.instance_path().as_str();
                let place = if place.is_empty() { "the whole" } else { place };
                format!("at {place}: {}", error.masked())
            })
            .collect();
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults.join("; "))
        }
    }
}

/// More would not help a model to repair its answer.
const SHOWN_FAULTS: usize = 5;

/// What an answer is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A good output: the text to keep.
    Output(String),
    /// Not what the schema asks for, and why: one repair turn may help.
    Repair(String),
}

/// Judges an answer.
///
/// Fails with [`Code::OutputTruncated`], [`Code::ContentBlocked`], or [`Code::ModelUnavailable`] where
/// the answer is no answer.
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
                Code::ModelUnavailable,
                format!("the model stopped with {reason:?}"),
            ));
        }
    }
    let text = answer.text.trim();
    if text.is_empty() {
        return Err(Failure::new(
            Code::ModelUnavailable,
            "the model ended its answer without a word",
        ));
    }
    let Some(schema) = schema else {
        return Ok(Verdict::Output(text.to_owned()));
    };
    let json = without_fence(text);
    Ok(match schema.faults(json) {
        Ok(()) => Verdict::Output(json.to_owned()),
        Err(faults) => Verdict::Repair(faults),
    })
}

/// The failure of an answer that is not what the schema asks for even after the repair turn.
#[must_use]
pub fn mismatch(faults: &str) -> Failure {
    Failure::new(
        Code::SchemaMismatch,
        format!("the answer does not satisfy the card's schema, even after a repair turn: {faults}"),
    )
}

/// The repair turn: the same conversation, the bad answer, and what is wrong with it.
#[must_use]
pub fn repair(request: &ModelRequest, answer: &ModelAnswer, faults: &str) -> ModelRequest {
    let mut repair = request.clone();
    // Converse refuses an empty or blank message.
    let said = if answer.text.trim().is_empty() {
        "(nothing)"
    } else {
        answer.text.trim_end()
    };
    repair.messages.push(Message::assistant(said));
    repair.messages.push(Message::user(format!(
        "Your answer does not satisfy the JSON Schema: {faults}. Answer again with the corrected JSON document alone, \
         without any words or code fences around it."
    )));
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
    fn an_answer_that_is_none_is_tried_again() {
        for (text, reason) in [
            (" \n", StopReason::EndTurn),
            ("x", StopReason::Other("tool_use".into())),
        ] {
            assert_eq!(
                judge(&answer(text, reason), None).unwrap_err().code,
                Code::ModelUnavailable
            );
        }
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
        assert!(matches!(verdict("{\"title\": 3}"), Verdict::Repair(faults) if faults.contains("/title")));
        assert!(matches!(verdict("Here you are"), Verdict::Repair(faults) if faults.contains("not JSON")));
    }

    #[test]
    fn what_is_said_about_a_bad_answer_quotes_none_of_it() {
        let Verdict::Repair(faults) = judge(
            &answer("{\"title\": [\"secret\"]}", StopReason::EndTurn),
            Some(&schema()),
        )
        .unwrap() else {
            panic!("that satisfies no schema")
        };
        assert!(!faults.contains("secret"), "{faults}");
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
