//! What is wrong with a project's files, and where.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// One thing that is wrong with a project's files.
///
/// It prints as `cards/10-facts.md:4:3: …`, which terminals and editors make a link of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileFault {
    /// The file or folder.
    pub path: PathBuf,
    /// Where in the file, if it is about a place in it.
    pub place: Option<Place>,
    /// What is wrong and what to do. It names fields and variables, and quotes no prompt.
    pub message: String,
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1, where it is known.
    pub column: Option<usize>,
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(place) = self.place {
            write!(f, ":{}", place.line)?;
            if let Some(column) = place.column {
                write!(f, ":{column}")?;
            }
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for FileFault {}

impl Place {
    /// The beginning of a line.
    pub(super) fn line(line: usize) -> Self {
        Self { line, column: None }
    }

    /// The place of a byte of this text.
    pub(super) fn of_byte(text: &str, byte: usize) -> Self {
        let before = &text[..text.floor_char_boundary(byte)];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Self {
            line: 1 + before.matches('\n').count(),
            column: Some(1 + before[line_start..].chars().count()),
        }
    }

    /// The same place in a text that begins on this line of the file.
    pub(super) fn below(self, first_line: usize) -> Self {
        Self {
            line: self.line + first_line - 1,
            ..self
        }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// Collects what is wrong with one file.
#[derive(Debug, Clone)]
pub(super) struct Faults {
    path: PathBuf,
    found: Vec<FileFault>,
}

impl Faults {
    pub(super) fn of(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            found: Vec::new(),
        }
    }

    /// Something is wrong with the file as a whole.
    pub(super) fn whole(&mut self, message: impl Into<String>) {
        self.add(None, message);
    }

    /// Something is wrong here.
    pub(super) fn at(&mut self, place: Place, message: impl Into<String>) {
        self.add(Some(place), message);
    }

    pub(super) fn into_found(self) -> Vec<FileFault> {
        self.found
    }

    fn add(&mut self, place: Option<Place>, message: impl Into<String>) {
        self.found.push(FileFault {
            path: self.path.clone(),
            place,
            message: message.into(),
        });
    }
}
