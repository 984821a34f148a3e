//! Articles on disk: what the arguments of `run` name.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
};

use bedrock_diy_articles::MediaType;
use bedrock_diy_core::{Code, Failure};

/// A file that may hold articles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// What it is called in results: its path below the folder that was named, made unique.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// How large it is, in bytes; or why it can't be an article.
    pub size: Result<u64, Failure>,
}

/// Everything that the arguments name, in order; folders in the order of their files' names.
///
/// What can't be read is an input too, with its reason: the batch goes on without it, and it is not
/// lost from the results. Fails only where an argument names nothing at all.
///
/// `ours` are files and folders that are no articles although they may lie among them: results of an
/// earlier run, the project, the data folder. They are left out unless an argument names them.
pub fn gather(arguments: &[PathBuf], ours: &[PathBuf]) -> Result<Vec<Input>, Failure> {
    // What is not there yet can't lie among the articles.
    let ours: HashSet<PathBuf> = ours.iter().filter_map(|path| path.canonicalize().ok()).collect();
    let mut inputs = Vec::new();
    for argument in arguments {
        let metadata = fs::metadata(argument);
        match metadata {
            Ok(metadata) if metadata.is_dir() => {
                let before = inputs.len();
                walk(argument, argument, &ours, &mut inputs);
                if inputs.len() == before {
                    return Err(Failure::new(
                        Code::InvalidRequest,
                        format!("there are no files in {}", argument.display()),
                    ));
                }
            }
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(argument).is_err() =>
            {
                return Err(Failure::new(
                    Code::InvalidRequest,
                    format!("there is no file or folder {}", argument.display()),
                ));
            }
            _ => inputs.push(input(argument, file_name(argument))),
        }
    }
    make_unique(&mut inputs);
    Ok(inputs)
}

fn walk(root: &Path, folder: &Path, ours: &HashSet<PathBuf>, inputs: &mut Vec<Input>) {
    let name = |path: &Path| printable(path.strip_prefix(root).unwrap_or(path));
    // By their true paths; those of a folder's entries follow from its own, but for links.
    let true_folder = folder.canonicalize();
    let is_ours = |path: &Path, is_link: bool| {
        let true_path = match (&true_folder, path.file_name()) {
            _ if ours.is_empty() => return false,
            (Ok(folder), Some(name)) if !is_link => Ok(folder.join(name)),
            _ => path.canonicalize(),
        };
        true_path.is_ok_and(|path| ours.contains(&path))
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            inputs.push(Input {
                name: name(folder),
                path: folder.to_owned(),
                size: Err(unreadable(folder, &error)),
            });
            return;
        }
    };
    let mut paths: Vec<_> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    paths.sort();
    for path in paths {
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        // A link to a folder is not followed: it may lead back up.
        let metadata = fs::symlink_metadata(&path);
        let (is_folder, is_link) =
            metadata.map_or((false, false), |found| (found.is_dir(), found.is_symlink()));
        if hidden || is_ours(&path, is_link) {
            continue;
        }
        if is_folder {
            walk(root, &path, ours, inputs);
        } else {
            inputs.push(input(&path, name(&path)));
        }
    }
}

fn input(path: &Path, name: String) -> Input {
    let size = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(metadata.len()),
        Ok(_) => Err(Failure::new(
            Code::UnsupportedFormat,
            format!("{} is not a file", path.display()),
        )),
        Err(error) => Err(unreadable(path, &error)),
    };
    Input {
        name,
        path: path.to_owned(),
        size,
    }
}

/// Reads a file that was gathered.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let link = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    match error.kind() {
        io::ErrorKind::NotFound if link => Failure::new(
            Code::ArticleNotFound,
            format!("{} is a link to something that is not there", path.display()),
        ),
        io::ErrorKind::NotFound => {
            Failure::new(Code::ArticleNotFound, format!("{} is not there", path.display()))
        }
        _ => Failure::new(
            Code::UnreadableArticle,
            format!("{} can't be read: {error}", path.display()),
        ),
    }
}

/// Two files of the same name, from two folders that were named, get a number.
fn make_unique(inputs: &mut [Input]) {
    let mut taken: HashSet<String> = inputs.iter().map(|input| input.name.clone()).collect();
    let mut count: HashMap<String, usize> = HashMap::new();
    for input in inputs {
        let seen = count.entry(input.name.clone()).or_insert(0);
        *seen += 1;
        if *seen == 1 {
            continue;
        }
        // A file may be called "a.txt (2)" by its owner.
        loop {
            let name = format!("{} ({seen})", input.name);
            if taken.insert(name.clone()) {
                input.name = name;
                break;
            }
            *seen += 1;
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| printable(path), |name| printable(Path::new(name)))
}

/// A path as text. Bytes that are no UTF-8 are escaped, so that two such names do not become one.
fn printable(path: &Path) -> String {
    match path.to_str() {
        Some(text) => text.to_owned(),
        None => path.as_os_str().as_encoded_bytes().escape_ascii().to_string(),
    }
}

/// Whether a file of this name holds many articles.
pub(crate) fn holds_many(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| MediaType::from_name(&name.to_string_lossy()))
        .is_some_and(MediaType::holds_many)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_an_input_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("b.txt"), "text").unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("sub/a 기사 📰.txt"), "text").unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("a.txt")).unwrap();
        let inputs = gather(&[folder.path().to_owned()], &[]).unwrap();
        let found: Vec<_> = inputs
            .iter()
            .map(|input| {
                (
                    input.name.as_str(),
                    input.size.as_ref().copied().map_err(|f| f.code),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("a.txt", Err(Code::ArticleNotFound)),
                ("b.txt", Ok(4)),
                ("sub/a 기사 📰.txt", Ok(4))
            ]
        );
    }

    #[test]
    fn files_of_the_same_name_are_kept_apart() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        for folder in &folders {
            fs::write(folder.path().join("a.txt"), "text").unwrap();
        }
        fs::write(folders[0].path().join("a.txt (2)"), "text").unwrap();
        let inputs = gather(&folders.each_ref().map(|folder| folder.path().to_owned()), &[]).unwrap();
        assert_eq!(
            inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>(),
            ["a.txt", "a.txt (2)", "a.txt (3)"]
        );
    }

    #[test]
    fn what_a_run_wrote_is_no_article_of_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a.txt", "results/results.csv", "cards/10-a.md", "project.yaml"] {
            fs::create_dir_all(path(name).parent().unwrap()).unwrap();
            fs::write(path(name), "text").unwrap();
        }
        let ours = ["results", "cards", "project.yaml", "not-there-yet"].map(path);
        let names = |arguments: &[PathBuf]| {
            let inputs = gather(arguments, &ours).unwrap();
            inputs.into_iter().map(|input| input.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&[folder.path().to_owned()]), ["a.txt"]);
        assert_eq!(
            names(&[path("results")]),
            ["results.csv"],
            "whoever names it means it"
        );
    }

    #[test]
    fn an_argument_that_names_nothing_is_an_error() {
        assert!(gather(&["/nowhere/at/all".into()], &[]).is_err());
    }
}
