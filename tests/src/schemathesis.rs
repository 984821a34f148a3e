//! `schemathesis`: it asks an API whatever its document allows, and what it does not.

use std::{path::PathBuf, process::Command};

/// An API that is asked.
pub struct Schemathesis<'a> {
    /// Where it is, without a slash at the end.
    pub url: &'a str,
    /// Whose token is shown.
    pub token: &'a str,
    /// How many requests each operation is asked at least, beside those that the document's limits suggest.
    pub examples: &'a str,
    /// The ids of the operations that are asked; all of them where there are none.
    pub operations: &'a [&'a str],
    /// The checks that are left out.
    pub without: &'a [&'a str],
}

impl Schemathesis<'_> {
    /// Asks, with every other check. Fails where an answer is not as the document says, or an operation was not asked.
    pub fn run(&self) {
        let mut command = Command::new(program());
        let config = concat!(env!("CARGO_MANIFEST_DIR"), "/schemathesis.toml");
        command
            .args(["--config-file", config, "run"])
            .arg(format!("{}/openapi.json", self.url))
            .args(["--url", self.url])
            .args(["--header", &format!("Authorization: Bearer {}", self.token)])
            .args(["--checks", "all", "--max-examples", self.examples])
            // More workers are threads of Python's, and 3.11's `ast`, which Hypothesis reads sources with, is not safe for
            // threads: "AST constructor recursion depth mismatch".
            .args(["--workers", "1", "--continue-on-failure"])
            // The same requests each time: what is found once is found again.
            .args(["--generation-deterministic", "--no-color"]);
        for check in self.without {
            command.args(["--exclude-checks", check]);
        }
        for operation in self.operations {
            command.args(["--include-operation-id", operation]);
        }
        // It leaves files where it runs.
        let folder = tempfile::tempdir().unwrap();
        let asked = command.current_dir(folder.path()).output();
        let asked = asked.expect("schemathesis can be started");
        let said = String::from_utf8_lossy(&asked.stdout);
        let failed = String::from_utf8_lossy(&asked.stderr);
        assert!(asked.status.success(), "{said}\n{failed}");
        let number = |name: &str| {
            let line = said.lines().find_map(|line| line.trim().strip_prefix(name));
            line.unwrap_or_else(|| panic!("{said}")).trim().to_owned()
        };
        let selected = number("Selected:");
        let selected = selected.split('/').next().unwrap();
        assert_eq!(selected, number("Tested:"), "{said}");
        if !self.operations.is_empty() {
            assert_eq!(selected, self.operations.len().to_string(), "{said}");
        }
    }
}

fn program() -> PathBuf {
    let folder = std::env::var_os("BEDROCK_DIY_SCHEMATHESIS");
    PathBuf::from(
        folder.expect("`cargo verify` installs schemathesis, and says where: run this test through it"),
    )
    .join("schemathesis")
}
