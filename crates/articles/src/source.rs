//! The file under the reader's hands: its bytes with all that an error about it needs.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Limits, ReadError};

/// One file: its name, its bytes and the limits that it is read under.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) name: &'a str,
    pub(crate) bytes: &'a [u8],
    pub(crate) limits: &'a Limits,
}

impl<'a> Source<'a> {
    /// Takes the file in hand if it is neither empty nor longer than the limit.
    pub(crate) fn new(name: &'a str, bytes: &'a [u8], limits: &'a Limits) -> Result<Self, ReadError> {
        let source = Self { name, bytes, limits };
        if bytes.len() as u64 > limits.max_bytes {
            return Err(source.too_large("the file has", limits.max_bytes));
        }
        if bytes.is_empty() {
            return Err(source.has_no_text());
        }
        Ok(source)
    }

    pub(crate) fn unsupported(&self, found: impl Into<String>) -> ReadError {
        ReadError::UnsupportedFormat {
            name: self.name.to_owned(),
            found: found.into(),
        }
    }

    pub(crate) fn unreadable(&self, reason: impl Into<String>) -> ReadError {
        ReadError::UnreadableArticle {
            name: self.name.to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn has_no_text(&self) -> ReadError {
        self.unreadable("it has no text")
    }

    pub(crate) fn is_binary(&self) -> ReadError {
        self.unreadable(
            "it looks like binary data; send the article's text, or a file of a kind that we read",
        )
    }

    pub(crate) fn unpacks_too_large(&self) -> ReadError {
        self.too_large("it unpacks to", self.limits.max_unpacked_bytes)
    }

    /// Refuses a text longer than the limit.
    pub(crate) fn check_text_size(&self, len: usize) -> Result<(), ReadError> {
        if len as u64 > self.limits.max_text_bytes {
            return Err(self.too_large("its text has", self.limits.max_text_bytes));
        }
        Ok(())
    }

    /// Runs a third-party parser of outside bytes. None is known to panic, and one that does all the same must not
    /// take other articles along: what it panics on is a damaged file.
    pub(crate) fn contain<T>(
        &self,
        kind: &str,
        parse: impl FnOnce() -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        // Nothing that `parse` could leave half-changed outlives a panic: it borrows only the bytes.
        catch_unwind(AssertUnwindSafe(parse)).unwrap_or_else(|_| {
            Err(self.unreadable(format!("the {kind} is damaged; save or export it again")))
        })
    }

    fn too_large(&self, what: &'static str, limit: u64) -> ReadError {
        ReadError::ArticleTooLarge {
            name: self.name.to_owned(),
            what,
            limit,
        }
    }
}
