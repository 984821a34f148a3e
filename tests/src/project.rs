//! A project and articles on disk.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bedrock_diy::project_files::ProjectFiles;
use bedrock_diy_core::ProjectId;

/// A temporary folder with a project, articles, data and results.
pub struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    /// A project `news` with so many cards: `Do step N.`
    #[must_use]
    pub fn with_cards(cards: usize) -> Self {
        let project = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        fs::create_dir_all(project.dir().join("cards")).unwrap();
        fs::create_dir_all(project.articles()).unwrap();
        project.write("project.yaml", "id: news\nname: News\n");
        for card in 1..=cards {
            project.card(card, "", &format!("Do step {card}."));
        }
        project
    }

    /// Writes card `number` (`cards/10-step-1.md` is number 1) with these lines of front matter.
    pub fn card(&self, number: usize, front_matter: &str, prompt: &str) {
        let text = format!("---\ntitle: Step {number}\n{front_matter}---\n{prompt}\n");
        self.write(&format!("cards/{}-step-{number}.md", number * 10), &text);
    }

    /// Writes a file of the project.
    pub fn write(&self, path: &str, text: &str) {
        fs::write(self.dir().join(path), text).unwrap();
    }

    /// Writes `count` small articles.
    pub fn small_articles(&self, count: usize) {
        for number in 0..count {
            self.article(
                &format!("{number:05}.txt"),
                format!("Article {number} tells of the bridge.\n").as_bytes(),
            );
        }
    }

    /// Writes an article.
    pub fn article(&self, name: &str, bytes: &[u8]) {
        let path = self.articles().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// The project's id, as its files say.
    #[must_use]
    pub fn id(&self) -> ProjectId {
        ProjectFiles::read(&self.dir()).unwrap().id
    }

    /// The project's folder.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    /// The articles' folder.
    #[must_use]
    pub fn articles(&self) -> PathBuf {
        self.folder.path().join("articles")
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where results are written.
    #[must_use]
    pub fn out(&self) -> PathBuf {
        self.folder.path().join("results")
    }

    /// The arguments of a run over all articles.
    #[must_use]
    pub fn run(&self, concurrency: usize) -> Vec<String> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        vec![
            "run".into(),
            text(&self.articles()),
            "--project".into(),
            text(&self.dir()),
            "--out".into(),
            text(&self.out()),
            "--progress".into(),
            "none".into(),
            "--concurrency".into(),
            concurrency.to_string(),
        ]
    }

    /// The arguments of a server that ends when nothing is left to do.
    #[must_use]
    pub fn serve(&self) -> Vec<String> {
        let dir = self.dir().to_str().unwrap().to_owned();
        ["serve", "--until-idle", "--concurrency", "32", "--project"]
            .map(str::to_owned)
            .into_iter()
            .chain([dir])
            .collect()
    }

    /// The lines of `results.jsonl`, by article name.
    #[must_use]
    pub fn results(&self) -> std::collections::BTreeMap<String, serde_json::Value> {
        let text = fs::read_to_string(self.out().join("results.jsonl")).expect("results were written");
        text.lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|row| (row["article"].as_str().unwrap().to_owned(), row))
            .collect()
    }
}
