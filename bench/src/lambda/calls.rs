//! The calls that functions make: those that are documented, and those that were made.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{Outcome, function::Name};

/// Where the calls on an article's way are documented.
const DOCUMENTATION: &str = include_str!("../../../crates/aws/src/lib.rs");

/// A call of a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call {
    /// As the service names it.
    pub(crate) operation: String,
    /// The table or bucket.
    pub(crate) place: String,
}

/// The calls that were made since somebody last looked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<Call>>>);

impl Journal {
    pub(crate) fn note(&self, operation: &str, place: &str) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(Call {
            operation: operation.to_owned(),
            place: place.to_owned(),
        });
    }

    pub(crate) fn take(&self) -> Vec<Call> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The operations of one invocation, sorted, as the documentation's table has them; with those that are made
/// only where the article's file is no text, or without.
pub(crate) fn documented(function: Name, is_text: bool) -> Outcome<Vec<String>> {
    let row = DOCUMENTATION
        .lines()
        .find_map(|line| line.strip_prefix(&format!("//! | {} | ", function.as_str())))
        .ok_or_else(|| format!("the table of calls has no row for {}", function.as_str()))?;
    let mut operations: Vec<_> = row
        .split(", ")
        .filter(|step| !(is_text && step.contains("(where the file is none)")))
        .filter_map(|step| step.split('`').nth(1))
        .map(str::to_owned)
        .collect();
    operations.sort();
    if operations.is_empty() {
        return Err(format!("the table of calls says nothing of {}", function.as_str()).into());
    }
    Ok(operations)
}

/// What an invocation called, by why it did.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    /// What the table lists, sorted.
    pub(crate) own: Vec<String>,
    /// Pipeline and card revisions, which are immutable and read, or kept, once by each process.
    pub(crate) once: usize,
    /// Whether the model has a line by now: asked again after a second.
    pub(crate) quota: usize,
}

impl Sorted {
    /// `quota`, `revisions` and `prompts` are the tables and the bucket of what the table leaves out.
    pub(crate) fn new(calls: Vec<Call>, quota: &str, once: [&str; 2]) -> Self {
        let mut sorted = Self::default();
        for call in calls {
            if call.place == quota {
                sorted.quota += 1;
            } else if once.contains(&call.place.as_str()) {
                sorted.once += 1;
            } else {
                sorted.own.push(call.operation);
            }
        }
        sorted.own.sort();
        sorted
    }

    pub(crate) fn len(&self) -> usize {
        self.own.len() + self.once + self.quota
    }
}
