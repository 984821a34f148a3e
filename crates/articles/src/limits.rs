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

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 50_000_000,
            max_text_bytes: 50_000_000,
            max_unpacked_bytes: 200_000_000,
        }
    }
}
