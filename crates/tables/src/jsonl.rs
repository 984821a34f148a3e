//! JSON Lines, for programs.

use std::io::{self, Write};

use bedrock_diy_core::{Code, JobId, job::JobStatus};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::{Output, Row, document::document};

/// One JSON document a line. An output that is JSON is one there too, so that its fields need no columns.
pub(crate) struct JsonlTable<W> {
    out: W,
}

impl<W: Write> JsonlTable<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out }
    }

    pub(crate) fn write(&mut self, row: &Row) -> io::Result<()> {
        let line = Line {
            article: &row.article,
            job_id: row.job_id.as_ref(),
            status: row.status,
            outputs: &row.outputs,
            tokens: row.tokens,
            cost: row.cost,
            error: row.error.as_ref().map(|error| LineError {
                code: error.code,
                message: &error.message,
            }),
        };
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    article: &'a str,
    job_id: Option<&'a JobId>,
    status: JobStatus,
    #[serde(serialize_with = "by_card")]
    outputs: &'a [Output],
    tokens: u64,
    cost: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<LineError<'a>>,
}

#[derive(Serialize)]
struct LineError<'a> {
    code: Code,
    message: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum DocumentOrText<'a> {
    Document(Box<RawValue>),
    Text(&'a str),
}

fn by_card<S: Serializer>(outputs: &[Output], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(outputs.iter().map(|output| {
        let said =
            document(&output.text).map_or(DocumentOrText::Text(&output.text), DocumentOrText::Document);
        (output.prompt_id.as_str(), said)
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

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

    #[test]
    fn a_line_is_one_line_and_its_numbers_are_those_of_the_output() {
        let output = "{\n  \"id\": 12345678901234567890123,\n  \"share\": 0.10\n}";
        let line = table(
            Format::Jsonl,
            Columns::default(),
            &[row([("facts", output), ("count", "12345678901234567890123")])],
        );
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "{\"article\":\"a.txt\",\"jobId\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"status\":\"SUCCEEDED\",\
             \"outputs\":{\"facts\":{\"id\":12345678901234567890123,\"share\":0.10},\
             \"count\":\"12345678901234567890123\"},\"tokens\":3,\"cost\":0.0000125}\n"
        );
    }
}
