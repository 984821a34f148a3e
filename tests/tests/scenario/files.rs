//! The scenarios in `scenarios/`, on one machine. The same files run on a deployed stack.

use std::{collections::BTreeMap, fs};

use bedrock_diy_core::{BatchId, ProjectId, ports::Objects};
use bedrock_diy_tests::{
    Ended, Left, Program, Project, ScriptedServer,
    scenario::{Content, End, Scenario, World},
};

/// The program, started for each batch.
struct OneMachine {
    model: ScriptedServer,
    data: tempfile::TempDir,
    serve: Vec<String>,
    project: Option<ProjectId>,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_on_one_machine() {
    let script = serde_json::from_str(include_str!("../../scenarios/script.json")).unwrap();
    let mut machine = OneMachine {
        model: ScriptedServer::start(script).await,
        data: tempfile::tempdir().unwrap(),
        serve: Vec::new(),
        project: None,
    };
    Scenario::read("a-day").play(&mut machine).await;
}

impl World for OneMachine {
    async fn save(&mut self, project: &Project) {
        self.serve = project.serve();
        self.project = Some(project.id());
    }

    async fn work(
        &mut self,
        batch: &BatchId,
        files: &BTreeMap<String, Content>,
        _: usize,
    ) -> BTreeMap<String, End> {
        let inbox = self
            .data
            .path()
            .join(format!("inbox/{}/{batch}", self.project.as_ref().unwrap()));
        fs::create_dir_all(&inbox).unwrap();
        for (name, content) in files {
            fs::write(inbox.join(name), content.bytes()).unwrap();
        }
        let mut serve = Program::new(self.data.path(), &self.model.url()).command(self.serve.clone());
        // The project's own model.
        let ended = Ended::from(serve.env_remove("BEDROCK_DIY_MODEL").output().unwrap());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let left = Left::open(self.data.path());
        let mut ends = BTreeMap::new();
        for job in left.jobs().iter().filter(|job| job.batch == *batch) {
            let (stages, events) = (left.stages(job).await, left.events(job).await);
            let text = async |object: &_| {
                let bytes = left.machine.objects.get(object).await.unwrap();
                String::from_utf8(bytes).unwrap()
            };
            let end = End::of(job, &stages, &events, text).await;
            ends.insert(job.article.name.clone(), end);
        }
        ends
    }
}
