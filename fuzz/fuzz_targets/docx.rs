//! Word documents: the bytes once as the ZIP itself, once as the document inside a sound ZIP.
#![no_main]

use std::io::{Cursor, Write};

use bedrock_diy_articles::{Limits, read};
use libfuzzer_sys::fuzz_target;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits {
        max_unpacked_bytes: 4_000_000,
        ..Limits::default()
    };
    let _ = read("a.docx", bytes, &limits);
    let _ = read(
        "a.docx",
        &around(bytes).expect("a ZIP in memory can be written"),
        &limits,
    );
});

/// A ZIP with the bytes as each of its XML parts.
fn around(bytes: &[u8]) -> zip::result::ZipResult<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for part in [
        "word/document.xml",
        "word/numbering.xml",
        "word/styles.xml",
        "word/footnotes.xml",
    ] {
        zip.start_file(part, options)?;
        zip.write_all(bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}
