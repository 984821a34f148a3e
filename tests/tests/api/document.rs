//! The `OpenAPI` document: made from the code, committed, and kept.

use std::{fs, path::Path};

/// Written anew where `UPDATE_EXPECT` is set, as other expectations are.
#[test]
fn the_committed_document_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let mut document = serde_json::to_string_pretty(&bedrock_diy_api::openapi()).unwrap();
    document.push('\n');
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &document).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap();
    assert!(
        committed == document,
        "docs/openapi.json is not what the code says: run this test with UPDATE_EXPECT=1, and look at what has changed"
    );
}
