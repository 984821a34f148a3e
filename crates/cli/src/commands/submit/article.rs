//! Files as they are sent.

use std::path::Path;

use bedrock_diy_articles::{self as articles, MediaType};
use bedrock_diy_core::{BatchId, Code, Failure, ProjectId, text::sha256_hex};
use bytes::Bytes;

use crate::inputs::{self, Input, holds_many};

/// The largest text that is sent as it is, in bytes: the API's own limit.
const INLINE: usize = 5_000_000;

/// The longest name that the API takes, in bytes.
const NAME: usize = 500;

/// As much of a digest as tells two files of one name apart.
const DIGITS: usize = 8;

/// A file that is ready to be sent.
#[derive(Debug)]
pub(super) struct Ready {
    /// What it is called here.
    pub(super) name: String,
    pub(super) bytes: Bytes,
    pub(super) way: Way,
    /// The SHA-256 of the file.
    digest: String,
}

/// How it is sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// As the request's body.
    Inline { media_type: &'static str },
    /// Through a ticket; so many articles are in it.
    Upload { records: usize },
}

/// Reads a file. `largest` is how large it may be, in bytes.
pub(super) fn ready(input: &Input, largest: u64) -> Result<Ready, Failure> {
    let size = input.size.clone()?;
    if size > largest {
        let detail = format!("{} has {size} bytes, {largest} are allowed", input.name);
        return Err(Failure::new(Code::ArticleTooLarge, detail));
    }
    let bytes = inputs::read(&input.path)?;
    if bytes.is_empty() {
        let detail = format!("{} is empty", input.name);
        return Err(Failure::new(Code::UnreadableArticle, detail));
    }
    let digest = sha256_hex(&bytes);
    let inline = (bytes.len() <= INLINE && input.name.len() <= NAME && is_plain(&bytes))
        .then(|| media_type(&input.path))
        .flatten();
    let (way, bytes) = if let Some(media_type) = inline {
        (Way::Inline { media_type }, without_mark(bytes))
    } else {
        let records = records(&input.path, &input.name, &bytes, largest);
        (Way::Upload { records }, bytes.into())
    };
    Ok(Ready {
        name: input.name.clone(),
        bytes,
        way,
        digest,
    })
}

impl Ready {
    /// What names the submission: the same file in the same batch is the same job.
    pub(super) fn key(&self, project: &ProjectId, batch: &BatchId) -> String {
        let parts = [project.as_str(), batch.as_str(), &self.name, &self.digest];
        sha256_hex(parts.join("\n").as_bytes())
    }

    /// The name that it is uploaded under: its own, with the beginning of its digest before the ending.
    pub(super) fn upload_name(&self) -> String {
        let plain = |c: char| {
            if c.is_control() || matches!(c, '/' | '\\') {
                '_'
            } else {
                c
            }
        };
        let name: String = self.name.chars().map(plain).collect();
        let (stem, ending) = match name.rsplit_once('.') {
            Some((stem, ending)) if !stem.is_empty() => (stem, format!(".{ending}")),
            _ => (name.as_str(), String::new()),
        };
        let digest = &self.digest[..DIGITS];
        // The ending says how it is read: it is the stem that is cut where both are too long.
        let most = NAME.saturating_sub(ending.len() + DIGITS + 1);
        let stem = &stem[..stem.floor_char_boundary(most)];
        format!("{stem}.{digest}{ending}")
    }
}

/// Whether an article is the upload of that name, or a record of it.
pub(super) fn is_of(article: &str, upload: &str) -> bool {
    article
        .strip_prefix(upload)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
}

/// Whether it can be taken for UTF-8 text: other encodings are recognised where it is read.
fn is_plain(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok() && !bytes.contains(&0)
}

/// A byte order mark is no part of a text.
fn without_mark(bytes: Vec<u8>) -> Bytes {
    let bytes = Bytes::from(bytes);
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        bytes.slice(3..)
    } else {
        bytes
    }
}

fn media_type(path: &Path) -> Option<&'static str> {
    match MediaType::from_name(&path.file_name()?.to_string_lossy())? {
        MediaType::PlainText => Some("text/plain"),
        MediaType::Markdown => Some("text/markdown"),
        MediaType::Html => Some("text/html"),
        _ => None,
    }
}

/// How many articles are in a file, those that can't be read among them.
fn records(path: &Path, name: &str, bytes: &[u8], largest: u64) -> usize {
    if !holds_many(path) {
        return 1;
    }
    let limits = articles::Limits::for_files_of(largest);
    articles::records(name, bytes, &limits).map_or(1, |records| records.count().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, bytes: &[u8]) -> Ready {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), bytes).unwrap();
        let inputs = inputs::gather(&[folder.path().to_owned()], &[]).unwrap();
        ready(&inputs[0], 1_000).unwrap()
    }

    #[test]
    fn plain_text_goes_as_it_is_and_everything_else_is_uploaded() {
        let inline = |name, bytes: &[u8]| match read(name, bytes).way {
            Way::Inline { media_type } => media_type,
            Way::Upload { .. } => "upload",
        };
        assert_eq!(inline("a.txt", "다리".as_bytes()), "text/plain");
        assert_eq!(inline("a.md", b"# Title"), "text/markdown");
        assert_eq!(inline("a.html", b"<p>x"), "text/html");
        assert_eq!(inline("a.pdf", b"%PDF-1.4"), "upload");
        assert_eq!(inline("latin.txt", b"caf\xE9"), "upload");
        assert_eq!(inline("utf16.txt", b"a\0b\0"), "upload");
        assert_eq!(read("a.txt", b"\xEF\xBB\xBFtext").bytes, "text");
        assert_eq!(
            read("a.jsonl", b"{\"text\": \"a\"}\n{\"text\": \"b\"}\n").way,
            Way::Upload { records: 2 }
        );
    }

    #[test]
    fn the_same_file_in_the_same_batch_has_one_key() {
        let (news, monday) = (ProjectId::new("news").unwrap(), BatchId::new("monday").unwrap());
        let key = |name, bytes: &[u8]| read(name, bytes).key(&news, &monday);
        assert_eq!(key("a.txt", b"one"), key("a.txt", b"one"));
        assert_ne!(key("a.txt", b"one"), key("a.txt", b"two"));
        assert_ne!(key("a.txt", b"one"), key("b.txt", b"one"));
        assert_ne!(
            key("a.txt", b"one"),
            read("a.txt", b"one").key(&news, &BatchId::new("tuesday").unwrap())
        );
    }

    #[test]
    fn an_upload_s_name_says_what_it_holds_and_keeps_its_ending() {
        let pdf = read("report 1.pdf", b"%PDF-1.4");
        let name = pdf.upload_name();
        assert_eq!(name, format!("report 1.{}.pdf", &pdf.digest[..8]));
        assert!(is_of(&name, &name) && is_of(&format!("{name}#7"), &name));
        assert!(!is_of("report 1.pdf", &name) && !is_of(&format!("{name}x"), &name));
        let long = Ready {
            name: format!("sub/{}.pdf", "다".repeat(300)),
            ..pdf
        };
        let name = long.upload_name();
        assert!(
            name.len() <= 500 && name.rsplit('.').next() == Some("pdf") && !name.contains('/'),
            "{name}"
        );
    }
}
