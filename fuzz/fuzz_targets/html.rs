//! Web pages.
#![no_main]

use bedrock_diy_articles::{Limits, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = read("a.html", bytes, &Limits::default());
});
