//! What stands in a row, column by column.

use std::{borrow::Cow, collections::BTreeMap};

use bedrock_diy_core::JobId;
use serde_json::value::RawValue;

use crate::{CardColumn, Columns, Row, document::in_one_line};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text.
    Text,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Number,
}

/// What stands in a row under a column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell<'a> {
    /// Nothing.
    Missing,
    /// Text, possibly from outside.
    Text(Cow<'a, str>),
    /// A number or boolean of an output, as it is written there: no formula, whatever it begins with.
    Literal(String),
    /// A whole number.
    Integer(u64),
    /// A number.
    Number(f64),
}

impl Columns {
    /// The cells of a row, one for each column, in their order.
    pub(crate) fn cells<'a>(&self, row: &'a Row) -> Vec<Cell<'a>> {
        let error = row.error.as_ref();
        let mut cells = vec![
            text(Some(row.article.as_str())),
            text(Some(row.status.as_str())),
            text(error.map(|error| error.code.as_str())),
            text(error.map(|error| error.message.as_str())),
        ];
        for card in &self.cards {
            let output = row.output(&card.prompt_id);
            cells.push(text(output));
            push_fields(&mut cells, card, output);
        }
        cells.extend([
            Cell::Integer(row.tokens),
            row.cost.map_or(Cell::Missing, Cell::Number),
            text(row.job_id.as_ref().map(JobId::as_str)),
        ]);
        cells
    }
}

fn text(text: Option<&str>) -> Cell<'_> {
    text.map_or(Cell::Missing, |text| Cell::Text(text.into()))
}

/// The fields of an output. A revision without a schema may have answered anything: nothing then.
fn push_fields(cells: &mut Vec<Cell<'_>>, card: &CardColumn, output: Option<&str>) {
    if card.fields.is_empty() {
        return;
    }
    let document: BTreeMap<String, &RawValue> = output
        .and_then(|output| serde_json::from_str(output).ok())
        .unwrap_or_default();
    cells.extend(card.fields.iter().map(|name| match document.get(name) {
        Some(value) => field(value.get()),
        None => Cell::Missing,
    }));
}

/// What stands under a field that holds this JSON.
fn field(json: &str) -> Cell<'static> {
    match json.as_bytes().first() {
        None | Some(b'n') => Cell::Missing,
        // A text that is none in Unicode (half a surrogate pair) stays as it is written.
        Some(b'"') => Cell::Text(
            serde_json::from_str(json)
                .unwrap_or_else(|_| json.to_owned())
                .into(),
        ),
        Some(b'[' | b'{') => Cell::Text(in_one_line(json).into()),
        Some(_) => Cell::Literal(json.to_owned()),
    }
}
