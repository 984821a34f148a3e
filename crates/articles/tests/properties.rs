//! What holds for all bytes.

use bedrock_diy_articles::{Limits, read, records};
use proptest::collection::vec;
use proptest::prelude::*;

const NAMES: [&str; 9] = [
    "a.txt",
    "a.md",
    "a.html",
    "a.pdf",
    "a.docx",
    "a.json",
    "a.jsonl",
    "a.bin",
    "no name at all",
];

/// How files of each kind begin, so that arbitrary bytes reach their parsers.
const STARTS: [&[u8]; 8] = [
    b"",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"%PDF-1.7\n",
    b"PK\x03\x04",
    b"<!doctype html>",
    b"{\"text\":",
    b"[{",
];

fn some_file() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let bytes = prop_oneof![
        vec(any::<u8>(), 0..2_000),
        any::<String>().prop_map(String::into_bytes)
    ];
    (
        prop::sample::select(&NAMES[..]),
        prop::sample::select(&STARTS[..]),
        bytes,
    )
        .prop_map(|(name, start, bytes)| (name, [start, &bytes].concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_under_any_name_are_an_article_or_an_error((name, bytes) in some_file()) {
        if let Ok(article) = read(name, &bytes, &Limits::default()) {
            prop_assert!(!article.text.trim().is_empty());
            prop_assert!(!article.text.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
            prop_assert_eq!(article.same_as_source, article.text.as_bytes() == bytes);
        }
    }

    #[test]
    fn any_bytes_end_as_records((name, bytes) in some_file()) {
        if let Ok(records) = records(name, &bytes, &Limits::default()) {
            for (index, record) in records.enumerate() {
                if let Ok(record) = record {
                    prop_assert_eq!(record.index, index);
                }
            }
        }
    }

    #[test]
    fn text_in_utf8_comes_back_exactly(text in "[^\\p{Cc}\u{feff}]([^\\p{Cc}]|\r\n|\r|\n|\t){0,300}") {
        prop_assume!(!text.trim().is_empty());
        let expected = text.replace("\r\n", "\n").replace('\r', "\n");
        let looks_otherwise = ["%PDF-", "%!PS", "{\\rtf", "PK\u{3}\u{4}"].iter().any(|start| text.starts_with(start));
        prop_assume!(!looks_otherwise);
        let article = read("a.txt", text.as_bytes(), &Limits::default()).unwrap();
        prop_assert_eq!(&article.text, &expected);
        prop_assert_eq!(article.same_as_source, text == expected);
    }
}
