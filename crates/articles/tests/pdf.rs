//! What the text of a PDF looks like.
#![expect(clippy::unwrap_used, reason = "what a helper can't have fails its test")]

mod common;

use bedrock_diy_articles::{Limits, MediaType, read};
use common::{deflated, deflated_bare, lzw, pdf, pdf_page, stream};

fn text(bytes: &[u8]) -> String {
    read("a.pdf", bytes, &Limits::default()).unwrap().text
}

#[test]
fn a_page_gives_its_text_and_the_document_its_language() {
    let article = read(
        "a.pdf",
        &pdf("72 700 Td (The bridge opens.) Tj"),
        &Limits::default(),
    )
    .unwrap();
    assert_eq!(article.text, "The bridge opens.");
    assert_eq!(article.language.as_deref(), Some("en-GB"));
    assert_eq!(article.media_type, MediaType::Pdf);
    assert_eq!(article.encoding, None);
}

#[test]
fn words_are_neither_glued_nor_torn() {
    // A gap of half the size is a space though no space is drawn; a kern of a twentieth is none.
    let words = "72 700 Td [(The) -500 (br) 50 (idge) -300 (opens)] TJ 105 0 Td (on Friday) Tj";
    assert_eq!(text(&pdf(words)), "The bridge opens on Friday");
    assert_eq!(text(&pdf("72 700 Td 3 Tc (Spaced) Tj")), "Spaced");
    assert_eq!(
        text(&pdf("72 700 Td (B) Tj 0.3 0 Td (B) Tj 8 0 Td (old) Tj")),
        "Bold"
    );
}

#[test]
fn lines_become_paragraphs() {
    let lines = "72 700 Td 14 TL (The harbour bridge reopens on Friday, after three years of) Tj \
                 T* (repairs. The city paid nine million more than it had plan-) Tj T* (ned.) Tj \
                 0 -30 Td (A second paragraph.) Tj";
    assert_eq!(
        text(&pdf(lines)),
        "The harbour bridge reopens on Friday, after three years of repairs. The city paid nine million more than it \
         had planned.\n\nA second paragraph."
    );
}

#[test]
fn lists_and_table_rows_keep_their_lines() {
    let lines = "72 700 Td 14 TL (1. The first point is this.) Tj T* (2. The second point is that.) Tj \
                 0 -40 Td (Year) Tj 100 0 Td (Ships) Tj -100 -14 Td (2024) Tj 100 0 Td (118) Tj";
    assert_eq!(
        text(&pdf(lines)),
        "1. The first point is this.\n2. The second point is that.\n\nYear\tShips\n2024\t118"
    );
}

#[test]
fn the_rows_of_a_narrow_table_stay_apart_and_a_narrow_column_runs_on() {
    let text_above =
        "72 700 Td 14 TL (The harbour bridge reopens on Friday, after three years of repairs and delay.) Tj";
    let rows = "0 -40 Td (Year Ships) Tj T* (2024 1118) Tj T* (2025 1131) Tj";
    let column = "0 -40 Td (The mayor and the) Tj T* (council are glad of) Tj T* (the end of it.) Tj";
    assert_eq!(
        text(&pdf(&[text_above, rows, column].join(" "))),
        "The harbour bridge reopens on Friday, after three years of repairs and delay.\n\n\
         Year Ships\n2024 1118\n2025 1131\n\nThe mayor and the council are glad of the end of it."
    );
}

#[test]
fn a_korean_font_that_is_not_in_the_file_is_read_through_its_encoding() {
    let units = "항만 대교가 금요일에 열린다."
        .encode_utf16()
        .map(|unit| format!("{unit:04x}"))
        .collect::<Vec<_>>();
    let hex = units.concat();
    let content = stream("", format!("BT /K 12 Tf 72 700 Td <{hex}> Tj ET").as_bytes());
    assert_eq!(
        text(&pdf_page(content, "", Vec::new())),
        "항만 대교가 금요일에 열린다."
    );
}

#[test]
fn rotated_pages_and_forms_are_read_and_page_numbers_are_not() {
    let form = stream(
        "/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Matrix[0 1 -1 0 0 0]",
        b"BT /F 12 Tf (In a form) Tj ET",
    );
    let content = b"/X Do /Artifact <</Type/Pagination>> BDC BT /F 9 Tf (Page 1) Tj ET EMC";
    let page = pdf_page(stream("", content), "/XObject<</X 8 0 R>>", vec![form]);
    assert_eq!(text(&page), "In a form");
}

#[test]
fn replacement_text_stands_for_its_glyphs() {
    let content = "72 700 Td (of) Tj /Span <</ActualText(fice)>> BDC (xyz) Tj EMC (s) Tj";
    assert_eq!(text(&pdf(content)), "offices");
}

#[test]
fn compressed_content_in_two_layers_of_filters_is_read() {
    let content = deflated(b"BT /F 12 Tf 72 700 Td (Packed twice) Tj ET");
    let content = deflated(&content);
    let page = pdf_page(
        stream("/Filter[/FlateDecode/FlateDecode]", &content),
        "",
        Vec::new(),
    );
    assert_eq!(text(&page), "Packed twice");
}

#[test]
fn old_and_sloppy_ways_of_packing_are_read() {
    let lines = "(The harbour bridge opens again.) Tj T* ".repeat(400);
    let content = format!("BT /F 12 Tf 72 700 Td 14 TL {lines}ET");
    // Low, so that it tells whether what these come to is measured or guessed.
    let limits = Limits {
        max_unpacked_bytes: 100_000,
        ..Limits::default()
    };
    for (filter, data) in [
        ("LZWDecode", lzw(content.as_bytes())),
        ("FlateDecode", deflated_bare(content.as_bytes())),
    ] {
        let page = pdf_page(stream(&format!("/Filter/{filter}"), &data), "", Vec::new());
        let article = read("a.pdf", &page, &limits).unwrap();
        assert_eq!(
            article.text.matches("bridge opens again").count(),
            400,
            "{filter}"
        );
    }
    let empty = pdf_page(stream("/Filter/FlateDecode", b""), "", Vec::new());
    let said = read("a.pdf", &empty, &limits).unwrap_err().to_string();
    assert!(said.contains("it has no text"), "{said}");
}

#[test]
fn a_pdf_that_only_its_owner_may_change_is_read() {
    assert_eq!(
        text(include_bytes!("fixtures/encrypted-owner.pdf")),
        "Print-protected text."
    );
}
