//! What `template.yaml` promises, and the limits of the services that the design leans on.
//!
//! | file | shows |
//! | --- | --- |
//! | `limits.rs` | times, sizes, names and histories that AWS limits |
//! | `policies.rs` | who may do what, and that nobody may do more |
//! | `storage.rs` | tables, buckets and queues: closed, encrypted, kept as long as they should be |
//! | `functions.rs` | each function has what its program needs |
//! | `machine.rs` | the state machine and the template name the same things |
//! | `watching.rs` | alarms and the dashboard |
//! | `settings.rs` | parameters, and `samconfig.toml` |

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its helpers too"
)]

mod functions;
mod gateway;
mod limits;
mod machine;
mod policies;
mod settings;
mod storage;
mod template;
mod watching;
mod yaml;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// The project's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A file of the project.
fn file(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every string that stands in the sources of the functions' programs: names of variables and metrics are
/// among them.
fn strings_of_programs() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in ["crates/aws/src", "crates/lambda/src", "functions"] {
        collect_strings(&root().join(folder), &mut found);
    }
    found
}

fn collect_strings(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_strings(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(path).unwrap();
            let names = source.split('"').filter(|piece| {
                !piece.is_empty() && piece.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            });
            found.extend(names.map(str::to_owned));
        }
    }
}
