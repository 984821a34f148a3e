/// Why an article could not be read. The text of each variant is a sentence for the person whose article it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file is of a kind that holds no article that we can read.
    #[error(
        "“{name}” can't be read as an article: its content is {found}. Save or export it as {}.",
        crate::MediaType::READABLE
    )]
    UnsupportedFormat {
        /// The file's name.
        name: String,
        /// What the file's content is: `JPG (image)`, `Excel workbook (.xlsx)`.
        found: String,
    },
    /// The file should hold an article, but its text can't be had.
    #[error("“{name}” can't be read: {reason}.")]
    UnreadableArticle {
        /// The file's name, with the record or line where one is meant.
        name: String,
        /// What is wrong and what to do, without a full stop.
        reason: String,
    },
    /// The file, or what it unpacks to, is longer than the limit.
    #[error(
        "“{name}” is too large: {what} more than {} MB. Split it into several articles, or raise the limit.",
        megabytes(*.limit)
    )]
    ArticleTooLarge {
        /// The file's name.
        name: String,
        /// What is too large, with its verb: `the file has`, `its text has`, `it unpacks to`.
        what: &'static str,
        /// The limit, in bytes.
        limit: u64,
    },
}

impl ReadError {
    /// The error's stable code, the same as the domain's error of that name.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnsupportedFormat { .. } => "UnsupportedFormat",
            Self::UnreadableArticle { .. } => "UnreadableArticle",
            Self::ArticleTooLarge { .. } => "ArticleTooLarge",
        }
    }
}

fn megabytes(bytes: u64) -> String {
    let whole = bytes / 1_000_000;
    let tenths = bytes % 1_000_000 / 100_000;
    if tenths == 0 && whole > 0 {
        whole.to_string()
    } else {
        format!("{}", bytes as f64 / 1_000_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_said_in_megabytes() {
        assert_eq!(megabytes(50_000_000), "50");
        assert_eq!(megabytes(1_500_000), "1.5");
        assert_eq!(megabytes(1_000), "0.001");
    }
}
