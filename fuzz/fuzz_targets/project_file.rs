//! `project.yaml`, read from a folder as the program reads it, with a card that is in order beside it.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use bedrock_diy::project_files::ProjectFiles;
use bedrock_diy_core::catalogue::Catalogue;
use libfuzzer_sys::fuzz_target;

/// A project's folder for this process alone.
static PROJECT: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("bedrock-diy-fuzz-{}", std::process::id()));
    fs::create_dir_all(folder.join("cards")).expect("a folder can be made");
    fs::write(folder.join("cards/10-facts.md"), "List the facts.\n").expect("a card can be written");
    folder
});
static CATALOGUE: LazyLock<Catalogue> =
    LazyLock::new(|| Catalogue::own().expect("our own catalogue is in order"));

fuzz_target!(|bytes: &[u8]| {
    fs::write(PROJECT.join("project.yaml"), bytes).expect("the file can be written");
    match ProjectFiles::read_with(&PROJECT, &CATALOGUE) {
        Ok(project) => assert!(project.cards.iter().any(|card| card.is_active)),
        Err(faults) => assert!(!faults.is_empty(), "it can't be read, and nothing says why"),
    }
});
