//! Articles on their way, by the hundred and one at a time.

use aws_sdk_dynamodb::types::AttributeValue;
use bedrock_diy_core::{Code, job::JobStatus};
use bedrock_diy_tests::{Site, site::told, stack};
use futures_util::future::join_all;

const CARDS: usize = 5;

/// Names as people give them.
fn name(number: usize) -> String {
    match number % 5 {
        0 => format!("{number} plain.txt"),
        1 => format!("{number}+plus & more.txt"),
        2 => format!("{number} 기사 제목.txt"),
        3 => format!("{number} 📰 news.txt"),
        _ => format!("sub folder/{number}=100%.txt"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_articles_in_two_projects_are_each_one_job() {
    let sites = [
        Site::open(stack(), "harbour", CARDS).await,
        Site::open(stack(), "orchard", CARDS).await,
    ];
    join_all(sites.iter().map(fifty_articles)).await;
}

async fn fifty_articles(site: &Site) {
    let inbox = site.listen().await;
    let mut jobs = Vec::new();
    for number in 0..50 {
        let text = format!("Article {number} of {} tells of the bridge.", site.id);
        let (job, object) = site.drop(&name(number), text.as_bytes()).await;
        if number % 5 == 0 {
            site.notify(&object).await;
            site.notify(&object).await;
        }
        jobs.push(job);
    }
    for job in &jobs {
        let ended = site.ended(job).await;
        assert_eq!(ended.status, JobStatus::Succeeded, "{ended:?}");
        let stages = site.stages(job).await;
        let numbers: Vec<_> = stages.iter().map(|stage| stage.stage).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5]);
        for stage in stages.iter() {
            assert!(site.text(&stage.output).await.starts_with("answer "));
        }
        let events = site.events(job).await;
        let numbers: Vec<_> = events.iter().map(|event| event.number).collect();
        assert_eq!(numbers, (1..=ended.version).collect::<Vec<_>>());
        let result = site.results(&format!("{}/{job}/result.json", site.id)).await;
        assert!(result.contains("\"results\""), "{result}");
        // The memo's item, as the table has it.
        let kept = site
            .item("StageMemoTableName", &[("memoKey", &stages[0].memo_key)])
            .await;
        assert!(kept.unwrap()["ttl"].as_n().is_ok());
    }
    let mut expected: Vec<_> = jobs.iter().map(ToString::to_string).collect();
    expected.sort();
    assert_eq!(site.listed().await, expected, "each article is one job");
    assert_eq!(
        site.calls().await,
        (jobs.len() * CARDS) as u64,
        "each stage was asked once"
    );

    let expected = [
        ("job.accepted", 50),
        ("job.succeeded", 50),
        ("stage.completed", 250),
    ];
    let types = told(&inbox, &expected).await;
    for (name, count) in expected {
        assert_eq!(types.get(name), Some(&count), "{name} of {types:?}");
    }
    let project = site
        .item("ProjectsTableName", &[("projectId", site.id.as_str())])
        .await
        .unwrap();
    assert_eq!(project["status"], AttributeValue::S("ACTIVE".into()));
    let card = [("projectId", site.id.as_str()), ("promptId", "step-1")];
    let card = site.item("PromptsTableName", &card).await.unwrap();
    assert_eq!(card["title"], AttributeValue::S("Step 1".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_card_pays_only_from_there_on() {
    let site = Site::open(stack(), "changed", CARDS).await;
    let drop_all = async || {
        let mut jobs = Vec::new();
        for number in 0..10 {
            let text = format!("Article {number} stays as it is.");
            jobs.push(site.drop(&format!("{number}.txt"), text.as_bytes()).await.0);
        }
        for job in &jobs {
            assert_eq!(site.ended(job).await.status, JobStatus::Succeeded);
        }
        jobs
    };
    drop_all().await;
    assert_eq!(site.calls().await, 50);
    // Dropped again, they are new jobs, and nothing of them is paid.
    for job in drop_all().await {
        assert_eq!(site.ended(&job).await.memo_hits, 5);
    }
    assert_eq!(site.calls().await, 50);
    site.files.card(4, "", "Do step 4 in another way.");
    site.push().await;
    for job in drop_all().await {
        assert_eq!(site.ended(&job).await.memo_hits, 3);
    }
    assert_eq!(site.calls().await, 50 + 20, "cards 4 and 5 of ten articles");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_sees_what_was_said_before() {
    let site = Site::open(stack(), "session", 1).await;
    // Longer than what lies in an item.
    let long = "The bridge opens. ".repeat(4_000);
    for (key, text) in [("first", long.as_str()), ("second", "And the ferry?")] {
        let job = site.submit(key, text, "a talk").await;
        let ended = site.ended(&job).await;
        assert_eq!(ended.status, JobStatus::Succeeded, "{ended:?}");
    }
    let recent = site.session("a talk").await;
    let said: Vec<_> = recent
        .iter()
        .map(|exchange| exchange.user_input.as_str())
        .collect();
    assert_eq!(said, [long.as_str(), "And the ferry?"]);
    assert!(recent[1].assistant_response.starts_with("answer "));
    // The same key again is the same job.
    let again = site.submit("second", "And the ferry?", "a talk").await;
    site.ended(&again).await;
    assert_eq!(site.session("a talk").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_nobody_knows_and_a_file_that_nobody_can_read_say_so() {
    let site = Site::open(stack(), "unreadable", 1).await;
    let (job, _) = site.drop("broken.pdf", b"%PDF-1.4 and then nothing").await;
    let ended = site.ended(&job).await;
    assert_eq!(ended.error.unwrap().code, Code::UnreadableArticle);
    let nowhere = Site::unsaved(stack(), "nowhere");
    let (job, _) = nowhere.drop("a.txt", b"Hello.").await;
    assert_eq!(
        nowhere.ended(&job).await.error.unwrap().code,
        Code::ProjectNotFound
    );
}
