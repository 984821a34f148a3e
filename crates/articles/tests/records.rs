//! Many articles in one file.
#![expect(clippy::unwrap_used, reason = "what a helper can't have fails its test")]

use bedrock_diy_articles::{Limits, MediaType, ReadError, Record, read, records};

fn all(name: &str, bytes: &[u8]) -> Vec<Result<Record, ReadError>> {
    records(name, bytes, &Limits::default()).unwrap().collect()
}

fn texts(records: &[Result<Record, ReadError>]) -> Vec<&str> {
    records
        .iter()
        .map(|record| record.as_ref().map_or("error", |record| record.text.as_str()))
        .collect()
}

fn said(record: &Result<Record, ReadError>) -> String {
    record.as_ref().unwrap_err().to_string()
}

#[test]
fn fields_are_found_under_their_usual_names() {
    let json = r#"{"guid": 17, "headline": " Bridge\nopens ", "content": "<p>On Friday.</p>", "lang": "en_gb", "page": 3,
                   "urgent": true, "tags": ["a"], "place": {"x": 1}, "ghost": null, "source": "wire"}"#;
    let records = all("a.json", json.as_bytes());
    let record = records[0].as_ref().unwrap();
    assert_eq!(record.index, 0);
    assert_eq!(record.id.as_deref(), Some("17"));
    assert_eq!(record.title.as_deref(), Some("Bridge opens"));
    assert_eq!(record.text, "<p>On Friday.</p>");
    assert_eq!(record.language.as_deref(), Some("en-GB"));
    assert_eq!(
        serde_json::to_string(&record.metadata).unwrap(),
        r#"{"page":3,"urgent":true,"source":"wire"}"#
    );
}

#[test]
fn the_first_text_field_that_is_a_string_is_taken() {
    let records = all(
        "a.json",
        br#"{"body": "second", "text": 5, "content": "first", "language": "none of these"}"#,
    );
    let record = records[0].as_ref().unwrap();
    assert_eq!(record.text, "first");
    assert_eq!(record.language, None);
    assert!(record.metadata.contains_key("body") && record.metadata.contains_key("language"));
}

#[test]
fn a_broken_line_harms_no_other_and_is_named() {
    let lines = "\u{feff}{\"text\": \"one\"}\r\n\n{\"text\": \"tw\n[1]\n{\"id\": 4}\n{\"text\": \" \"}\n{\"text\": \"six\"}";
    let records = all("a.jsonl", lines.as_bytes());
    assert_eq!(
        texts(&records),
        ["one", "error", "error", "error", "error", "six"]
    );
    assert!(said(&records[1]).contains("a.jsonl, line 3” can't be read: it is not valid JSON"));
    assert!(said(&records[2]).contains("line 4” can't be read: it is not a JSON object"));
    assert!(said(&records[3]).contains("none of the fields text, content, body, article"));
    assert!(said(&records[4]).contains("line 6” can't be read: it has no text"));
    assert_eq!(records[5].as_ref().unwrap().index, 5);
}

#[test]
fn an_array_gives_its_objects_and_ends_at_a_syntax_error() {
    assert_eq!(
        texts(&all("a.json", br#" [ {"text": "one"} , 5, {"text": "two"} ] "#)),
        ["one", "error", "two"]
    );
    assert!(all("a.json", b"[]").is_empty());
    for (broken, reason) in [
        (r#"[{"text": "one"}"#, "the array is not closed"),
        (r#"[{"text": "one"},"#, "the array is not closed"),
        (r#"[{"text": "one"} {"text": "two"}]"#, "a comma is missing"),
        (r#"[{"text": "one"},]"#, "not valid JSON"),
        (r#"[{"text": "one"}, {"text"#, "not valid JSON"),
        (r#"[{"text": "one"}] more"#, "something follows"),
    ] {
        let records = all("a.json", broken.as_bytes());
        assert_eq!(texts(&records), ["one", "error"], "{broken}");
        assert!(
            said(&records[1]).contains(reason) && said(&records[1]).contains("a.json, record 2”"),
            "{broken}"
        );
    }
}

#[test]
fn lines_in_a_json_file_are_read_one_after_the_other() {
    assert_eq!(
        texts(&all("a.json", b"{\"text\": \"one\"}\n{\"text\": \"two\"}\n")),
        ["one", "two"]
    );
    assert_eq!(
        texts(&all("feed", b"{\"text\": \"one\"}\n{\"text\": \"two\"}\n")),
        ["one", "two"]
    );
}

#[test]
fn records_come_in_other_encodings_too() {
    let korean = encoding_rs::EUC_KR
        .encode(r#"{"text": "항만 대교가 금요일에 다시 열린다고 시가 밝혔다."}"#)
        .0;
    assert_eq!(
        texts(&all("a.json", &korean)),
        ["항만 대교가 금요일에 다시 열린다고 시가 밝혔다."]
    );
    let utf16: Vec<u8> = "{\"text\": \"one\"}\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(texts(&all("a.jsonl", &utf16)), ["one"]);
}

#[test]
fn a_file_of_another_kind_is_no_file_of_records() {
    let error = records("a.txt", b"plain text", &Limits::default()).err().unwrap();
    assert_eq!(error.code(), "UnsupportedFormat");
    assert!(records("a.json", b"\0\x01\x02", &Limits::default()).is_err());
}

#[test]
fn one_record_is_an_article_and_several_are_not() {
    let article = read(
        "a.json",
        br#"[{"title": "T", "text": "one"}]"#,
        &Limits::default(),
    )
    .unwrap();
    assert_eq!(
        (article.text.as_str(), article.title.as_deref()),
        ("one", Some("T"))
    );
    assert_eq!(article.media_type, MediaType::Json);
    let error = read(
        "a.jsonl",
        b"{\"text\": \"one\"}\n{\"text\": \"two\"}",
        &Limits::default(),
    )
    .unwrap_err();
    assert!(error.to_string().contains("several articles"));
}

#[test]
fn a_record_with_endless_fields_is_refused() {
    let fields = (0..5_000)
        .map(|n| format!("\"f{n}\": 1, "))
        .collect::<Vec<_>>()
        .concat();
    let records = all("a.json", format!("{{{fields}\"text\": \"x\"}}").as_bytes());
    assert!(said(&records[0]).contains("more than 1,000 fields"));
}

#[test]
fn a_blank_text_field_gives_way_to_the_next() {
    let records = all(
        "a.json",
        br#"[{"text": " ", "content": "", "body": "The article."}, {"text": "", "body": " "}]"#,
    );
    assert_eq!(texts(&records), ["The article.", "error"]);
    assert!(
        said(&records[1]).contains("it has no text."),
        "{}",
        said(&records[1])
    );
}

#[test]
fn what_names_a_record_is_bounded_and_its_other_fields_are_kept() {
    let markup = "<p>The bridge opens.</p>".repeat(1_000);
    let line = serde_json::json!({
        "id": "i".repeat(5_000), "title": "다리".repeat(5_000), "lang": format!("en-x{}", "-part".repeat(1_000)),
        "text": "The bridge opens.", "html": markup,
    });
    let records = all("a.jsonl", line.to_string().as_bytes());
    let record = records[0].as_ref().unwrap();
    assert_eq!(record.id, None);
    let title = record.title.as_deref().unwrap();
    assert!(title.len() <= 303 && title.ends_with("리…"), "{title}");
    assert_eq!(record.language, None);
    assert_eq!(record.metadata["html"], *markup);
    assert_eq!(record.metadata["id"].as_str().unwrap().len(), 5_000);
}
