//! The table at the end of a run.

use std::{collections::BTreeMap, path::Path};

use bedrock_diy_core::{Code, error::Result, job::JobStatus};
use bedrock_diy_tables::Row;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};

use crate::{
    progress::Tally,
    terminal::print,
    text::{dollars, duration, grouped},
};

/// What came of a run's articles.
#[derive(Debug, Default)]
pub(super) struct Summary {
    succeeded: u64,
    done_before: u64,
    failed: BTreeMap<Code, u64>,
    cancelled: u64,
    open: u64,
}

impl Summary {
    /// Counts an article.
    pub(super) fn add(&mut self, row: &Row, done_before: bool) {
        match (row.status, &row.error) {
            (JobStatus::Succeeded, _) => {
                self.succeeded += 1;
                self.done_before += u64::from(done_before);
            }
            (JobStatus::Failed, error) => {
                let code = error.as_ref().map_or(Code::InternalError, |error| error.code);
                *self.failed.entry(code).or_default() += 1;
            }
            (JobStatus::Cancelled, _) => self.cancelled += 1,
            (JobStatus::Accepted | JobStatus::Running, _) => self.open += 1,
        }
    }

    /// Whether every article succeeded.
    pub(super) fn all_succeeded(&self) -> bool {
        self.failed.is_empty() && self.cancelled == 0 && self.open == 0
    }

    /// Prints the table.
    pub(super) fn print(&self, tally: &Tally, out: &Path) -> Result<()> {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        let before = if self.done_before == 0 {
            String::new()
        } else {
            format!(" ({} before this run)", grouped(self.done_before))
        };
        table.add_row([
            "Succeeded".to_owned(),
            format!("{}{before}", grouped(self.succeeded)),
        ]);
        for (code, count) in &self.failed {
            table.add_row([format!("Failed: {code}"), grouped(*count)]);
        }
        if self.cancelled > 0 {
            table.add_row(["Cancelled".to_owned(), grouped(self.cancelled)]);
        }
        if self.open > 0 {
            table.add_row([
                "Not finished".to_owned(),
                format!("{} (the same command goes on)", grouped(self.open)),
            ]);
        }
        table.add_row([
            "Stages".to_owned(),
            format!(
                "{} asked, {} from the memo",
                grouped(tally.asked),
                grouped(tally.from_memo)
            ),
        ]);
        let usage = tally.usage;
        table.add_row([
            "Tokens".to_owned(),
            format!(
                "{} read, {} written",
                grouped(usage.total() - usage.output_tokens),
                grouped(usage.output_tokens)
            ),
        ]);
        table.add_row(["Estimated cost".to_owned(), dollars(tally.cost)]);
        table.add_row(["Time".to_owned(), duration(tally.began.elapsed())]);
        print(table)?;
        print(format_args!(
            "Results: {0}/results.csv, {0}/results.jsonl, {0}/articles/",
            out.display()
        ))
    }
}
