//! Results as files: a folder an article, with each stage's output in one, for people who look.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use bedrock_diy_core::PromptId;
use bedrock_diy_tables::Row;

/// Writes a folder an article below `articles/`.
pub struct Folders {
    root: PathBuf,
    used: HashSet<String>,
}

impl Folders {
    /// Below this folder.
    #[must_use]
    pub fn new(out: &Path) -> Self {
        Self {
            root: out.join("articles"),
            used: HashSet::new(),
        }
    }

    /// Writes an article's outputs: `1-facts.json`, `2-summary.txt`, and `error.txt` where it failed.
    pub fn write(&mut self, row: &Row) -> io::Result<()> {
        let name = self.folder_name(&row.article);
        let folder = self.root.join(name);
        fs::create_dir_all(&folder)?;
        let mut written = HashSet::new();
        for output in &row.outputs {
            let extension = if serde_json::from_str::<serde_json::Map<_, _>>(&output.text).is_ok() {
                "json"
            } else {
                "txt"
            };
            let name = format!("{}-{}.{extension}", output.stage, output.prompt_id);
            fs::write(folder.join(&name), with_line_end(&output.text))?;
            written.insert(name);
        }
        remove_others(&folder, &written)?;
        let error = folder.join("error.txt");
        match &row.error {
            Some(failed) => fs::write(error, format!("{}: {}\n", failed.code, failed.message)),
            // What failed in an earlier run and succeeded in this one has no error any more.
            None => match fs::remove_file(error) {
                Err(other) if other.kind() != io::ErrorKind::NotFound => Err(other),
                _ => Ok(()),
            },
        }
    }

    /// A name that every file system takes, and that leads nowhere else: no slashes, no dots in
    /// front, at most 120 bytes, and each only once.
    fn folder_name(&mut self, article: &str) -> String {
        const MOST: usize = 120;
        let safe: String = article
            .chars()
            .map(|c| {
                if c.is_control() || "/\\:*?\"<>|".contains(c) {
                    '_'
                } else {
                    c
                }
            })
            .collect();
        let safe = safe.trim_start_matches(['.', ' ']).trim_end_matches(['.', ' ']);
        let mut end = safe.len().min(MOST);
        while !safe.is_char_boundary(end) {
            end -= 1;
        }
        let base = if end == 0 { "article" } else { &safe[..end] };
        let mut name = base.to_owned();
        let mut number = 2;
        while !self.used.insert(name.to_lowercase()) {
            name = format!("{base} ({number})");
            number += 1;
        }
        name
    }
}

/// Removes the outputs of earlier runs: of cards that this one has not, of an article that had the same name.
fn remove_others(folder: &Path, written: &HashSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_output(&name) && !written.contains(&name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whether a file's name is one that an output is written under.
fn is_output(name: &str) -> bool {
    let Some((stage, rest)) = name.split_once('-') else {
        return false;
    };
    let card = rest.strip_suffix(".json").or_else(|| rest.strip_suffix(".txt"));
    !stage.is_empty()
        && stage.bytes().all(|digit| digit.is_ascii_digit())
        && card.is_some_and(|card| PromptId::new(card).is_ok())
}

fn with_line_end(text: &str) -> String {
    if text.ends_with('\n') {
        text.to_owned()
    } else {
        format!("{text}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_differ_only_in_what_a_file_system_ignores_stay_apart() {
        let mut folders = Folders::new(Path::new("out"));
        let names =
            ["a/b.txt", "a\\b.txt", "A_B.TXT", "../../etc/passwd"].map(|name| folders.folder_name(name));
        assert_eq!(names, ["a_b.txt", "a_b.txt (2)", "A_B.TXT (3)", "_.._etc_passwd"]);
    }

    proptest! {
        #[test]
        fn no_article_name_leads_out_of_the_folder(name in ".*") {
            let folder = Folders::new(Path::new("out")).folder_name(&name);
            let path = Path::new(&folder);
            prop_assert_eq!(path.components().count(), 1);
            prop_assert!(matches!(path.components().next(), Some(std::path::Component::Normal(_))));
            prop_assert!(folder.len() <= 130);
        }
    }
}
