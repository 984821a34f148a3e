//! Scenarios as files: what is dropped, and what becomes of it, wherever it runs.

use std::{collections::BTreeMap, path::Path};

use bedrock_diy_core::{
    BatchId,
    article::ObjectRef,
    event::Event,
    job::{Job, JobStatus},
    stage::StageRecord,
};
use serde::{Deserialize, Serialize};

use crate::Project;

/// A scenario: the files in `scenarios/` but for the model's script.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// `project.yaml`.
    project: String,
    /// The cards by their file names.
    cards: BTreeMap<String, String>,
    /// What happens, one after the other.
    steps: Vec<Step>,
}

/// Something is dropped.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// The batch that the files are dropped in.
    batch: BatchId,
    /// Cards that are changed before.
    #[serde(default)]
    cards: BTreeMap<String, String>,
    /// The files by their names.
    drop: BTreeMap<String, Content>,
    /// What becomes of each article.
    ends: BTreeMap<String, End>,
}

/// What is in a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// Text.
    Text(String),
    /// Anything.
    Bytes(Vec<u8>),
}

impl Content {
    /// As it lies in the file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// What became of an article.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    status: JobStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    stages: Vec<StageEnd>,
    events: Vec<String>,
}

/// A stage that it passed.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StageEnd {
    card: String,
    #[serde(default, skip_serializing_if = "is_false")]
    memo: bool,
    output: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl End {
    /// What became of a job, in the words of a scenario; `text` reads a stored one.
    pub async fn of(
        job: &Job,
        stages: &[StageRecord],
        events: &[Event],
        text: impl AsyncFn(&ObjectRef) -> String,
    ) -> Self {
        let mut passed = Vec::new();
        for stage in stages {
            passed.push(StageEnd {
                card: stage.prompt_id.to_string(),
                memo: stage.memo_hit,
                output: text(&stage.output).await,
            });
        }
        Self {
            status: job.status,
            code: job.error.as_ref().map(|error| error.code.as_str().to_owned()),
            title: job.article.meta.title.clone(),
            stages: passed,
            events: events.iter().map(|event| event.fact.name().to_owned()).collect(),
        }
    }
}

/// Where a scenario runs.
#[expect(
    async_fn_in_trait,
    reason = "the worlds are tests of this workspace, each on its own thread"
)]
pub trait World {
    /// Stores the project as its files say now.
    async fn save(&mut self, project: &Project);

    /// Drops files and works until `articles` jobs of the batch have ended. Returns the batch's jobs, by the
    /// articles' names.
    async fn work(
        &mut self,
        batch: &BatchId,
        files: &BTreeMap<String, Content>,
        articles: usize,
    ) -> BTreeMap<String, End>;
}

impl Scenario {
    /// Reads `scenarios/{name}.yaml`.
    #[must_use]
    pub fn read(name: &str) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/{name}.yaml"));
        let yaml = std::fs::read_to_string(&file).expect("the scenario is there");
        serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    /// Plays it, and fails where anything ends otherwise than it says.
    pub async fn play(&self, world: &mut impl World) {
        let project = Project::with_cards(0);
        project.write("project.yaml", &self.project);
        write_cards(&project, &self.cards);
        for step in &self.steps {
            assert!(
                !step.ends.is_empty(),
                "the batch {} says of no article how it ends",
                step.batch
            );
            write_cards(&project, &step.cards);
            world.save(&project).await;
            let ends = world.work(&step.batch, &step.drop, step.ends.len()).await;
            assert!(
                ends == step.ends,
                "the batch {} ended so:\n{}",
                step.batch,
                serde_json::to_string_pretty(&ends).unwrap()
            );
        }
    }
}

fn write_cards(project: &Project, cards: &BTreeMap<String, String>) {
    for (name, text) in cards {
        project.write(&format!("cards/{name}"), text);
    }
}
