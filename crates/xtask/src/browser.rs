//! What the tests run by Node, from npm: Chromium and what drives it, for those that ask the API as pages do, and
//! readers of documents.

use std::path::{Path, PathBuf};

use crate::shell::{Outcome, answers, command, root, step, target};

/// What is installed: named with its versions and hashes, and run with.
const FOLDER: &str = "tests/clients";
const FILES: [&str; 5] = [
    "package.json",
    "package-lock.json",
    "unpack.js",
    "open.js",
    "asyncapi.js",
];

/// Names of browsers that are as good, where the package has none for this kind of machine.
const OTHERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// Where a browser is.
pub(crate) struct Browser {
    /// The folder with the scripts: `open.js`, which opens a page, and others.
    pub(crate) folder: PathBuf,
    /// The browser's program.
    pub(crate) program: PathBuf,
}

/// The browser; it is made anew when one of the files changes.
pub(crate) fn install() -> Outcome<Browser> {
    let folder = target().join("tools-browser");
    let stamp = folder.join("installed.txt");
    let mut wanted = String::new();
    for file in FILES {
        let path = root().join(FOLDER).join(file);
        wanted += &std::fs::read_to_string(&path)
            .map_err(|error| format!("{FOLDER}/{file} can't be read: {error}"))?;
    }
    let has_own = cfg!(all(target_os = "linux", target_arch = "x86_64"));
    let program = if has_own {
        folder.join("chromium")
    } else {
        found()?
    };
    let browser = Browser { folder, program };
    if !std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        make(&browser.folder, has_own)?;
        std::fs::write(&stamp, wanted)
            .map_err(|error| format!("{} can't be written: {error}", stamp.display()))?;
    }
    Ok(browser)
}

fn make(folder: &Path, has_own: bool) -> Outcome<()> {
    for program in ["node", "npm"] {
        if !answers(program, &["--version"]) {
            return Err(format!(
                "{program} is needed for the tests, which use a browser: install Node 20.11 or later, with npm."
            ));
        }
    }
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("{} can't be made: {error}", folder.display()))?;
    for file in FILES {
        std::fs::copy(root().join(FOLDER).join(file), folder.join(file))
            .map_err(|error| format!("{FOLDER}/{file} can't be copied: {error}"))?;
    }
    // Nothing but what the list has, by its hashes; and no program of a package is run for that.
    let install = [
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ];
    step(
        "Installing the browser and other clients (once; 110 MB)",
        command("npm", install).current_dir(folder),
    )?;
    if has_own {
        step("Unpacking it", command("node", ["unpack.js"]).current_dir(folder))?;
    }
    Ok(())
}

/// A browser that is installed already.
fn found() -> Outcome<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).flat_map(|folder| OTHERS.map(|name| folder.join(name)));
    places.find(|place| place.is_file()).ok_or_else(|| {
        format!(
            "a browser is needed for the tests, and there is none to install for this kind of machine: install one of \
             {}.",
            OTHERS.join(", ")
        )
    })
}
