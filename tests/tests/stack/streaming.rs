//! What the API's function streams, read at the function itself: the local AWS hands answers on whole.

use bedrock_diy_tests::{Client, Function, function::gateway_event, stack, users::Users};
use serde_json::{Value, json};

/// A project of one card, and somebody who may use it.
struct Project {
    ada: Client,
    token: String,
    card: String,
    id: &'static str,
}

impl Project {
    fn new(id: &'static str) -> Self {
        let users = Users::of(&stack());
        let token = users.token(id, "editor");
        let ada = users.as_client(&token);
        let project = json!({"projectId": id, "name": "Streams", "settings": {"model": "test.model-v1:0"}});
        let _ = ada.post("/api/projects", &project).expect(201);
        let card = json!({"title": "Headline", "content": "Write a headline."});
        let made = ada
            .post(&format!("/api/projects/{id}/prompts"), &card)
            .expect(201);
        let card = made.header("location").unwrap();
        Self { ada, token, card, id }
    }

    fn results(&self, format: &str) -> Value {
        let path = format!("/api/projects/{}/batches/api/results", self.id);
        gateway_event("GET", &path, &[("format", format)], &self.token, None)
    }

    /// Has an article worked.
    fn article(&self, text: &str) {
        let at = format!("/api/projects/{}/articles", self.id);
        let taken = self.ada.post(&at, &json!({"text": text})).expect(202);
        let job = self.ada.ended(&taken.header("location").unwrap());
        assert_eq!(job["status"], "SUCCEEDED", "{job}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_s_words_are_there_before_the_model_has_ended() {
    let project = tokio::task::block_in_place(|| Project::new("streams-trial"));
    let function = Function::start(&stack(), "api").await;
    // The model stops after two pieces, and never goes on.
    let text = json!({"text": "CASE-STOPS: the bridge opens."});
    let path = format!("{}:try", project.card);
    let mut answer = function
        .invoke(&gateway_event("POST", &path, &[], &project.token, Some(&text)))
        .await;
    assert_eq!(
        answer.headers["lambda-runtime-function-response-mode"],
        "streaming"
    );
    let head = answer.head().await;
    assert_eq!(head["statusCode"], 200);
    assert_eq!(head["headers"]["content-type"], "text/event-stream");
    let rendered = answer.until("event: delta").await;
    assert!(rendered.contains("event: rendered"), "{rendered}");
    let _ = answer.until("\n\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_answered_as_it_is() {
    let project = tokio::task::block_in_place(|| Project::new("streams-table"));
    tokio::task::block_in_place(|| project.article("The bridge opens."));
    let function = Function::start(&stack(), "api").await;

    let mut table = function.invoke(&project.results("parquet")).await;
    assert_eq!(table.head().await["statusCode"], 200);
    let table = table.rest().await.unwrap();
    assert!(
        table.starts_with(b"PAR1") && table.ends_with(b"PAR1"),
        "{} bytes",
        table.len()
    );
    let at = format!("/api/projects/{}/batches/api/results?format=parquet", project.id);
    let behind_the_gateway = tokio::task::block_in_place(|| project.ada.get(&at).expect(200).body);
    assert_eq!(behind_the_gateway, table);

    let mut table = function.invoke(&project.results("csv")).await;
    assert_eq!(table.head().await["statusCode"], 200);
    let whole = String::from_utf8(table.rest().await.unwrap()).unwrap();
    assert_eq!(whole.lines().count(), 2, "{whole}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_s_events_are_streamed_while_it_runs() {
    let project = tokio::task::block_in_place(|| Project::new("streams-events"));
    let function = Function::start(&stack(), "api").await;
    let path = format!("/api/projects/{}/articles", project.id);
    let article = json!({"text": "CASE-SLOWLY: the bridge opens."});
    let mut submission = gateway_event("POST", &path, &[], &project.token, Some(&article));
    submission["headers"]["accept"] = json!("text/event-stream");
    submission["multiValueHeaders"]["accept"] = json!(["text/event-stream"]);
    let mut answer = function.invoke(&submission).await;
    let head = answer.head().await;
    assert_eq!(head["statusCode"], 200, "{head}");
    let _ = answer.until("event: job.accepted").await;
    // The model has not ended: what it has written so far is there.
    let first = answer.until("event: stage.delta").await;
    assert!(!first.contains("stage.completed"), "{first}");
    let rest = String::from_utf8(answer.rest().await.unwrap()).unwrap();
    assert!(rest.contains("event: job.succeeded"), "{rest}");
    let at = format!("{}/events", head["headers"]["location"].as_str().unwrap());
    let told = tokio::task::block_in_place(|| project.ada.get(&at).expect(200).json());
    assert_eq!(told["ended"], true, "{told}");
    assert_eq!(
        told["items"].as_array().unwrap().len(),
        first.matches("\nid: ").count() + rest.matches("\nid: ").count() + 1
    );
    let pieces = told["items"].as_array().unwrap().iter();
    let pieces = pieces.filter(|event| event["type"] == "stage.delta");
    let text: String = pieces.map(|piece| piece["text"].as_str().unwrap()).collect();
    assert!(
        text.starts_with("The bridge opens on Monday") && text.ends_with("its last crossing on Sunday."),
        "{text}"
    );
}
