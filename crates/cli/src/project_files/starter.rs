//! The project that a new user starts from.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use bedrock_diy_core::{ProjectId, catalogue::Catalogue, ids::slug_of, text::sha256_hex};

use super::writing::quoted;

/// Why no project was started. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Something is there that would be overwritten or mixed up with the new files.
    #[error("nothing was written, because this is in the way: {}. Choose another folder, or move it away.", listed(.0))]
    InTheWay(Vec<PathBuf>),
    /// A file or folder can't be made.
    #[error("{} can't be written: {source}. No file was left behind.", path.display())]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

const PROJECT: &str = include_str!("starter/project.yaml");

const CARDS: [(&str, &str); 3] = [
    ("10-facts.md", include_str!("starter/10-facts.md")),
    ("20-summary.md", include_str!("starter/20-summary.md")),
    ("30-headline.md", include_str!("starter/30-headline.md")),
];

/// Writes a project to start from into this folder, which is made if it is not there. `name` is the project's name
/// for people; where it is empty, the folder's name.
///
/// Answers the files that it wrote. Overwrites nothing: fails with [`InitError::InTheWay`] where there is a
/// `project.yaml` or a card already.
pub fn init(dir: &Path, name: &str) -> Result<Vec<PathBuf>, InitError> {
    let cards = dir.join("cards");
    let blocking = in_the_way(dir, &cards);
    if !blocking.is_empty() {
        return Err(InitError::InTheWay(blocking));
    }
    fs::create_dir_all(&cards).map_err(|source| InitError::Unwritable {
        path: cards.clone(),
        source,
    })?;
    let project = (dir.join("project.yaml"), project_yaml(dir, name));
    let cards = CARDS.map(|(file, text)| (cards.join(file), text.to_owned()));
    let mut written = Vec::new();
    for (path, text) in [project].into_iter().chain(cards) {
        if let Err(source) = write_new(&path, &text) {
            for path in written {
                // Best effort: the first error is the one to tell.
                let _ = fs::remove_file(path);
            }
            return Err(match source.kind() {
                io::ErrorKind::AlreadyExists => InitError::InTheWay(vec![path]),
                _ => InitError::Unwritable { path, source },
            });
        }
        written.push(path);
    }
    Ok(written)
}

/// What would be overwritten, or would run among the new cards.
fn in_the_way(dir: &Path, cards: &Path) -> Vec<PathBuf> {
    let is_there = |path: &PathBuf| fs::symlink_metadata(path).is_ok();
    let is_no_folder =
        |path: &Path| fs::metadata(path).map_or_else(|_| is_there(&path.to_owned()), |m| !m.is_dir());
    if is_no_folder(dir) {
        return vec![dir.to_owned()];
    }
    let mut blocking: Vec<_> = [dir.join("project.yaml"), dir.join("project.yml")]
        .into_iter()
        .filter(is_there)
        .collect();
    if is_no_folder(cards) {
        blocking.push(cards.to_owned());
    } else if let Ok(entries) = fs::read_dir(cards) {
        let mut entries: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        entries.sort();
        blocking.extend(entries);
    }
    blocking
}

fn project_yaml(dir: &Path, name: &str) -> String {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let folder = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = match name.trim() {
        "" => folder.as_str(),
        name => name,
    };
    let is_id = |id: &str| ProjectId::new(id).is_ok();
    // The folder's name gives the id; where it can't, the file must say one.
    let id = match [slug_of(&folder), slug_of(name)] {
        [folder, _] if is_id(&folder) => format!("#id: {folder}"),
        [_, name] if is_id(&name) => format!("id: {name}"),
        // Not the same for each: two projects with one id are one project.
        _ => format!("id: project-{}", &sha256_hex(folder.as_bytes())[..8]),
    };
    let name = quoted(if name.is_empty() { "Project" } else { name });
    let default_model = Catalogue::own()
        .map(|catalogue| catalogue.default_model)
        .unwrap_or_default();
    PROJECT
        .replacen("#id: my-project", &id, 1)
        .replacen("#model: default", &format!("#model: {default_model}"), 1)
        .replacen("name: My project", &format!("name: {name}"), 1)
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())
}

fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project_files::ProjectFiles;
    use bedrock_diy_core::{catalogue::Catalogue, limits};
    use proptest::prelude::*;

    fn started(folder: &str, name: &str) -> ProjectFiles {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join(folder);
        init(&dir, name).unwrap();
        ProjectFiles::read_with(&dir, &Catalogue::own().unwrap()).unwrap()
    }

    #[test]
    fn the_starter_is_a_project_for_any_model() {
        let project = started("my-news", "The \"News\": all of it");
        assert_eq!(
            (project.id.as_str(), project.name.as_str()),
            ("my-news", "The \"News\": all of it")
        );
        assert_eq!(project.cards.len(), CARDS.len());
        assert!(project.settings == bedrock_diy_core::project::Settings::default());
        // What is not said can be refused by no model.
        assert!(
            project
                .cards
                .iter()
                .all(|card| card.draft.settings.parameters.is_empty())
        );
    }

    #[test]
    fn what_the_comments_say_is_true() {
        // A setting at its default stands behind a # without a space.
        let is_setting =
            |line: &str| line.trim_start().starts_with('#') && !line.trim_start().starts_with("# ");
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("news");
        init(&dir, "News").unwrap();
        let path = dir.join("project.yaml");
        let said: String = fs::read_to_string(&path)
            .unwrap()
            .lines()
            .filter(|line| line.trim() != "#")
            .map(|line| if is_setting(line) { line.replacen('#', "", 1) } else { line.to_owned() } + "\n")
            .collect();
        fs::write(&path, &said).unwrap();
        let project = ProjectFiles::read(&dir).unwrap();
        let settings = project.settings;
        assert_eq!(project.id.as_str(), "news");
        assert_eq!(settings.model, Some(Catalogue::own().unwrap().default_model));
        assert_eq!(settings.parameters.max_tokens, Some(limits::MAX_TOKENS));
        assert_eq!(settings.parameters.temperature, Some(limits::TEMPERATURE));
        assert_eq!(settings.parameters.top_p, Some(limits::TOP_P));
        assert_eq!(settings.parameters.stop_sequences.len(), 1);
        assert_eq!(settings.timeout_seconds, Some(limits::TIMEOUT_SECONDS));
        assert_eq!(settings.limits.article_bytes, Some(limits::ARTICLE_BYTES));
        assert!(settings.limits.cost_per_article.is_some() && settings.guardrail.is_some());
        assert!(said.contains(&format!("up to {}", limits::LONGEST_TIMEOUT_SECONDS)));
    }

    #[test]
    fn nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("cards")).unwrap();
        fs::write(path("cards/10-mine.md"), "Mine.").unwrap();
        fs::write(path("project.yaml"), "name: Mine").unwrap();
        let error = init(dir.path(), "News").unwrap_err();
        let InitError::InTheWay(blocking) = &error else {
            panic!("{error}")
        };
        assert_eq!(*blocking, [path("project.yaml"), path("cards/10-mine.md")]);
        assert!(
            error.to_string().contains("10-mine.md. Choose another folder"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(path("project.yaml")).unwrap(), "name: Mine");
        assert_eq!(fs::read_dir(path("cards")).unwrap().count(), 1);
        let file = init(&path("project.yaml"), "News").unwrap_err();
        assert!(matches!(file, InitError::InTheWay(blocking) if blocking == [path("project.yaml")]));
    }

    #[test]
    fn a_folder_with_other_things_in_it_is_good_enough() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("articles")).unwrap();
        let written = init(dir.path(), "").unwrap();
        assert_eq!(written.len(), 1 + CARDS.len());
        assert!(written.iter().all(|path| path.is_file()));
    }

    #[test]
    fn a_folder_whose_name_makes_no_id_gets_one_from_the_project_s_name() {
        assert_eq!(started("뉴스", "Daily news").id.as_str(), "daily-news");
        let [one, other] = ["뉴스", "스포츠"].map(|name| started(name, "").id);
        assert!(
            one.as_str().starts_with("project-") && one != other,
            "{one}, {other}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_project_of_any_name_is_one(name in "(?s).{1,30}") {
            let project = started("news", &name);
            let name = name.trim();
            prop_assert_eq!(project.name, if name.is_empty() { "news" } else { name });
        }
    }
}
