//! Files made in code.
#![allow(dead_code, reason = "each test file uses some of these")]
#![allow(clippy::unwrap_used, reason = "a file that can't be made fails its test")]

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A PDF of the given objects, numbered from 1; the first is the catalog.
pub(crate) fn pdf_of_objects(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut pdf = b"%PDF-1.7\n".to_vec();
    let mut table = String::from("0000000000 65535 f \n");
    for (number, object) in (1..).zip(objects) {
        writeln!(table, "{:010} 00000 n ", pdf.len()).unwrap();
        pdf.extend(format!("{number} 0 obj\n").into_bytes());
        pdf.extend(object);
        pdf.extend(b"\nendobj\n");
    }
    let (start, size) = (pdf.len(), objects.len() + 1);
    let trailer = format!("trailer\n<</Size {size}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n");
    pdf.extend(format!("xref\n0 {size}\n{table}{trailer}").into_bytes());
    pdf
}

/// A stream object with the given entries and data.
pub(crate) fn stream(entries: &str, data: &[u8]) -> Vec<u8> {
    let mut object = format!("<<{entries}/Length {}>>\nstream\n", data.len()).into_bytes();
    object.extend(data);
    object.extend(b"\nendstream");
    object
}

/// A PDF of one page with that content. Fonts: `F` is Helvetica, `K` a Korean font that is not in the file. More
/// objects are numbered from 8; `resources` can refer to them.
pub(crate) fn pdf_page(content: Vec<u8>, resources: &str, more: Vec<Vec<u8>>) -> Vec<u8> {
    let page = format!(
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R\
         /Resources<</Font<</F 5 0 R/K 6 0 R>>{resources}>>>>"
    );
    let mut objects = vec![
        b"<</Type/Catalog/Pages 2 0 R/Lang(en-GB)>>".to_vec(),
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>".to_vec(),
        page.into_bytes(),
        content,
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>".to_vec(),
        b"<</Type/Font/Subtype/Type0/BaseFont/HYSMyeongJo-Medium/Encoding/UniKS-UCS2-H/DescendantFonts[7 0 R]>>".to_vec(),
        b"<</Type/Font/Subtype/CIDFontType0/BaseFont/HYSMyeongJo-Medium/DW 1000\
          /CIDSystemInfo<</Registry(Adobe)/Ordering(Korea1)/Supplement 1>>>>"
            .to_vec(),
    ];
    objects.extend(more);
    pdf_of_objects(&objects)
}

/// A PDF of one page that draws the given text operators.
pub(crate) fn pdf(operators: &str) -> Vec<u8> {
    pdf_page(
        stream("", format!("BT /F 12 Tf {operators} ET").as_bytes()),
        "",
        Vec::new(),
    )
}

/// A ZIP of the given parts.
pub(crate) fn zip(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A DOCX with that in its body.
pub(crate) fn docx(body: &str) -> Vec<u8> {
    let document = format!("<w:document xmlns:w=\"w\"><w:body>{body}</w:body></w:document>");
    zip(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("word/document.xml", document.as_bytes()),
    ])
}

/// zlib data.
pub(crate) fn deflated(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// DEFLATE data without the header of zlib.
pub(crate) fn deflated_bare(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A stored block of DEFLATE data behind a header of zlib or as one, whose content follows.
pub(crate) fn stored_block(len: u16) -> [u8; 4] {
    let [a, b] = len.to_le_bytes();
    [a, b, !a, !b]
}

/// LZW data in which each byte stands for itself.
pub(crate) fn lzw(data: &[u8]) -> Vec<u8> {
    const CLEAR: u32 = 256;
    const END: u32 = 257;
    let mut codes = Vec::new();
    // Codes become longer than nine bits when some more are known.
    for part in data.chunks(200) {
        codes.push(CLEAR);
        codes.extend(part.iter().map(|byte| u32::from(*byte)));
    }
    codes.push(END);
    let bits = codes
        .iter()
        .map(|code| format!("{code:09b}"))
        .collect::<Vec<_>>()
        .concat();
    bits.as_bytes()
        .chunks(8)
        .map(|byte| {
            let value = byte.iter().fold(0, |value, bit| value << 1 | (bit - b'0'));
            value << (8 - byte.len())
        })
        .collect()
}

/// So many bytes without any pattern, the same ones every time.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(len)
    .collect()
}
