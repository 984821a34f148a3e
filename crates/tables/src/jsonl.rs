//! JSON Lines, for programs.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use crate::Row;

/// One JSON document a line. An output that is JSON is one there too, so that its fields need no columns.
pub(crate) struct JsonlTable<W> {
    out: W,
}

impl<W: Write> JsonlTable<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out }
    }

    pub(crate) fn write(&mut self, row: &Row) -> io::Result<()> {
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
        // In one piece: a writer is asked once a row.
        let mut line = serde_json::to_vec(&line)?;
        line.push(b'\n');
        self.out.write_all(&line)
    }

    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    pub(crate) fn out_mut(&mut self) -> &mut W {
        &mut self.out
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
    use bedrock_diy_core::Code;

    use super::*;
    use crate::{
        Columns, Format, RowError,
        testing::{row, table},
    };

    #[test]
    fn an_output_that_is_json_is_json_in_the_lines_too() {
        let failed = Row {
            error: Some(RowError {
                code: Code::OutputTruncated,
                message: "Cut.".into(),
            }),
            ..row([("facts", "42 bridges\nof 서울")])
        };
        let rows = [row([("facts", "{\"who\": [\"a\"]}")]), failed];
        let lines: Vec<Value> = String::from_utf8(table(Format::Jsonl, Columns::default(), &rows))
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["outputs"]["facts"]["who"][0], "a");
        assert_eq!(lines[0].get("error"), None);
        assert_eq!(lines[1]["outputs"]["facts"], "42 bridges\nof 서울");
        assert_eq!(lines[1]["error"]["code"], "OutputTruncated");
        assert_eq!(lines[1]["jobId"], "01ARZ3NDEKTSV4RRFFQ69G5FAV");
    }
}
