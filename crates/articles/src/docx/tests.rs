use std::io::{Cursor, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::{Article, Limits, ReadError, read};

const DOCUMENT: &str = "word/document.xml";

/// A DOCX of the given parts.
fn package(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn document(body: &str) -> String {
    format!("<?xml version=\"1.0\"?><w:document xmlns:w=\"w\"><w:body>{body}</w:body></w:document>")
}

fn paragraph(text: &str) -> String {
    format!("<w:p><w:r><w:t xml:space=\"preserve\">{text}</w:t></w:r></w:p>")
}

fn read_parts(parts: &[(&str, &str)]) -> Result<Article, ReadError> {
    read("a.docx", &package(parts), &Limits::default())
}

fn read_body(body: &str) -> Result<Article, ReadError> {
    read_parts(&[(DOCUMENT, &document(body))])
}

#[test]
fn paragraphs_breaks_and_entities_come_as_they_are_seen() {
    let body = "<w:p><w:pPr><w:tabs><w:tab/></w:tabs></w:pPr><w:r><w:t>A &amp; B</w:t><w:tab/><w:t>c&#x2014;d</w:t>\
                <w:br/><w:t>e</w:t></w:r></w:p><w:p/><w:p><w:r><w:t>서울 </w:t></w:r><w:r><w:t>大桥</w:t></w:r></w:p>";
    assert_eq!(read_body(body).unwrap().text, "A & B\tc—d\ne\n\n서울 大桥");
}

#[test]
fn deleted_text_goes_and_inserted_text_stays() {
    let body = "<w:p><w:del><w:r><w:delText>old</w:delText><w:t>old</w:t></w:r></w:del><w:ins><w:r><w:t>new</w:t>\
                </w:r></w:ins><w:moveFrom><w:r><w:t>away</w:t></w:r></w:moveFrom></w:p>\
                <w:tbl><w:tr><w:trPr><w:del/></w:trPr><w:tc><w:p><w:r><w:t>gone</w:t></w:r></w:p></w:tc></w:tr>\
                <w:tr><w:tc><w:p><w:r><w:t>kept</w:t></w:r></w:p></w:tc></w:tr></w:tbl>";
    assert_eq!(read_body(body).unwrap().text, "new\n\nkept");
}

#[test]
fn cells_are_separated_by_tabs_and_nested_tables_stay_in_their_cell() {
    let cell = |text: &str| format!("<w:tc>{}</w:tc>", paragraph(text));
    let inner = format!("<w:tbl><w:tr>{}{}</w:tr></w:tbl>", cell("x"), cell("y"));
    let body = format!(
        "{}<w:tbl><w:tr>{}{}</w:tr><w:tr>{}<w:tc>{inner}<w:p/></w:tc></w:tr></w:tbl>{}",
        paragraph("Before"),
        cell("Year"),
        cell("Ships"),
        cell("2024"),
        paragraph("After")
    );
    assert_eq!(
        read_body(&body).unwrap().text,
        "Before\n\nYear\tShips\n2024\tx y\n\nAfter"
    );
}

#[test]
fn list_items_have_marks_from_the_numbering_or_the_style() {
    let numbering = "<w:numbering><w:abstractNum w:abstractNumId=\"7\"><w:lvl w:ilvl=\"0\"><w:numFmt w:val=\"decimal\"/>\
                     </w:lvl><w:lvl w:ilvl=\"1\"><w:numFmt w:val=\"bullet\"/></w:lvl></w:abstractNum>\
                     <w:num w:numId=\"3\"><w:abstractNumId w:val=\"7\"/></w:num></w:numbering>";
    let styles = "<w:styles><w:style w:styleId=\"Point\"><w:pPr><w:numPr><w:numId w:val=\"9\"/></w:numPr></w:pPr>\
                  </w:style></w:styles>";
    let item = |level: u8, text: &str| {
        format!(
            "<w:p><w:pPr><w:numPr><w:ilvl w:val=\"{level}\"/><w:numId w:val=\"3\"/></w:numPr></w:pPr><w:r><w:t>{text}\
             </w:t></w:r></w:p>"
        )
    };
    let by_style = "<w:p><w:pPr><w:pStyle w:val=\"Point\"/></w:pPr><w:r><w:t>styled</w:t></w:r></w:p>";
    let items = [item(0, "one"), item(1, "sub"), item(0, "two")].concat();
    let body = [paragraph("Plan"), items, by_style.to_owned()].concat();
    let article = read_parts(&[
        (DOCUMENT, &document(&body)),
        ("word/numbering.xml", numbering),
        ("word/styles.xml", styles),
    ]);
    assert_eq!(article.unwrap().text, "Plan\n\n1. one\n  - sub\n2. two\n- styled");
}

#[test]
fn notes_come_at_the_end_under_their_numbers() {
    let body = "<w:p><w:r><w:t>Fact</w:t><w:footnoteReference w:id=\"5\"/><w:t>, figure</w:t>\
                <w:endnoteReference w:id=\"5\"/></w:r></w:p>";
    let notes = |kind: &str, text: &str| {
        format!(
            "<w:notes><w:{kind} w:id=\"0\">{}</w:{kind}><w:{kind} w:id=\"5\">{}</w:{kind}></w:notes>",
            paragraph("separator"),
            paragraph(text)
        )
    };
    let article = read_parts(&[
        (DOCUMENT, &document(body)),
        ("word/footnotes.xml", &notes("footnote", "City records.")),
        ("word/endnotes.xml", &notes("endnote", "Port office.")),
    ]);
    assert_eq!(
        article.unwrap().text,
        "Fact[1], figure[2]\n\n[1] City records.\n\n[2] Port office."
    );
}

#[test]
fn a_text_box_is_read_once_after_its_paragraph() {
    let text_box = |text: &str| format!("<w:txbxContent>{}</w:txbxContent>", paragraph(text));
    let body = format!(
        "<w:p><w:r><w:t>Around</w:t><mc:AlternateContent><mc:Choice>{}</mc:Choice><mc:Fallback>{}</mc:Fallback>\
         </mc:AlternateContent><w:t> it</w:t></w:r></w:p>",
        text_box("Boxed"),
        text_box("Boxed")
    );
    assert_eq!(read_body(&body).unwrap().text, "Around it\n\nBoxed");
}

#[test]
fn title_and_language_come_from_the_properties_and_else_from_the_styles() {
    let core = "<cp:coreProperties><dc:title>Harbour &amp; bridge</dc:title></cp:coreProperties>";
    let styles = "<w:styles><w:docDefaults><w:rPrDefault><w:rPr><w:lang w:val=\"en-GB\" w:eastAsia=\"ko-KR\"/></w:rPr>\
                  </w:rPrDefault></w:docDefaults></w:styles>";
    for (text, language) in [("Bridge opens", "en-GB"), ("항만 대교 개통", "ko-KR")] {
        let parts = [
            (DOCUMENT, &*document(&paragraph(text))),
            ("docProps/core.xml", core),
            ("word/styles.xml", styles),
        ];
        let article = read_parts(&parts).unwrap();
        assert_eq!(article.title.as_deref(), Some("Harbour & bridge"));
        assert_eq!(article.language.as_deref(), Some(language));
    }
}

#[test]
fn the_main_document_is_where_the_relationships_say() {
    let relationships = "<Relationships><Relationship Type=\"http://x/relationships/officeDocument\" \
                         Target=\"/word/document2.xml\"/></Relationships>";
    let parts = [
        ("_rels/.rels", relationships),
        ("word/document2.xml", &*document(&paragraph("Found"))),
    ];
    assert_eq!(read_parts(&parts).unwrap().text, "Found");
}

#[test]
fn a_list_begins_where_it_says_and_another_s_override_changes_nothing() {
    let numbering = "<w:numbering><w:abstractNum w:abstractNumId=\"7\"><w:lvl w:ilvl=\"0\"><w:start w:val=\"4\"/>\
                     <w:numFmt w:val=\"decimal\"/></w:lvl></w:abstractNum><w:num w:numId=\"3\"><w:abstractNumId \
                     w:val=\"7\"/></w:num><w:num w:numId=\"4\"><w:abstractNumId w:val=\"7\"/><w:lvlOverride w:ilvl=\"0\">\
                     <w:lvl w:ilvl=\"0\"><w:start w:val=\"9\"/><w:numFmt w:val=\"bullet\"/></w:lvl></w:lvlOverride></w:num>\
                     </w:numbering>";
    let item = |text: &str| {
        format!(
            "<w:p><w:pPr><w:numPr><w:ilvl w:val=\"0\"/><w:numId w:val=\"3\"/></w:numPr></w:pPr><w:r><w:t>{text}</w:t>\
             </w:r></w:p>"
        )
    };
    let article = read_parts(&[
        (DOCUMENT, &document(&(item("four") + &item("five")))),
        ("word/numbering.xml", numbering),
    ]);
    assert_eq!(article.unwrap().text, "4. four\n5. five");
}

#[test]
fn a_table_of_one_column_is_a_frame_around_paragraphs() {
    let cell = format!("<w:tc>{}{}</w:tc>", paragraph("One."), paragraph("Two."));
    let body = format!("<w:tbl><w:tr>{cell}</w:tr><w:tr>{cell}</w:tr></w:tbl>");
    assert_eq!(read_body(&body).unwrap().text, "One.\n\nTwo.\n\nOne.\n\nTwo.");
    let cell = format!("<w:tc>{}</w:tc>", paragraph("One."));
    let body = format!("<w:tbl><w:tr>{cell}</w:tr><w:tr>{cell}</w:tr></w:tbl>");
    assert_eq!(read_body(&body).unwrap().text, "One.\nOne.");
}

#[test]
fn how_characters_are_spoken_is_no_part_of_the_text() {
    let body = "<w:p><w:r><w:ruby><w:rt><w:r><w:t>とうきょう</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>東京</w:t></w:r>\
                </w:rubyBase></w:ruby></w:r><w:r><w:t>の橋</w:t></w:r></w:p>";
    assert_eq!(read_body(body).unwrap().text, "東京の橋");
}

#[test]
fn a_document_that_embeds_another_file_is_refused() {
    let body = paragraph("Before") + "<w:altChunk r:id=\"html\"/>";
    let said = read_body(&body).unwrap_err().to_string();
    assert!(said.contains("embeds another file"), "{said}");
}
