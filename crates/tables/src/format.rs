//! The formats of tables.

/// A table's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values, for spreadsheets.
    Csv,
    /// One JSON document a line, for programs.
    Jsonl,
    /// Apache Parquet, for data tools.
    Parquet,
}

impl Format {
    /// What HTTP calls it. JSON Lines has no name with IANA; this is the one that OpenAPI 3.2 and
    /// jsonlines.org use.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Jsonl => "application/jsonl",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// How the names of its files end, without the dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}
