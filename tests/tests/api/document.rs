//! The OpenAPI and AsyncAPI documents and the events' schemas: made from the code, committed, and kept.

use std::{collections::BTreeSet, fs, path::PathBuf};

use bedrock_diy_tests::clients;

/// Written anew where `UPDATE_EXPECT` is set, as other expectations are.
#[test]
fn the_committed_documents_are_what_the_code_says() {
    is_committed("openapi.json", &bedrock_diy_api::openapi());
    is_committed("asyncapi.json", &bedrock_diy_api::asyncapi());
}

#[test]
fn asyncapi_s_own_parser_finds_nothing_wrong() {
    let document = docs().join("asyncapi.json");
    assert_eq!(clients::asyncapi_faults(&document), Vec::<String>::new());

    // It would say so.
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("asyncapi.json");
    let text = fs::read_to_string(document).unwrap();
    fs::write(
        &broken,
        text.replacen("#/components/messages/", "#/components/nowhere/", 1),
    )
    .unwrap();
    assert!(!clients::asyncapi_faults(&broken).is_empty());
}

#[test]
fn the_committed_schemas_of_events_are_what_the_code_says() {
    let schemas = bedrock_diy_api::event_schemas();
    for (name, schema) in &schemas {
        is_committed(&format!("events/{name}.json"), schema);
    }
    let committed: BTreeSet<_> = fs::read_dir(docs().join("events"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let made: BTreeSet<_> = schemas.keys().map(|name| format!("{name}.json")).collect();
    assert_eq!(committed, made);
}

fn docs() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"))
}

fn is_committed(name: &str, document: &impl serde::Serialize) {
    let path = docs().join(name);
    let mut document = serde_json::to_string_pretty(document).unwrap();
    document.push('\n');
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &document).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == document,
        "docs/{name} is not what the code says: run this test with UPDATE_EXPECT=1, and look at what has changed"
    );
}
