//! Failures as Lambda reports them.

use bedrock_diy_core::{Code, Failure, error::Result};
use lambda_runtime::Diagnostic;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A failure as Lambda's runtime takes it: `errorType` is the code, `errorMessage` what happened.
#[derive(Debug)]
pub struct Refused(Failure);

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl From<Refused> for Diagnostic {
    fn from(Refused(failure): Refused) -> Self {
        Self {
            error_type: failure.code.as_str().to_owned(),
            error_message: failure.detail,
        }
    }
}

/// What a function was sent, as it expects it.
pub(crate) fn parse<I: DeserializeOwned>(payload: Value) -> Result<I> {
    serde_json::from_value(payload).map_err(|error| {
        Failure::new(
            Code::InternalError,
            format!("the function was sent what it does not know: {error}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_the_error_s_type_as_the_state_machine_reads_it() {
        for code in Code::ALL {
            let diagnostic = Diagnostic::from(Refused::from(Failure::new(code, "why")));
            assert_eq!(diagnostic.error_type, code.as_str());
            assert_eq!(diagnostic.error_message, "why");
        }
    }
}
