//! Jobs that end badly, and messages that are none.

use bedrock_diy_core::{Code, job::JobStatus};
use bedrock_diy_tests::{Inbox, Site, site::told, stack};

#[tokio::test(flavor = "multi_thread")]
async fn an_article_that_fails_closes_its_job_with_its_code_and_an_event() {
    let site = Site::open(stack(), "failing", 2).await;
    let inbox = site.listen().await;
    let cases = [
        ("TRUNCATED", Code::OutputTruncated),
        ("GUARDED", Code::ContentBlocked),
        ("DENIED", Code::ModelAccessDenied),
    ];
    let mut jobs = Vec::new();
    for (case, code) in cases {
        let (job, _) = site
            .drop(&format!("{case}.txt"), format!("CASE-{case}").as_bytes())
            .await;
        jobs.push((job, Some(code)));
    }
    jobs.push((site.drop("good.txt", b"A good article.").await.0, None));
    for (job, code) in jobs {
        let ended = site.ended(&job).await;
        assert_eq!(ended.error.map(|error| error.code), code);
    }
    let types = told(&inbox, &[("job.failed", 3), ("job.succeeded", 1)]).await;
    assert_eq!(types.get("job.failed"), Some(&3), "{types:?}");
    assert_eq!(types.get("job.succeeded"), Some(&1), "{types:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_is_stopped_closes_its_job() {
    let site = Site::open(stack(), "stopped", 1).await;
    let inbox = site.listen().await;
    let (job, _) = site.drop("hangs.txt", b"CASE-HANG").await;
    site.when(&job, |job| job.status == JobStatus::Running).await;
    site.stop_execution(&job).await;
    let ended = site.ended(&job).await;
    assert_eq!(ended.status, JobStatus::Failed);
    assert_eq!(ended.error.unwrap().code, Code::Cancelled);
    let types = told(&inbox, &[("job.failed", 1)]).await;
    assert_eq!(types.get("job.failed"), Some(&1), "{types:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_message_ends_in_the_dead_letter_queue_and_its_neighbours_pass() {
    let site = Site::open(stack(), "poisoned", 1).await;
    let poison = r#"{"kind":"poison","of":"this test"}"#;
    let mut jobs = Vec::new();
    for number in 0..5 {
        let (job, object) = site
            .drop(&format!("{number}.txt"), format!("Article {number}.").as_bytes())
            .await;
        jobs.push(job);
        site.send_body(poison).await;
        site.notify(&object).await;
    }
    for job in jobs {
        assert_eq!(site.ended(&job).await.status, JobStatus::Succeeded);
    }
    let url = site.stack.output("BulkDeadLetterQueueUrl").unwrap();
    let dead = Inbox::of(&site.services, "dead", url);
    let mut found = 0;
    while found < 5 {
        found += dead
            .receive_all()
            .await
            .iter()
            .filter(|body| *body == poison)
            .count();
    }
}
