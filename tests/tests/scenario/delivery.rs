//! Articles that are delivered again and again are one job each.

use std::collections::BTreeSet;

use bedrock_diy_core::{
    article::Bucket,
    intake::{Drop, IntakeMessage, Lane},
    job::JobStatus,
    ports::{Objects, Queue},
};
use bedrock_diy_model_server::scripted::Script;
use bedrock_diy_tests::{Left, Program, Project, ScriptedServer};
use rand::{RngExt as _, seq::SliceRandom as _};

const DROPS: usize = 4_384;

#[tokio::test(flavor = "multi_thread")]
async fn four_thousand_drops_delivered_over_and_over_are_one_job_each() {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(1);
    let program = Program::new(&project.data(), &model.url());
    // Makes the project known.
    assert_eq!(program.run(project.serve()).code, Some(0));

    let left = Left::open(&project.data());
    let mut deliveries = Vec::new();
    for number in 0..DROPS {
        let key = format!("inbox/news/monday/{number}.txt");
        let bytes = format!("Article {number}.").into_bytes();
        let objects = &left.machine.objects;
        deliveries.push(async move { objects.put(Bucket::Articles, &key, bytes).await });
    }
    let objects = futures_util::future::try_join_all(deliveries).await.unwrap();
    let mut messages: Vec<_> = objects
        .iter()
        .flat_map(|object| {
            let times = rand::rng().random_range(3..=4);
            std::iter::repeat_n(
                IntakeMessage::Drop(Drop {
                    object: object.clone(),
                }),
                times,
            )
        })
        .collect();
    messages.shuffle(&mut rand::rng());
    let delivered = messages.len();
    left.machine.queue.send(Lane::Bulk, messages).await.unwrap();

    let ended = program.run(project.serve());

    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(delivered >= 3 * DROPS);
    assert_eq!(
        left.statuses().into_iter().collect::<Vec<_>>(),
        [(JobStatus::Succeeded, DROPS)]
    );
    let articles: BTreeSet<_> = left
        .jobs()
        .into_iter()
        .map(|job| job.article.source.key.clone())
        .collect();
    assert_eq!(articles.len(), DROPS);
    assert_eq!(model.calls(), DROPS as u64, "each was paid once");
    assert!(left.machine.queue.dead_letters(1).unwrap().is_empty());
    left.assert_events_have_no_holes().await;
}
