//! What is wrong with a document that somebody wrote: all of it at once, each fault with its place.

use crate::error::{Code, Failure, Result};

/// Something that is wrong with a document that somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What kind of fault it is.
    pub code: Code,
    /// Where it is: a JSON Pointer (RFC 6901) into the document, such as `/settings/parameters/topP`. Empty for
    /// the document as a whole.
    pub field: String,
    /// What is wrong, and what is allowed: a sentence without a full stop.
    pub detail: String,
}

impl Fault {
    /// A fault of this code, in this place.
    #[must_use]
    pub fn new(code: Code, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            code,
            field: field.into(),
            detail: detail.into(),
        }
    }

    /// Something that was written and makes no sense.
    pub(crate) fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, field, detail)
    }
}

/// A failure that says all of them; `Ok` where there are none. Its code is the first one's.
pub fn check(faults: &[Fault]) -> Result<()> {
    let Some(first) = faults.first() else {
        return Ok(());
    };
    let mut details: Vec<&str> = Vec::new();
    for fault in faults {
        // One sentence may be about several fields.
        if !details.contains(&fault.detail.as_str()) {
            details.push(&fault.detail);
        }
    }
    Err(Failure::new(first.code, details.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_all_faults_and_no_sentence_twice() {
        check(&[]).unwrap();
        let faults = [
            Fault::new(Code::TemplateInvalid, "/content", "the card is empty"),
            Fault::invalid("/tags/0", "a tag is too long"),
            Fault::invalid("/tags/1", "a tag is too long"),
        ];
        let failure = check(&faults).unwrap_err();
        assert_eq!(failure.code, Code::TemplateInvalid);
        assert_eq!(failure.detail, "the card is empty; a tag is too long");
    }
}
