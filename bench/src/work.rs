//! What is worked: articles, a project.

use std::{cell::Cell, fs, path::PathBuf};

use crate::Outcome;

/// A kilobyte of instructions, different for each stage.
pub(crate) fn prompt(stage: usize) -> String {
    format!(
        "Step {stage}. {}",
        "Write for people who have little time, keep to the facts. ".repeat(17)
    )
}

/// A folder with articles of 10 kB and a project of so many cards.
pub(crate) struct Work {
    folder: tempfile::TempDir,
    places: Cell<usize>,
}

impl Work {
    pub(crate) fn new(articles: usize, stages: usize) -> Outcome<Self> {
        let work = Self {
            folder: tempfile::tempdir()?,
            places: Cell::new(0),
        };
        fs::create_dir_all(work.articles())?;
        fs::create_dir_all(work.project().join("cards"))?;
        fs::write(work.project().join("project.yaml"), "id: bench\nname: Bench\n")?;
        for stage in 1..=stages {
            let card = format!("---\ntitle: Step {stage}\n---\n{}\n", prompt(stage).trim_end());
            fs::write(
                work.project()
                    .join(format!("cards/{}-step-{stage}.md", stage * 10)),
                card,
            )?;
        }
        for number in 0..articles {
            let text = format!(
                "Article {number}. {}",
                "The bridge opens on Monday, said the council. ".repeat(217)
            );
            fs::write(work.articles().join(format!("{number:06}.txt")), text)?;
        }
        Ok(work)
    }

    pub(crate) fn articles(&self) -> PathBuf {
        self.folder.path().join("articles")
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    /// A folder that is not there yet, for one run. Earlier ones are left where they are: ext4 does not
    /// give the inodes of deleted files away for some seconds, and looks for others at length meanwhile.
    pub(crate) fn place(&self) -> PathBuf {
        self.places.set(self.places.get() + 1);
        self.folder.path().join(format!("run-{}", self.places.get()))
    }
}
