//! Who follows what, over a connection that stays open.

use std::{fmt, str::FromStr};

use crate::{
    error::{Code, Failure, Result},
    ids::{BatchId, JobId, ProjectId},
};

/// Names a connection that stays open: API Gateway's id of it, or one of this process.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(String);

impl ConnectionId {
    /// Takes the id as it is.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What can be followed.
///
/// As text: `job/01ARZ…`, `batch/news/monday`, `project/news`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A job: each of its events, in order, and its answers while they are written.
    Job(JobId),
    /// All jobs of a batch: their events, without pieces of answers.
    Batch(ProjectId, BatchId),
    /// All jobs of a project: their events, without pieces of answers.
    Project(ProjectId),
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job(job) => write!(f, "job/{job}"),
            Self::Batch(project, batch) => write!(f, "batch/{project}/{batch}"),
            Self::Project(project) => write!(f, "project/{project}"),
        }
    }
}

impl FromStr for Topic {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Failure::new(
                Code::InternalError,
                format!("{text:?} is nothing that can be followed"),
            )
        };
        match text.split_once('/').ok_or_else(wrong)? {
            ("job", job) => Ok(Self::Job(JobId::new(job)?)),
            ("project", project) => Ok(Self::Project(ProjectId::new(project)?)),
            ("batch", both) => {
                let (project, batch) = both.split_once('/').ok_or_else(wrong)?;
                Ok(Self::Batch(ProjectId::new(project)?, BatchId::new(batch)?))
            }
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_reads_as_it_is_written() {
        for text in [
            "job/01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "batch/news/Monday 7.30",
            "project/news",
        ] {
            assert_eq!(text.parse::<Topic>().unwrap().to_string(), text);
        }
        for wrong in ["", "job", "job/x", "batch/news", "card/news"] {
            assert!(wrong.parse::<Topic>().is_err(), "{wrong}");
        }
    }
}
