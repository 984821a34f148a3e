//! Comma-separated values (RFC 4180, with line feeds between the rows), for spreadsheets.

use std::io::{self, Write};

use crate::{Columns, Row, cell::Cell, formula};

/// Says that the file is UTF-8: without it, Excel shows Korean and Chinese as gibberish.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A CSV table. No text in it is taken for a formula; numbers stay numbers.
pub(crate) struct CsvTable<W> {
    out: W,
    columns: Columns,
    line: String,
}

impl<W: Write> CsvTable<W> {
    pub(crate) fn new(columns: Columns, out: W) -> io::Result<Self> {
        let mut table = Self {
            out,
            line: BYTE_ORDER_MARK.to_owned(),
            columns,
        };
        for name in table.columns.names() {
            table.push(&formula::neutral(&name));
        }
        table.end_line()?;
        Ok(table)
    }

    pub(crate) fn write(&mut self, row: &Row) -> io::Result<()> {
        for cell in self.columns.cells(row) {
            match cell {
                Cell::Missing => self.push(""),
                Cell::Text(text) => self.push(&formula::neutral(&text)),
                Cell::Literal(text) => self.push(&text),
                Cell::Integer(number) => self.push(&number.to_string()),
                Cell::Number(number) => self.push(&number.to_string()),
            }
        }
        self.end_line()
    }

    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    pub(crate) fn out_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Appends a cell and the comma after it.
    fn push(&mut self, cell: &str) {
        if cell.contains([',', '"', '\r', '\n']) {
            self.line.push('"');
            self.line.push_str(&cell.replace('"', "\"\""));
            self.line.push('"');
        } else {
            self.line.push_str(cell);
        }
        self.line.push(',');
    }

    /// Writes the line, with a line feed for the last comma.
    fn end_line(&mut self) -> io::Result<()> {
        self.line.pop();
        self.line.push('\n');
        let written = self.out.write_all(self.line.as_bytes());
        self.line.clear();
        written
    }
}

#[cfg(test)]
mod tests {
    use bedrock_diy_core::Code;
    use proptest::prelude::*;
    use serde_json::json;

    use crate::{
        Columns, Format, Row, RowError,
        testing::{card, columns, row, table},
    };

    fn text(columns: Columns, rows: &[Row]) -> String {
        String::from_utf8(table(Format::Csv, columns, rows)).unwrap()
    }

    #[test]
    fn a_table_has_a_column_for_each_card_and_no_formulas() {
        let failed = Row {
            article: "기사, \"1\".txt".into(),
            error: Some(RowError {
                code: Code::OutputTruncated,
                message: "Cut.".into(),
            }),
            ..row([("facts", "=HYPERLINK(\"x\")")])
        };
        assert_eq!(
            text(columns([("facts", &[]), ("headline", &[])]), &[failed]),
            "\u{feff}article,status,error,message,facts,headline,tokens,cost,jobId\n\
             \"기사, \"\"1\"\".txt\",SUCCEEDED,OutputTruncated,Cut.,\"'=HYPERLINK(\"\"x\"\")\",,\
             3,0.0000125,01ARZ3NDEKTSV4RRFFQ69G5FAV\n"
        );
    }

    #[test]
    fn fields_have_columns_of_their_own_and_numbers_stay_numbers() {
        let columns = columns([("facts", &["who", "score", "sure", "more", "none"])]);
        let document = json!({
            "score": -1.5, "who": "@김 先生", "sure": true, "more": ["a"], "none": null, "unknown": 1
        });
        let rows = [
            row([("facts", &document.to_string())]),
            row([("facts", "no JSON")]),
            row([]),
        ];
        let text = text(columns, &rows);
        let mut reader = ::csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
        let head = reader.headers().unwrap().clone();
        assert_eq!(
            head.iter().skip(4).take(6).collect::<Vec<_>>(),
            [
                "facts",
                "facts.who",
                "facts.score",
                "facts.sure",
                "facts.more",
                "facts.none"
            ]
        );
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(
            rows[0].iter().skip(5).take(5).collect::<Vec<_>>(),
            ["'@김 先生", "-1.5", "true", "[\"a\"]", ""]
        );
        assert_eq!(
            rows[1].iter().skip(4).take(6).collect::<Vec<_>>(),
            ["no JSON", "", "", "", "", ""]
        );
        assert!(rows[2].iter().skip(4).take(6).all(str::is_empty));
    }

    #[test]
    fn numbers_of_an_output_are_not_changed() {
        let columns = columns([("facts", &["id", "share", "all", "far"])]);
        let output = "{\"id\": 12345678901234567890123, \"share\": -0.10, \"far\": 1e400,\n\
                      \"all\": [ 12345678901234567890123, {\"\\u0061\": 1.0} ]}";
        let text = text(columns, &[row([("facts", output)])]);
        let mut reader = ::csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
        let row = reader.records().next().unwrap().unwrap();
        assert_eq!(
            row.iter().skip(4).take(5).collect::<Vec<_>>(),
            [
                output,
                "12345678901234567890123",
                "-0.10",
                "[12345678901234567890123,{\"a\":1.0}]",
                "1e400"
            ]
        );
    }

    proptest! {
        #[test]
        fn whatever_is_in_the_cells_every_reader_finds_them_again(
            rows in proptest::collection::vec((".*", "[,;\"'\r\n\t=+@a기事-]{0,12}"), 0..8)
        ) {
            let written: Vec<_> = rows
                .iter()
                .map(|(article, output)| Row { article: article.clone(), ..row([("facts", output)]) })
                .collect();
            let text = text(Columns { cards: vec![card("facts", &[])] }, &written);
            let mut reader = ::csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
            let mut count = 0;
            for (record, (article, output)) in reader.records().zip(&rows) {
                let record = record.unwrap();
                for (cell, said) in [(&record[0], article), (&record[4], output)] {
                    prop_assert!(cell == said || cell.strip_prefix('\'') == Some(said));
                    prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']));
                }
                count += 1;
            }
            prop_assert_eq!(count, rows.len());
        }
    }
}
