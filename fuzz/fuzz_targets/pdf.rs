//! PDFs. The limits are low, so that bombs are refused before they take the fuzzer's time.
#![no_main]

use bedrock_diy_articles::{Limits, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits {
        max_unpacked_bytes: 4_000_000,
        ..Limits::default()
    };
    // The end mark that a PDF must have is given to all, so that those without it reach the parser too.
    let _ = read("a.pdf", &[bytes, b"\n%%EOF"].concat(), &limits);
});
