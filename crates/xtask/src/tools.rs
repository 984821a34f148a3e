//! Tools from PyPI that the tests and the stack use, installed where they are not there.

use std::path::PathBuf;

use crate::shell::{Outcome, answers, command, root, step, target};

/// Tools from PyPI: a list with their versions and hashes, and the virtual environment that they are in, a
/// folder of the target folder.
pub(crate) struct PythonTools {
    list: &'static str,
    place: &'static str,
}

/// What the tests need.
pub(crate) const TOOLS: PythonTools = PythonTools {
    list: "tests/tools.txt",
    place: "tools",
};

/// checkov asks for other versions of the same libraries: it lives for itself.
pub(crate) const CHECKOV: PythonTools = PythonTools {
    list: "tests/checkov.txt",
    place: "tools-checkov",
};

/// What asks the API whatever it may be asked.
pub(crate) const SCHEMATHESIS: PythonTools = PythonTools {
    list: "tests/schemathesis.txt",
    place: "tools-schemathesis",
};

/// Clients of others, which follow jobs as their users would.
pub(crate) const CLIENTS: PythonTools = PythonTools {
    list: "tests/clients.txt",
    place: "tools-clients",
};

impl PythonTools {
    /// The folder with their programs; the virtual environment is made anew when the list changes.
    pub(crate) fn install(&self) -> Outcome<PathBuf> {
        let place = target().join(self.place);
        let bin = place.join("bin");
        let list = std::fs::read_to_string(root().join(self.list))
            .map_err(|error| format!("{} can't be read: {error}", self.list))?;
        let stamp = place.join("installed.txt");
        if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == list) {
            return Ok(bin);
        }
        if !answers("python3", &["--version"]) {
            return Err(
                "python3 is needed for the tools that the tests use: install Python 3.11 or later.".into(),
            );
        }
        step(
            &format!("Making a place for the Python tools of {}", self.list),
            &mut command("python3", ["-m", "venv", "--clear", &place.to_string_lossy()]),
        )?;
        // Wheels only: nothing is compiled here, be it C or byte code.
        step(
            &format!("Installing them (once; about {} packages)", packages(&list)),
            command(
                &bin.join("pip").to_string_lossy(),
                [
                    "install",
                    "--quiet",
                    "--require-hashes",
                    "--only-binary=:all:",
                    "--no-compile",
                    "--requirement",
                ],
            )
            .arg(self.list),
        )?;
        std::fs::write(&stamp, list)
            .map_err(|error| format!("{} can't be written: {error}", stamp.display()))?;
        Ok(bin)
    }
}

fn packages(list: &str) -> usize {
    list.lines().filter(|line| line.contains("==")).count()
}
