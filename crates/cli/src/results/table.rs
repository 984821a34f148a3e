//! Results as one table.

use std::io::{self, Write};

use bedrock_diy_core::PromptId;
use serde_json::{Map, Value, json};

use super::Row;

/// Comma-separated values for spreadsheets: UTF-8 with a byte order mark, so that Korean and Chinese
/// open as they are; and no cell is taken for a formula.
pub struct CsvTable<W: Write> {
    writer: csv::Writer<W>,
    cards: Vec<PromptId>,
}

impl<W: Write> CsvTable<W> {
    /// A table with a column for each of these cards.
    pub fn new(mut out: W, cards: Vec<PromptId>) -> io::Result<Self> {
        out.write_all("\u{feff}".as_bytes())?;
        let mut writer = csv::Writer::from_writer(out);
        let fixed = ["article", "status", "error", "message"].into_iter();
        writer
            .write_record(fixed.chain(cards.iter().map(PromptId::as_str)))
            .map_err(io_error)?;
        Ok(Self { writer, cards })
    }

    /// Writes an article's row.
    pub fn write(&mut self, row: &Row) -> io::Result<()> {
        let (code, message) = match &row.error {
            Some(error) => (error.code.as_str(), error.message.as_str()),
            None => ("", ""),
        };
        let outputs = self.cards.iter().map(|card| {
            row.outputs
                .iter()
                .find(|output| output.prompt_id == *card)
                .map_or("", |output| output.text.as_str())
        });
        let fixed = [row.article.as_str(), row.status.as_str(), code, message].into_iter();
        for cell in fixed.chain(outputs) {
            self.writer
                .write_field(no_formula(cell).as_bytes())
                .map_err(io_error)?;
        }
        self.writer.write_record(None::<&[u8]>).map_err(io_error)
    }

    /// Ends the table.
    pub fn finish(mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// What the disk or the reader said, as it said it.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// A spreadsheet takes a cell that begins like this for a formula, and an article may try just that
/// (OWASP, CSV injection): an apostrophe in front makes it text.
fn no_formula(cell: &str) -> std::borrow::Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{cell}").into()
    } else {
        cell.into()
    }
}

/// One JSON document a line, for programs. An output that is JSON is one there too.
pub struct JsonlTable<W: Write> {
    out: W,
}

impl<W: Write> JsonlTable<W> {
    /// A table.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// Writes an article's row.
    pub fn write(&mut self, row: &Row) -> io::Result<()> {
        let outputs: Map<String, Value> = row
            .outputs
            .iter()
            .map(|output| {
                (
                    output.prompt_id.as_str().to_owned(),
                    document_or_text(&output.text),
                )
            })
            .collect();
        let mut line = json!({
            "article": row.article, "jobId": row.job_id, "status": row.status, "outputs": outputs,
            "tokens": row.tokens, "cost": row.cost,
        });
        if let Some(error) = &row.error {
            line["error"] = json!({ "code": error.code, "message": error.message });
        }
        serde_json::to_writer(&mut self.out, &line)?;
        self.out.write_all(b"\n")
    }

    /// Ends the table.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn document_or_text(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(document @ (Value::Object(_) | Value::Array(_))) => document,
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Output, RowError};
    use bedrock_diy_core::{Code, job::JobStatus};

    fn row(text: &str) -> Row {
        Row {
            article: "기사, \"1\".txt".into(),
            job_id: None,
            status: JobStatus::Failed,
            error: Some(RowError {
                code: Code::OutputTruncated,
                message: "Cut.".into(),
            }),
            outputs: vec![Output {
                stage: 1,
                prompt_id: PromptId::new("facts").unwrap(),
                text: text.into(),
            }],
            tokens: 3,
            cost: None,
        }
    }

    #[test]
    fn a_table_has_a_column_for_each_card_and_no_formulas() {
        let mut out = Vec::new();
        let cards = ["facts", "headline"].map(|id| PromptId::new(id).unwrap()).into();
        let mut table = CsvTable::new(&mut out, cards).unwrap();
        table.write(&row("=HYPERLINK(\"x\")")).unwrap();
        table.finish().unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "\u{feff}article,status,error,message,facts,headline\n\
             \"기사, \"\"1\"\".txt\",FAILED,OutputTruncated,Cut.,\"'=HYPERLINK(\"\"x\"\")\",\n"
        );
    }

    #[test]
    fn an_output_that_is_json_is_json_in_the_lines_too() {
        let mut out = Vec::new();
        let mut table = JsonlTable::new(&mut out);
        table.write(&row("{\"who\": [\"a\"]}")).unwrap();
        table.write(&row("42 bridges")).unwrap();
        table.finish().unwrap();
        let lines: Vec<Value> = String::from_utf8(out)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["outputs"]["facts"]["who"][0], "a");
        assert_eq!(lines[1]["outputs"]["facts"], "42 bridges");
        assert_eq!(lines[1]["error"]["code"], "OutputTruncated");
    }
}
