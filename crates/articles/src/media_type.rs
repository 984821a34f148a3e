use crate::format;

/// What kind of file an article came as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// Text without markup (`.txt`, or no known extension).
    PlainText,
    /// Markdown (`.md`), kept as it is.
    Markdown,
    /// A web page (`.html`, `.htm`), reduced to its article.
    Html,
    /// A PDF with selectable text (`.pdf`).
    Pdf,
    /// A Word document (`.docx`).
    Docx,
    /// One JSON object, or an array of them (`.json`).
    Json,
    /// One JSON object a line (`.jsonl`, `.ndjson`).
    JsonLines,
}

impl MediaType {
    /// The kinds of file that can be read, for messages.
    pub(crate) const READABLE: &'static str = "plain text, Markdown, HTML, PDF, DOCX, JSON or JSONL";

    /// The media type as it is written in a `Content-Type` header.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PlainText => "text/plain",
            Self::Markdown => "text/markdown",
            Self::Html => "text/html",
            Self::Pdf => "application/pdf",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Json => "application/json",
            Self::JsonLines => "application/jsonl",
        }
    }

    /// The kind that a file's name promises by its extension, if it is one that we read.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        Some(match extension.to_ascii_lowercase().as_str() {
            "txt" | "text" => Self::PlainText,
            "md" | "markdown" => Self::Markdown,
            "html" | "htm" | "xhtml" => Self::Html,
            "pdf" => Self::Pdf,
            "docx" => Self::Docx,
            "json" => Self::Json,
            "jsonl" | "ndjson" => Self::JsonLines,
            _ => return None,
        })
    }

    /// Whether a file of this kind may hold many articles, which [`crate::records`] reads one by one; a file of any
    /// other kind is one article, for [`crate::read`].
    ///
    /// This is about the kind that a *name* promises ([`MediaType::from_name`]): whether the file does hold records
    /// is known when it is read.
    #[must_use]
    pub fn holds_many(self) -> bool {
        matches!(self, Self::Json | Self::JsonLines)
    }

    /// The kind that the bytes alone show; `None` for anything that holds no article that we can read.
    #[must_use]
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        format::sniff(bytes)
    }
}

impl std::fmt::Display for MediaType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [MediaType; 7] = [
        MediaType::PlainText,
        MediaType::Markdown,
        MediaType::Html,
        MediaType::Pdf,
        MediaType::Docx,
        MediaType::Json,
        MediaType::JsonLines,
    ];

    #[test]
    fn json_and_json_lines_hold_many_articles_and_nothing_else_does() {
        let many: Vec<_> = ALL
            .into_iter()
            .filter(|media_type| media_type.holds_many())
            .collect();
        assert_eq!(many, [MediaType::Json, MediaType::JsonLines]);
    }

    #[test]
    fn a_name_is_judged_by_its_last_extension_in_any_case() {
        assert_eq!(MediaType::from_name("Report.final.PDF"), Some(MediaType::Pdf));
        assert_eq!(MediaType::from_name("news.htm"), Some(MediaType::Html));
        assert_eq!(MediaType::from_name("README"), None);
        assert_eq!(MediaType::from_name("photo.jpeg"), None);
    }
}
