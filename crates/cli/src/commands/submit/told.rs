//! What is said of submitted files, and of their jobs.

use bedrock_diy_core::{JobId, error::Result, job::JobStatus};
use serde_json::json;

use super::{Jobs, Submitted, Why};
use crate::{
    arguments::Submit,
    exit::Exit,
    terminal::{plain, print, say},
    text::grouped,
};

/// Prints a line each, and counts.
pub(super) struct Told {
    pub(super) json: bool,
    /// Whether what is printed are outputs, or events, and no lines of jobs.
    follows: bool,
    submitted: u64,
    before: u64,
    failed: u64,
}

impl Told {
    pub(super) fn new(arguments: &Submit) -> Self {
        Self {
            json: arguments.json,
            follows: arguments.follow,
            submitted: 0,
            before: 0,
            failed: 0,
        }
    }

    /// A file whose jobs are not waited for.
    pub(super) fn submitted(&mut self, file: &Submitted) -> Result<()> {
        match &file.jobs {
            Jobs::One { id, status, before } => {
                self.count(*before, 1);
                self.line(&file.name, Some(id), status.as_str(), *before)
            }
            Jobs::Uploaded { before, records, .. } => {
                self.count(*before, *records as u64);
                self.line(&file.name, None, "UPLOADED", *before)
            }
            Jobs::Refused(why) => self.refused(&file.name, why),
        }
    }

    /// A file that can't be an article.
    pub(super) fn refused(&mut self, name: &str, why: &Why) -> Result<()> {
        self.failed += 1;
        let Why { code, message } = why;
        if self.json {
            return print(json!({ "article": name, "error": { "code": code, "message": message } }));
        }
        say(format_args!("{}: {code}: {message}", plain(name)));
        Ok(())
    }

    /// A job that has ended.
    pub(super) fn ended(&mut self, name: &str, job: &JobId, status: JobStatus, before: bool) -> Result<()> {
        self.count(before, 1);
        self.failed += u64::from(status != JobStatus::Succeeded);
        self.line(name, Some(job), status.as_str(), before)
    }

    /// Says how it went all in all.
    pub(super) fn finish(self) -> Exit {
        let mut text = format!("{} submitted", grouped(self.submitted));
        if self.before > 0 {
            text += &format!(", {} had been before", grouped(self.before));
        }
        if self.failed > 0 {
            text += &format!(", {} failed", grouped(self.failed));
        }
        say(text);
        if self.failed == 0 {
            Exit::Success
        } else {
            Exit::SomeFailed
        }
    }

    fn count(&mut self, before: bool, jobs: u64) {
        if before {
            self.before += jobs;
        } else {
            self.submitted += jobs;
        }
    }

    fn line(&self, name: &str, job: Option<&JobId>, status: &str, before: bool) -> Result<()> {
        if self.follows {
            if let Some(job) = job.filter(|_| !self.json) {
                say(format_args!("{job}  {status}  {}", plain(name)));
            }
            return Ok(());
        }
        if self.json {
            let mut line = json!({ "article": name, "status": status, "submittedBefore": before });
            if let Some(job) = job {
                line["jobId"] = json!(job);
            }
            return print(line);
        }
        let job = job.map_or("-", JobId::as_str);
        print(format_args!("{job:<26}  {status:<9}  {}", plain(name)))
    }
}
