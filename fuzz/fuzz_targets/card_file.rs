//! A prompt card's file: front matter in YAML, and a template below it.
#![no_main]

use std::path::Path;

use bedrock_diy::project_files::parse_card;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let card = parse_card(Path::new("cards/10-social-post.md"), bytes);
    assert!(
        !card.faults.is_empty() || !card.draft.title.trim().is_empty(),
        "a card without a title has no fault"
    );
    for fault in card.faults {
        assert!(!fault.to_string().is_empty());
    }
});
