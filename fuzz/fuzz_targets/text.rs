//! Encodings: any bytes called `.txt`.
#![no_main]

use bedrock_diy_articles::{Limits, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(article) = read("a.txt", bytes, &Limits::default()) {
        assert!(
            !article
                .text
                .contains(|c: char| c.is_control() && c != '\n' && c != '\t')
        );
        assert_eq!(article.same_as_source, article.text.as_bytes() == bytes);
    }
});
