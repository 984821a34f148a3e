/// How much of a file, and of what it unpacks to, is read at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The longest file, in bytes. Default 50 MB.
    pub max_bytes: u64,
    /// The longest text that a file may hold, in bytes of UTF-8. Default 50 MB.
    pub max_text_bytes: u64,
    /// What the compressed parts of one PDF or DOCX may unpack to together, in bytes; markup and fonts
    /// included, so this is larger than the text. Default 200 MB.
    pub max_unpacked_bytes: u64,
}

impl Limits {
    /// The default limits, but for files of at most so many bytes: a text that long may be all text.
    #[must_use]
    pub fn for_files_of(max_bytes: u64) -> Self {
        let default = Self::default();
        Self {
            max_bytes,
            max_text_bytes: default.max_text_bytes.max(max_bytes),
            max_unpacked_bytes: default.max_unpacked_bytes.max(max_bytes),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 50_000_000,
            max_text_bytes: 50_000_000,
            max_unpacked_bytes: 200_000_000,
        }
    }
}
