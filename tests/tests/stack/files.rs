//! The scenarios in `scenarios/`, on the deployed stack. The same files run on one machine.

use std::collections::BTreeMap;

use bedrock_diy_core::{BatchId, JobId};
use bedrock_diy_tests::{
    Project, Site,
    scenario::{Content, End, Scenario, World},
    stack, wait,
};

/// A project on the stack.
#[derive(Default)]
struct Deployed {
    site: Option<Site>,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_on_the_stack() {
    Scenario::read("a-day").play(&mut Deployed::default()).await;
}

impl World for Deployed {
    async fn save(&mut self, project: &Project) {
        let site = self
            .site
            .get_or_insert_with(|| Site::unsaved(stack(), project.id().as_str()));
        site.store(project).await;
    }

    async fn work(
        &mut self,
        batch: &BatchId,
        files: &BTreeMap<String, Content>,
        articles: usize,
    ) -> BTreeMap<String, End> {
        let site = self.site.as_ref().unwrap();
        for (name, content) in files {
            site.drop_in(batch, name, content.bytes()).await;
        }
        // Nobody tells whoever has only the tables.
        let ids = wait::asked(async || {
            let ids = site.listed_in(batch).await;
            (ids.len() >= articles).then_some(ids)
        });
        let ids = ids.await;
        let mut ends = BTreeMap::new();
        for id in ids {
            let job = site.ended(&JobId::new(id).unwrap()).await;
            let (stages, events) = (site.stages(&job.job_id).await, site.events(&job.job_id).await);
            let end = End::of(&job, &stages, &events, async |object: &_| site.text(object).await).await;
            ends.insert(job.article.name.clone(), end);
        }
        ends
    }
}
