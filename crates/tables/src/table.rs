//! A table that is written row by row.

use std::io::{self, Write};

use crate::{Columns, Format, Row, csv::CsvTable, jsonl::JsonlTable, parquet::ParquetTable};

/// A table that is written row by row, in bounded memory: CSV and JSON Lines hold no row back, Parquet a few
/// megabytes of them (see [`Table::write`]).
///
/// A writer that is a `Vec<u8>` makes a stream: take what is there after each row, and what is left after the
/// end.
///
/// ```
/// # use bedrock_diy_tables::{Columns, Format, Row, Table};
/// # fn stream(rows: &[Row], mut send: impl FnMut(Vec<u8>)) -> std::io::Result<()> {
/// let mut table = Table::new(Format::Csv, Columns::default(), Vec::new())?;
/// for row in rows {
///     table.write(row)?;
///     send(std::mem::take(table.out_mut()));
/// }
/// table.finish()?;
/// send(std::mem::take(table.out_mut()));
/// # Ok(())
/// # }
/// # stream(&[], |_| ()).unwrap();
/// ```
pub struct Table<W: Write + Send>(Writer<W>);

enum Writer<W: Write + Send> {
    Csv(CsvTable<W>),
    Jsonl(JsonlTable<W>),
    Parquet(Box<ParquetTable<W>>),
}

impl<W: Write + Send> Table<W> {
    /// Begins a table, and writes its head.
    ///
    /// JSON Lines have no columns: there, each row says which cards answered.
    ///
    /// Fails as the writer does.
    pub fn new(format: Format, columns: Columns, out: W) -> io::Result<Self> {
        Ok(Self(match format {
            Format::Csv => Writer::Csv(CsvTable::new(columns, out)?),
            Format::Jsonl => Writer::Jsonl(JsonlTable::new(out)),
            Format::Parquet => Writer::Parquet(Box::new(ParquetTable::new(columns, out)?)),
        }))
    }

    /// Writes an article's row. Outputs of cards without a column are left out, but not in JSON Lines.
    ///
    /// A Parquet table holds rows back until they are a row group of 8 MiB.
    ///
    /// Fails as the writer does.
    pub fn write(&mut self, row: &Row) -> io::Result<()> {
        match &mut self.0 {
            Writer::Csv(table) => table.write(row),
            Writer::Jsonl(table) => table.write(row),
            Writer::Parquet(table) => table.write(row),
        }
    }

    /// Ends the table: what was held back is written, and flushed. Nothing may be written after it.
    ///
    /// Fails as the writer does.
    pub fn finish(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Writer::Csv(table) => table.finish(),
            Writer::Jsonl(table) => table.finish(),
            Writer::Parquet(table) => table.finish(),
        }
    }

    /// The writer, to take from it what is written. To write to it would spoil the table.
    pub fn out_mut(&mut self) -> &mut W {
        match &mut self.0 {
            Writer::Csv(table) => table.out_mut(),
            Writer::Jsonl(table) => table.out_mut(),
            Writer::Parquet(table) => table.out_mut(),
        }
    }
}
