//! Tables of batches that are too large for an answer of the API's function.

use bedrock_diy_tests::{Client, stack, users::Users};
use serde_json::json;

/// More than an answer holds, in outputs of a megabyte: a table of 12 MB.
const ARTICLES: usize = 12;
const MEGABYTE: usize = 1_000_000;

const PROJECT: &str = "large-tables";

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_any_size_is_had_whole_or_not_at_all() {
    let (ada, jobs) = tokio::task::block_in_place(worked);
    let results = |format: &str| format!("/api/projects/{PROJECT}/batches/api/results?format={format}");

    tokio::task::block_in_place(|| {
        let csv = downloaded(&ada, &results("csv"));
        assert!(csv.len() > ARTICLES * MEGABYTE, "{} bytes", csv.len());
        let csv = String::from_utf8(csv).unwrap();
        for number in 0..ARTICLES {
            let text = article(number);
            assert!(
                csv.contains(&text),
                "article {number} is in the table, to its last word"
            );
        }
        let jsonl = String::from_utf8(downloaded(&ada, &results("jsonl"))).unwrap();
        assert_eq!(jsonl.lines().count(), ARTICLES);
        let parquet = ada.get(&results("parquet")).expect(200).body;
        assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    });

    // The newest come first: this one is met when most of the table is written.
    lose_outputs(&format!("{PROJECT}/{}/", jobs[0])).await;
    let answer = tokio::task::block_in_place(|| ada.get(&results("csv")));
    assert_eq!(answer.expect(404).code(), "ArticleNotFound");
    assert_eq!(unfinished_uploads().await, 0);
}

/// Has the articles worked one after the other: a client, and their jobs.
fn worked() -> (Client, Vec<String>) {
    let ada = Users::of(&stack()).somebody("tables-ada", "editor");
    let project =
        json!({"projectId": PROJECT, "name": "Large tables", "settings": {"model": "test.model-v1:0"}});
    let _ = ada.post("/api/projects", &project).expect(201);
    let card = json!({"title": "Echo", "content": "Say it again."});
    let _ = ada
        .post(&format!("/api/projects/{PROJECT}/prompts"), &card)
        .expect(201);
    let at = format!("/api/projects/{PROJECT}/articles");
    let jobs = (0..ARTICLES).map(|number| {
        let taken = ada.post(&at, &json!({"text": article(number)})).expect(202);
        let job = ada.ended(&taken.header("location").unwrap());
        assert_eq!(job["status"], "SUCCEEDED", "{job}");
        job["jobId"].as_str().unwrap().to_owned()
    });
    let jobs = jobs.collect();
    (ada, jobs)
}

fn article(number: usize) -> String {
    let sentence = format!("Article {number} says that the bridge opens. ");
    format!(
        "CASE-ECHO {}The end of {number}.",
        sentence.repeat(MEGABYTE / sentence.len() + 1)
    )
}

/// What lies where the API says that the table is. No token is shown there.
fn downloaded(ada: &Client, path: &str) -> Vec<u8> {
    let elsewhere = ada.get(path).expect(303);
    assert!(elsewhere.body.is_empty());
    let address = elsewhere.header("location").unwrap();
    let table = Client::new("", None).get(&address).expect(200);
    let name = table.header("content-disposition").unwrap();
    assert!(
        name.starts_with("attachment; filename=\"large-tables-results."),
        "{name}"
    );
    table.body
}

/// Deletes what stages wrote, every version.
async fn lose_outputs(prefix: &str) {
    let stack = stack();
    let bucket = stack.config().unwrap().buckets.results;
    let s3 = stack.services().s3;
    let listed = s3.list_object_versions().bucket(&bucket).prefix(prefix);
    let listed = listed.send().await.unwrap();
    assert!(
        !listed.versions().is_empty(),
        "the stages wrote nothing to {prefix}"
    );
    for version in listed.versions() {
        let lost = s3.delete_object().bucket(&bucket).key(version.key().unwrap());
        let lost = lost.version_id(version.version_id().unwrap());
        lost.send().await.unwrap();
    }
}

async fn unfinished_uploads() -> usize {
    let stack = stack();
    let bucket = stack.config().unwrap().buckets.results;
    let uploads = stack.services().s3.list_multipart_uploads().bucket(bucket);
    uploads.send().await.unwrap().uploads().len()
}
