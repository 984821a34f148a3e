//! Results as tables: a row an article, a column a card, and one more for each field of a card whose
//! answers are JSON of a known shape.
//!
//! [`Columns`] says what columns a table has, [`Row`] what came of one article, and [`Table`] writes rows in
//! a [`Format`] as they come: a table of any size goes through in bounded memory.

mod cell;
mod columns;
mod csv;
mod document;
mod format;
mod formula;
mod jsonl;
mod parquet;
mod row;
mod table;
#[cfg(test)]
mod testing;

pub use columns::{CardColumn, Columns};
pub use format::Format;
pub use row::{Output, Row, RowError};
pub use table::Table;
