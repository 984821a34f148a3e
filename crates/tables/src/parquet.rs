//! Apache Parquet, for data tools.

use std::{
    io::{self, Write},
    sync::Arc,
};

use ::parquet::{
    basic::{Compression, GzipLevel, LogicalType, Repetition, Type as Physical},
    column::writer::ColumnWriterImpl,
    data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type},
    errors::ParquetError,
    file::{
        properties::{EnabledStatistics, WriterProperties},
        writer::SerializedFileWriter,
    },
    schema::types::Type,
};

use crate::{
    Columns, Row,
    cell::{Cell, Kind},
};

/// How much is held back for a row group, in bytes: as much again is in use while it is written. Groups of
/// this size compress well, and are read as fast as much larger ones.
const ROW_GROUP_BYTES: usize = 8 * 1024 * 1024;

/// What a held-back cell takes beside its text, in bytes: rows that say little are bounded, too.
const CELL_BYTES: usize = size_of::<ByteArray>() + size_of::<i16>();

/// A Parquet table. Every column may be empty in a row.
pub(crate) struct ParquetTable<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: Columns,
    held: Vec<Held>,
    held_bytes: usize,
}

/// What is held back of a column.
struct Held {
    values: Values,
    /// 1 for each row that has a value, else 0: Parquet's definition levels.
    present: Vec<i16>,
}

enum Values {
    Text(Vec<ByteArray>),
    Integer(Vec<i64>),
    Number(Vec<f64>),
}

impl<W: Write + Send> ParquetTable<W> {
    pub(crate) fn new(columns: Columns, out: W) -> io::Result<Self> {
        let heads = columns.heads();
        let schema = schema(&heads).map_err(io_error)?;
        // Outputs hardly ever repeat, so a dictionary would only be memory; and what is kept of each page until
        // the end of the file would grow with it.
        let properties = WriterProperties::builder()
            .set_compression(Compression::GZIP(GzipLevel::default()))
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .build();
        Ok(Self {
            file: SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties)).map_err(io_error)?,
            columns,
            held: heads.iter().map(|(_, kind)| Held::new(*kind)).collect(),
            held_bytes: 0,
        })
    }

    pub(crate) fn write(&mut self, row: &Row) -> io::Result<()> {
        for (held, cell) in self.held.iter_mut().zip(self.columns.cells(row)) {
            self.held_bytes += CELL_BYTES + held.push(cell);
        }
        if self.held_bytes >= ROW_GROUP_BYTES {
            self.write_row_group().map_err(io_error)?;
        }
        Ok(())
    }

    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if self.held_bytes > 0 {
            self.write_row_group().map_err(io_error)?;
        }
        self.file.finish().map_err(io_error)?;
        Ok(())
    }

    pub(crate) fn out_mut(&mut self) -> &mut W {
        self.file.inner_mut()
    }

    fn write_row_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.file.next_row_group()?;
        for held in &mut self.held {
            let Some(mut column) = group.next_column()? else {
                break;
            };
            match &mut held.values {
                Values::Text(values) => write(column.typed::<ByteArrayType>(), values, &held.present)?,
                Values::Integer(values) => write(column.typed::<Int64Type>(), values, &held.present)?,
                Values::Number(values) => write(column.typed::<DoubleType>(), values, &held.present)?,
            }
            held.present.clear();
            column.close()?;
        }
        group.close()?;
        self.held_bytes = 0;
        self.file.flush()?;
        Ok(())
    }
}

/// Writes the values of a column, and forgets them.
fn write<T: DataType>(
    column: &mut ColumnWriterImpl<'_, T>,
    values: &mut Vec<T::T>,
    present: &[i16],
) -> Result<(), ParquetError> {
    column.write_batch(values, Some(present), None)?;
    values.clear();
    Ok(())
}

impl Held {
    fn new(kind: Kind) -> Self {
        Self {
            values: match kind {
                Kind::Text => Values::Text(Vec::new()),
                Kind::Integer => Values::Integer(Vec::new()),
                Kind::Number => Values::Number(Vec::new()),
            },
            present: Vec::new(),
        }
    }

    /// Holds a cell back; answers how long its text is, in bytes.
    fn push(&mut self, cell: Cell<'_>) -> usize {
        let before = self.len();
        let bytes = match (&mut self.values, cell) {
            (Values::Text(values), Cell::Text(text)) => push_text(values, text.into_owned()),
            (Values::Text(values), Cell::Literal(text)) => push_text(values, text),
            (Values::Integer(values), Cell::Integer(number)) => {
                values.push(i64::try_from(number).unwrap_or(i64::MAX));
                0
            }
            (Values::Number(values), Cell::Number(number)) => {
                values.push(number);
                0
            }
            // A cell of another kind than its column's is nothing, as is one that is missing.
            (Values::Text(_), Cell::Missing | Cell::Integer(_) | Cell::Number(_))
            | (Values::Integer(_) | Values::Number(_), _) => 0,
        };
        self.present.push(i16::from(self.len() > before));
        bytes
    }

    fn len(&self) -> usize {
        match &self.values {
            Values::Text(values) => values.len(),
            Values::Integer(values) => values.len(),
            Values::Number(values) => values.len(),
        }
    }
}

fn push_text(values: &mut Vec<ByteArray>, text: String) -> usize {
    let bytes = text.len();
    values.push(ByteArray::from(text.into_bytes()));
    bytes
}

fn schema(heads: &[(String, Kind)]) -> Result<Type, ParquetError> {
    let column = |(name, kind): &(String, Kind)| {
        let (physical, logical) = match kind {
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Integer => (Physical::INT64, None),
            Kind::Number => (Physical::DOUBLE, None),
        };
        Type::primitive_type_builder(name, physical)
            .with_logical_type(logical)
            .with_repetition(Repetition::OPTIONAL)
            .build()
            .map(Arc::new)
    };
    Type::group_type_builder("results")
        .with_fields(heads.iter().map(column).collect::<Result<_, _>>()?)
        .build()
}

/// What the writer said, as it said it.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use ::parquet::{
        file::reader::{FileReader as _, SerializedFileReader},
        record::{Field, RowAccessor as _},
    };
    use bytes::Bytes;

    use super::*;
    use crate::{
        Format, Table,
        testing::{columns, row, table},
    };

    #[test]
    fn what_was_written_is_read_with_its_types() {
        let columns = columns([("facts", &["who", "score"]), ("cost", &[])]);
        let rows = [
            row([
                ("facts", "{\"who\":\"김 先生\",\"score\":-1.5}"),
                ("cost", "=1 \u{feff}"),
            ]),
            Row {
                cost: None,
                job_id: None,
                ..row([("facts", "no JSON")])
            },
        ];
        let reader = SerializedFileReader::new(Bytes::from(table(Format::Parquet, columns, &rows))).unwrap();
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        let names: Vec<_> = rows[0].get_column_iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "article",
                "status",
                "error",
                "message",
                "facts",
                "facts.who",
                "facts.score",
                "cost (card)",
                "tokens",
                "cost",
                "jobId"
            ]
        );
        assert_eq!(rows[0].get_string(5).unwrap(), "김 先生");
        assert_eq!(rows[0].get_string(6).unwrap(), "-1.5");
        assert_eq!(rows[0].get_string(7).unwrap(), "=1 \u{feff}", "as it is");
        assert_eq!(rows[0].get_long(8).unwrap(), 3);
        assert_eq!(
            rows[0].get_double(9).unwrap().to_bits(),
            0.000_012_5_f64.to_bits()
        );
        let missing: Vec<_> = rows[1]
            .get_column_iter()
            .filter(|(_, field)| **field == Field::Null)
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(
            missing,
            [
                "error",
                "message",
                "facts.who",
                "facts.score",
                "cost (card)",
                "cost",
                "jobId"
            ]
        );
    }

    #[test]
    fn a_table_without_rows_is_one_all_the_same() {
        let bytes = table(Format::Parquet, columns([("facts", &[])]), &[]);
        let reader = SerializedFileReader::new(Bytes::from(bytes)).unwrap();
        assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
        assert_eq!(reader.metadata().file_metadata().schema().get_fields().len(), 8);
    }

    #[test]
    fn long_outputs_and_many_short_rows_both_make_row_groups_of_bounded_size() {
        for (count, text) in [(2_000, "다리가 열렸다. ".repeat(500)), (60_000, String::new())] {
            let mut table =
                Table::new(Format::Parquet, columns([("facts", &["a", "b"])]), Vec::new()).unwrap();
            let row = row([("facts", text.as_str())]);
            let mut file = Vec::new();
            for _ in 0..count {
                table.write(&row).unwrap();
                file.append(table.out_mut());
            }
            table.finish().unwrap();
            file.append(table.out_mut());
            let reader = SerializedFileReader::new(Bytes::from(file)).unwrap();
            let groups = reader.metadata().row_groups();
            assert!(groups.len() > 1);
            assert_eq!(reader.metadata().file_metadata().num_rows(), count);
            for group in groups {
                let bytes = usize::try_from(group.total_byte_size()).unwrap();
                assert!(bytes < ROW_GROUP_BYTES * 11 / 10, "{bytes}");
            }
        }
    }

    /// A pipe that nobody reads.
    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_the_writer_says_is_handed_on() {
        let mut table = Table::new(Format::Parquet, columns([]), Broken).unwrap();
        assert_eq!(table.finish().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
