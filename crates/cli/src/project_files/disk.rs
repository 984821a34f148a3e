//! Files and folders, read within bounds. What can't be read is said in a sentence.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

use bedrock_diy_core::limits::CARD_BYTES;

use super::fault::Place;

/// The largest file that is read, in bytes: the largest card with its front matter, `project.yaml`, a schema.
pub(super) const FILE_BYTES: usize = CARD_BYTES;

/// More entries than this are not looked at: the folder is no folder of cards.
const ENTRIES: usize = 1_000;

/// Reads a file whole, if it is one and not too large.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    // Looked at before it is opened: opening a pipe would wait for a writer.
    let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if metadata.is_dir() {
        return Err("this is a folder: a file is needed here".into());
    }
    if !metadata.is_file() {
        return Err("this is no plain file: remove it, or put a plain file in its place".into());
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| unreadable(path, &error))?;
    check_size(&bytes)?;
    Ok(bytes)
}

/// Checks that a file is not too large.
pub(super) fn check_size(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() <= FILE_BYTES {
        return Ok(());
    }
    Err(format!(
        "the file is larger than {} kB: shorten it",
        FILE_BYTES / 1024
    ))
}

/// Text as it is worked on: UTF-8 without byte order mark, lines ended by `\n`.
pub(super) fn text(bytes: &[u8]) -> Result<String, (Place, String)> {
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err((Place::line(1), "the file is UTF-16: save it as UTF-8".into()));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).replace("\r\n", "\n");
        (
            Place::of_byte(&valid, valid.len()),
            "the file is not UTF-8 from here on: save it as UTF-8".into(),
        )
    })?;
    Ok(text
        .strip_prefix('\u{FEFF}')
        .unwrap_or(text)
        .replace("\r\n", "\n"))
}

/// The names in a folder, in alphabetical order. A name that is not Unicode is given as far as it can be shown.
pub(super) fn names(dir: &Path) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(|error| unreadable(dir, &error))? {
        let entry = entry.map_err(|error| unreadable(dir, &error))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
        if names.len() > ENTRIES {
            return Err(format!(
                "the folder holds more than {ENTRIES} entries: keep only cards and their schemas in it"
            ));
        }
    }
    names.sort();
    Ok(names)
}

/// Why a file can't be read, and what to do.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> String {
    let is_link = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    match error.kind() {
        io::ErrorKind::PermissionDenied => "you may not read it: change its permissions".into(),
        _ if is_link => "this is a symbolic link that leads nowhere or in a circle: mend or remove it".into(),
        io::ErrorKind::NotADirectory => "this is no folder: put a folder in its place".into(),
        io::ErrorKind::NotFound => "there is no such file".into(),
        _ => format!("it can't be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_a_byte_order_mark_do_not_change_a_text() {
        assert_eq!(text(b"\xEF\xBB\xBFa\r\nb\r\n").unwrap(), "a\nb\n");
    }

    #[test]
    fn a_byte_that_is_not_utf_8_is_named_with_its_place() {
        let (place, _) = text(b"a\r\nb\xC3\xA9 \xFF").unwrap_err();
        assert_eq!((place.line, place.column), (2, Some(4)));
        assert!(text(b"\xFF\xFEa\0").unwrap_err().1.contains("UTF-16"));
    }

    #[test]
    fn no_right_to_read_is_said_as_that() {
        let refused = io::Error::from(io::ErrorKind::PermissionDenied);
        assert!(unreadable(Path::new("x"), &refused).contains("permissions"));
    }
}
