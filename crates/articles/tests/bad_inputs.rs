//! What can't be read, and what its owner is told.
#![expect(
    clippy::expect_used,
    reason = "a file that is read all the same fails its test"
)]

mod common;

use bedrock_diy_articles::{Limits, read};
use common::{
    deflated, deflated_bare, docx, noise, pdf, pdf_of_objects, pdf_page, stored_block, stream, zip,
};

/// A file, the code of its error, and a part of the sentence.
type Case = (&'static str, Vec<u8>, &'static str, &'static str);

fn assert_refused(cases: Vec<Case>) {
    // Low enough to be passed by a bomb that is made quickly.
    let limits = Limits {
        max_unpacked_bytes: 3_000_000,
        ..Limits::default()
    };
    for (name, bytes, code, sentence) in cases {
        let error = read(name, &bytes, &limits).expect_err(name);
        let said = error.to_string();
        assert_eq!(error.code(), code, "{name}: {said}");
        assert!(said.contains(sentence), "{name}: {said}");
        assert!(
            said.starts_with(&format!("“{name}")) && said.ends_with('.'),
            "{name}: {said}"
        );
    }
}

fn half(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len() / 2].to_vec()
}

fn paragraph(text: &str) -> String {
    format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>")
}

const UNSUPPORTED: &str = "UnsupportedFormat";
const UNREADABLE: &str = "UnreadableArticle";
const TOO_LARGE: &str = "ArticleTooLarge";

#[test]
fn files_without_text_say_so() {
    assert_refused(vec![
        ("empty.txt", Vec::new(), UNREADABLE, "it has no text"),
        ("blank.md", b" \r\n\t\n".to_vec(), UNREADABLE, "it has no text"),
        ("mark.txt", b"\xef\xbb\xbf".to_vec(), UNREADABLE, "it has no text"),
        (
            "empty.html",
            b"<html><script>x()</script></html>".to_vec(),
            UNREADABLE,
            "it has no text",
        ),
        ("empty.docx", docx("<w:p/>"), UNREADABLE, "it has no text"),
        ("empty.pdf", pdf(""), UNREADABLE, "it has no text"),
        ("empty.json", b"  ".to_vec(), UNREADABLE, "it has no text"),
        (
            "null.json",
            br#"{"text": null}"#.to_vec(),
            UNREADABLE,
            "none of the fields text, content, body, article",
        ),
    ]);
}

#[test]
fn binary_data_is_named_and_the_readable_kinds_are_listed() {
    let jpeg = [b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01", noise(500).as_slice()].concat();
    let mp4 = [b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2", noise(500).as_slice()].concat();
    let old_office = [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", noise(500).as_slice()].concat();
    let workbook = zip(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("xl/workbook.xml", b"<workbook/>"),
    ]);
    assert_refused(vec![
        (
            "photo.jpg",
            jpeg.clone(),
            UNSUPPORTED,
            "JPG (image). Save or export it as plain text, Markdown, HTML",
        ),
        ("photo.txt", jpeg, UNSUPPORTED, "JPG (image)"),
        ("film.mp4", mp4, UNSUPPORTED, "MP4 (video)"),
        (
            "table.xlsx",
            workbook.clone(),
            UNSUPPORTED,
            "Excel workbook (.xlsx)",
        ),
        ("table.pdf", workbook, UNSUPPORTED, "Excel workbook (.xlsx)"),
        (
            "files.zip",
            zip(&[("a.txt", b"text")]),
            UNSUPPORTED,
            "ZIP archive",
        ),
        ("old.doc", old_office.clone(), UNSUPPORTED, "Office document"),
        ("locked.docx", old_office, UNREADABLE, "protected by a password"),
        (
            "letter.rtf",
            br"{\rtf1\ansi Hello}".to_vec(),
            UNSUPPORTED,
            "Rich Text Format",
        ),
        ("noise.txt", noise(4_000), UNREADABLE, "it looks like binary data"),
        ("noise.pdf", noise(4_000), UNREADABLE, "it looks like binary data"),
        (
            "noise.bin",
            noise(4_000),
            UNSUPPORTED,
            "binary data of an unknown kind",
        ),
        (
            "noise",
            noise(4_000),
            UNSUPPORTED,
            "binary data of an unknown kind",
        ),
    ]);
}

#[test]
fn text_that_can_t_be_decoded_names_the_encoding() {
    let mut utf16 = vec![0xff, 0xfe];
    utf16.extend("Half a character".encode_utf16().flat_map(u16::to_le_bytes));
    utf16.extend([0x00, 0xd8]);
    let korean = encoding_rs::EUC_KR
        .encode("항만 대교가 금요일에 다시 열린다고 시가 밝혔다. ")
        .0
        .repeat(20);
    assert_refused(vec![
        (
            "utf16.txt",
            utf16,
            UNREADABLE,
            "not valid in the encoding UTF-16LE",
        ),
        ("utf32.txt", b"\xff\xfe\0\0a\0\0\0".to_vec(), UNREADABLE, "UTF-32"),
        (
            "mark.txt",
            [b"\xef\xbb\xbfok ", b"\xc3\x28".as_slice()].concat(),
            UNREADABLE,
            "not valid in the encoding UTF-8",
        ),
        (
            "cut.txt",
            korean[..korean.len() - 3].to_vec(),
            UNREADABLE,
            "save it as UTF-8",
        ),
    ]);
}

#[test]
fn damaged_pdfs_are_never_read_in_part() {
    let whole = pdf("72 700 Td (The bridge opens.) Tj");
    let scan = stream(
        "/Type/XObject/Subtype/Image/Width 1/Height 1/BitsPerComponent 8/ColorSpace/DeviceGray",
        b"\0",
    );
    let scan = pdf_page(stream("", b"/S Do"), "/XObject<</S 8 0 R>>", vec![scan]);
    let pages = pdf_of_objects(&[
        b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
        b"<</Type/Pages/Kids[]/Count 0>>".to_vec(),
    ]);
    let unknown_filter = pdf_page(stream("/Filter/DCTDecode", b"BT (x) Tj ET"), "", Vec::new());
    let font = b"<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/DescendantFonts[9 0 R]>>".to_vec();
    let descendant =
        b"<</Type/Font/Subtype/CIDFontType2/BaseFont/X/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)\
                       /Supplement 0>>>>"
            .to_vec();
    let content = stream("", b"BT /U 12 Tf 72 700 Td <000100020003> Tj ET");
    let mute = pdf_page(content, "/Font<</U 8 0 R>>", vec![font, descendant]);
    assert_refused(vec![
        ("half.pdf", half(&whole), UNREADABLE, "the PDF is incomplete"),
        (
            "start.pdf",
            b"%PDF-1.7\n%%EOF".to_vec(),
            UNREADABLE,
            "the PDF is damaged",
        ),
        (
            "noise.pdf",
            [b"%PDF-1.7\n", noise(9_000).as_slice(), b"%%EOF"].concat(),
            UNREADABLE,
            "the PDF is damaged",
        ),
        ("pages.pdf", pages, UNREADABLE, "pages are missing"),
        (
            "scan.pdf",
            scan,
            UNREADABLE,
            "the pages hold images only: run OCR first",
        ),
        ("mute.pdf", mute, UNREADABLE, "run OCR first"),
        (
            "filter.pdf",
            unknown_filter,
            UNREADABLE,
            "page 1 of the PDF is damaged",
        ),
        (
            "locked.pdf",
            include_bytes!("fixtures/encrypted-user.pdf").to_vec(),
            UNREADABLE,
            "protected by a password",
        ),
        ("half.txt", half(&whole), UNREADABLE, "the PDF is incomplete"),
    ]);
}

#[test]
fn a_page_whose_data_breaks_off_or_is_changed_is_never_read_in_part() {
    let content = format!(
        "BT /F 12 Tf 72 700 Td 14 TL {}ET",
        (0..200)
            .map(|n| format!("(Line {n} says {}.) Tj T* ", n * 7919 % 1_000))
            .collect::<Vec<_>>()
            .concat()
    );
    let packed = deflated(content.as_bytes());
    let mut changed = packed.clone();
    changed[packed.len() / 2] ^= 0xff;
    let page = |data: &[u8]| pdf_page(stream("/Filter/FlateDecode", data), "", Vec::new());
    assert_refused(vec![
        (
            "cut.pdf",
            page(&packed[..packed.len() / 2]),
            UNREADABLE,
            "page 1 of the PDF is damaged",
        ),
        (
            "changed.pdf",
            page(&changed),
            UNREADABLE,
            "page 1 of the PDF is damaged",
        ),
    ]);
    // Readers pass over a checksum that is wrong or missing, and so do we: the text is whole.
    let without_checksum = page(&packed[..packed.len() - 4]);
    let article = read("whole.pdf", &without_checksum, &Limits::default()).expect("it is whole");
    assert!(article.text.contains("Line 199 says"), "{}", article.text);
}

#[test]
fn bombs_that_a_lenient_reader_would_unpack_are_too_large() {
    let spaces = vec![b' '; 4_000_000];
    let page = |data: &[u8]| pdf_page(stream("/Filter/FlateDecode", data), "", Vec::new());
    // Begins as zlib data does, but is none.
    let mut mimic = vec![0x78];
    mimic.extend(stored_block(0x9c));
    mimic.extend([b' '; 0x9c]);
    mimic.extend(deflated_bare(&spaces));
    // Forty streams in one: each begins with a block that ends where the next ones do.
    let mut overlapping = Vec::new();
    for left in (0..40).rev() {
        overlapping.extend(b"stream\n\x78\x01\0");
        overlapping.extend(stored_block(left * 14));
    }
    overlapping.extend(deflated_bare(&spaces[..2_000_000]));
    let overlapping = pdf_page(
        stream("", b"BT /F 12 Tf (x) Tj ET"),
        "",
        vec![stream("", &overlapping)],
    );
    let lines = "0 -9 Td (a) Tj ".repeat(220_000);
    let lines = pdf_page(
        stream("", format!("BT /F 9 Tf {lines}ET").as_bytes()),
        "",
        Vec::new(),
    );
    assert_refused(vec![
        (
            "bare.pdf",
            page(&deflated_bare(&spaces)),
            TOO_LARGE,
            "it unpacks to more than 3 MB",
        ),
        (
            "mimic.pdf",
            page(&mimic),
            TOO_LARGE,
            "it unpacks to more than 3 MB",
        ),
        (
            "overlap.pdf",
            overlapping,
            TOO_LARGE,
            "it unpacks to more than 3 MB",
        ),
    ]);
    let error = read("lines.pdf", &lines, &Limits::default()).expect_err("it has too many lines");
    assert_eq!(error.code(), TOO_LARGE);
}

#[test]
fn damaged_documents_are_never_read_in_part() {
    let whole = docx(&paragraph("The bridge opens."));
    let cut_xml = zip(&[("word/document.xml", b"<w:document><w:body><w:p><w:r><w:t>The bri")]);
    let no_document = zip(&[("word/styles.xml", b"<w:styles/>")]);
    let mut flipped = whole.clone();
    let at = flipped
        .windows(17)
        .position(|window| window == b"word/document.xml")
        .unwrap()
        + 40;
    flipped[at] ^= 0xff;
    assert_refused(vec![
        (
            "half.docx",
            half(&whole),
            UNREADABLE,
            "the DOCX is damaged or incomplete",
        ),
        (
            "flipped.docx",
            flipped,
            UNREADABLE,
            "the DOCX is damaged or incomplete",
        ),
        (
            "cut.docx",
            cut_xml,
            UNREADABLE,
            "the DOCX is damaged or incomplete",
        ),
        ("none.docx", no_document, UNREADABLE, "no document in it"),
    ]);
}

#[test]
fn bombs_are_too_large_or_nested_too_deeply() {
    let mut packed = deflated(&vec![b' '; 4_000_000]);
    let page = pdf_page(stream("/Filter/FlateDecode", &packed), "", Vec::new());
    packed = deflated(&packed);
    let layered = pdf_page(
        stream("/Filter[/FlateDecode/FlateDecode]", &packed),
        "",
        Vec::new(),
    );
    let forms: Vec<Vec<u8>> = (9..20)
        .map(|next| {
            let entries = format!("/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X {next} 0 R>>>>");
            stream(&entries, "/X Do ".repeat(10).as_bytes())
        })
        .chain([stream("/Subtype/Form/BBox[0 0 9 9]", b" ")])
        .collect();
    let forms = pdf_page(stream("", b"/X Do"), "/XObject<</X 8 0 R>>", forms);

    let spaces = docx(&" ".repeat(4_000_000));
    let mut lying = spaces.clone();
    // The directory's word for the size after unpacking.
    for at in 0..lying.len() - 30 {
        if lying[at..].starts_with(b"PK\x01\x02") {
            lying[at + 24..at + 28].copy_from_slice(&10_u32.to_le_bytes());
        }
    }
    let many = (0..12_000).map(|n| format!("word/{n}")).collect::<Vec<_>>();
    let many = zip(&many
        .iter()
        .map(|name| (name.as_str(), b"".as_slice()))
        .collect::<Vec<_>>());
    let entities = "<!DOCTYPE d [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]><d><w:p><w:t>&b;</w:t></w:p></d>";
    let entities = zip(&[("word/document.xml", entities.as_bytes())]);
    let nested_xml = docx(&("<w:p>".repeat(100_000) + &"</w:p>".repeat(100_000)));
    assert_refused(vec![
        ("bomb.pdf", page, TOO_LARGE, "it unpacks to more than 3 MB"),
        ("layers.pdf", layered, TOO_LARGE, "it unpacks to more than 3 MB"),
        ("forms.pdf", forms, TOO_LARGE, "it unpacks to more than 3 MB"),
        ("bomb.docx", spaces, TOO_LARGE, "it unpacks to more than 3 MB"),
        (
            "lying.docx",
            lying,
            UNREADABLE,
            "the DOCX is damaged or incomplete",
        ),
        ("many.docx", many, UNSUPPORTED, "ZIP archive of many files"),
        ("laughs.docx", entities, UNREADABLE, "the DOCX is damaged"),
        ("nested.docx", nested_xml, UNREADABLE, "nested too deeply"),
        (
            "nested.html",
            "<div>".repeat(100_000).into_bytes(),
            UNREADABLE,
            "nested too deeply",
        ),
        (
            "nested.jsonl",
            "[".repeat(100_000).into_bytes(),
            UNREADABLE,
            "it is not valid JSON: EOF",
        ),
    ]);
}

#[test]
fn what_is_nested_beside_a_record_s_text_is_passed_over() {
    let nested = format!(
        "{{\"a\": {}{}, \"text\": \"x\"}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(
        read("a.json", nested.as_bytes(), &Limits::default())
            .unwrap()
            .text,
        "x"
    );
}

#[test]
fn limits_are_kept_and_said() {
    let limits = Limits {
        max_bytes: 2_000_000,
        max_text_bytes: 1_000_000,
        ..Limits::default()
    };
    let said = |bytes: &[u8]| read("a.txt", bytes, &limits).unwrap_err().to_string();
    assert!(said(&b"a".repeat(2_000_001)).contains("the file has more than 2 MB"));
    assert!(said(&b"a".repeat(1_000_001)).contains("its text has more than 1 MB"));
    assert!(read("a.txt", &b"a".repeat(1_000_000), &limits).is_ok());
}

#[test]
fn the_content_decides_where_it_contradicts_the_name() {
    let page = b"<!DOCTYPE html><title>T</title><p>The bridge opens.</p>".to_vec();
    for (name, bytes) in [
        ("a.txt", pdf("72 700 Td (The bridge opens.) Tj")),
        ("a.html", docx(&paragraph("The bridge opens."))),
        ("a.pdf", b"The bridge opens.".to_vec()),
        ("a.pdf", page.clone()),
        ("a.txt", page),
        ("a.xyz", b"The bridge opens.".to_vec()),
        ("noname", b"The bridge opens.".to_vec()),
        ("a.docx", b"{\"text\": \"The bridge opens.\"}".to_vec()),
    ] {
        assert_eq!(
            read(name, &bytes, &Limits::default()).unwrap().text,
            "The bridge opens.",
            "{name}"
        );
    }
}
