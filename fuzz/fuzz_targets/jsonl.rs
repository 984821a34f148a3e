//! Many articles in one file, as one JSON object a line.
#![no_main]

use bedrock_diy_articles::{Limits, records};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default();
    if let Ok(records) = records("a.jsonl", bytes, &limits) {
        for (index, record) in records.enumerate() {
            assert!(record.is_err() || record.is_ok_and(|record| record.index == index));
            assert!(index <= bytes.len(), "the records never end");
        }
    }
});
