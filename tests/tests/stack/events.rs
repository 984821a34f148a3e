//! The files in `events/`, each handed to the function that it is for.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use bedrock_diy_aws::{DynamoDeliveries, DynamoWebhooks, ParameterStore, SystemClock};
use bedrock_diy_core::{
    Code, DeliveryId, JobId, ProjectId, SessionId, WebhookId,
    article::Bucket,
    cursor::Cursor,
    hook::{Scheme, Secret},
    intake::Lane,
    job::{Job, JobStatus},
    ports::{Clock, Deliveries, Objects, Saved, SecretName, Secrets, Webhooks},
    webhook::{Claim, Delivery, DeliveryStatus, Webhook, WebhookDisabled},
};
use bedrock_diy_tests::{Posted, Receiver, Site, stack, wait};
use serde_json::Value;

/// The files, and which of them were run.
struct Events {
    site: Site,
    run: BTreeSet<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_does_what_it_says() {
    let mut events = Events {
        site: Site::open(stack(), "newsroom", 2).await,
        run: BTreeSet::new(),
    };
    events.of_the_bucket().await;
    events.of_the_api().await;
    events.that_nobody_can_use().await;
    events.of_the_state_machine().await;
    events.of_ends().await;
    events.of_the_gateway().await;
    events.of_webhooks().await;
    events.of_connections().await;
    assert_eq!(events.run, files(), "every file in events/ is run");
}

impl Events {
    async fn of_the_bucket(&mut self) {
        let job = self.dropped("monday/bridge.txt", "3HL4kqtJvjVBH40Nrjfkd00000000001");
        self.passes("intake/s3-object-created.json").await;
        // No such object was ever dropped, and its job says so.
        let ended = self.site.ended(&job).await;
        assert_eq!(ended.article.name, "bridge.txt");
        assert_eq!(ended.lane, Lane::Bulk);
        assert_eq!(ended.error.unwrap().code, Code::ArticleNotFound);

        let job = self.dropped(
            "monday/다리 opens & more+📰.md",
            "3HL4kqtJvjVBH40Nrjfkd00000000002",
        );
        self.passes("intake/s3-url-encoded-key.json").await;
        assert_eq!(self.there(&job).await.article.name, "다리 opens & more+📰.md");

        let key = "inbox/newsroom/monday/unversioned.html";
        let html = b"<html><body><p>The bridge opens.</p></body></html>".to_vec();
        let objects = self.site.stack.objects().unwrap();
        objects.put(Bucket::Articles, key, html).await.unwrap();
        self.passes("intake/s3-unversioned.json").await;
        let ended = self
            .site
            .ended(&self.dropped("monday/unversioned.html", ""))
            .await;
        assert_eq!(ended.status, JobStatus::Succeeded, "{ended:?}");

        self.passes("intake/s3-several-records.json").await;
        for number in 1..=3 {
            let version = format!("3HL4kqtJvjVBH40Nrjfkd000000000{}", 10 + number);
            let job = self.dropped(&format!("tuesday/{number}.txt"), &version);
            assert_eq!(self.there(&job).await.batch.as_str(), "tuesday");
        }
        self.passes("intake/s3-test-event.json").await;
    }

    async fn of_the_api(&mut self) {
        self.passes("intake/api-submission.json").await;
        let job = self.there(&job_id("01KAWXQ8S0SVBM1SS10N000001")).await;
        assert_eq!((job.lane, job.batch.as_str()), (Lane::Live, "submitted"));
        assert_eq!(job.article.meta.title.as_deref(), Some("The bridge opens"));
        self.passes("intake/api-submission-in-a-session.json").await;
        let job = self.there(&job_id("01KAWXQ8S0SVBM1SS10N000002")).await;
        assert_eq!(job.session_id, Some(SessionId::new("desk-42").unwrap()));
        assert!(job.fresh);
    }

    async fn that_nobody_can_use(&mut self) {
        for file in ["intake/poison.json", "intake/poison-for-the-last-time.json"] {
            let event = read(file);
            let own = event["Records"][0]["messageId"].clone();
            assert_eq!(self.refused(file).await, [own], "{file}");
        }
        let file = "intake/mixed-batch.json";
        let broken = read(file)["Records"][1]["messageId"].clone();
        assert_eq!(self.refused(file).await, [broken]);
        for (name, version) in [("first", 41), ("last", 43)] {
            let version = format!("3HL4kqtJvjVBH40Nrjfkd000000000{version}");
            let job = self.dropped(&format!("wednesday/{name}.txt"), &version);
            self.there(&job).await;
        }
    }

    async fn of_the_state_machine(&mut self) {
        let job = job_id("01KAWXQ8S0EVENTS0000000001");
        self.site.accept(&job, "The bridge opens.").await;
        let steps = [
            ("plan/start.json", Cursor::stage(job.clone(), 1)),
            ("stage/first.json", Cursor::stage(job.clone(), 2)),
            ("stage/after-a-wait.json", Cursor::finish(job.clone(), 2)),
            ("finish/all-stages-done.json", Cursor::finish(job.clone(), 2)),
        ];
        for (file, next) in steps {
            let answer = self.invoke(file).await.unwrap();
            assert_eq!(answer, serde_json::to_value(next).unwrap(), "{file}");
        }
        assert_eq!(self.site.ended(&job).await.status, JobStatus::Succeeded);
        // A late duplicate changes nothing.
        self.passes("finish/execution-succeeded.json").await;
        assert_eq!(self.site.ended(&job).await.status, JobStatus::Succeeded);
    }

    async fn of_ends(&mut self) {
        for (number, file, code) in [
            (2, "caught-error", Code::OutputTruncated),
            (3, "caught-dead-function", Code::InternalError),
            (4, "execution-aborted", Code::Cancelled),
            (5, "execution-timed-out", Code::ModelTimeout),
            (6, "execution-failed", Code::InternalError),
        ] {
            let job = job_id(&format!("01KAWXQ8S0EVENTS000000000{number}"));
            self.site.accept(&job, "The bridge opens.").await;
            let file = format!("finish/{file}.json");
            self.invoke(&file).await.unwrap();
            let ended = self.site.ended(&job).await;
            assert_eq!(ended.status, JobStatus::Failed, "{file}");
            assert_eq!(ended.error.unwrap().code, code, "{file}");
        }
    }

    async fn of_the_gateway(&mut self) {
        for (file, status) in [
            ("health", 200),
            ("nobody-lists-projects", 401),
            ("forged-token", 401),
            ("delivery-to-an-unknown-hook", 404),
            ("nothing-there", 404),
        ] {
            let answer = self.invoke(&format!("api/{file}.json")).await.unwrap();
            assert_eq!(answer["statusCode"], status, "{file}: {answer}");
        }
    }

    async fn of_connections(&mut self) {
        for file in ["nobody", "forged-token", "token-in-the-address"] {
            let answer = self.invoke(&format!("authorize/{file}.json")).await.unwrap();
            let statement = &answer["policyDocument"]["Statement"][0];
            assert_eq!(statement["Effect"], "Deny", "{file}: {answer}");
        }
        // The connection is none of the gateway's: what it is sent, nobody takes.
        for file in ["connect", "ping", "disconnect"] {
            let answer = self.invoke(&format!("socket/{file}.json")).await.unwrap();
            assert_eq!(answer["statusCode"], 200, "{file}: {answer}");
        }
        let refused = self.invoke("socket/no-authorizer.json").await.unwrap_err();
        assert!(refused.contains("InternalError"), "{refused}");
    }

    async fn of_webhooks(&mut self) {
        let receiver = Receiver::willing();
        let config = self.site.stack.config().unwrap();
        let dynamodb = || self.site.services.dynamodb.clone();
        let webhooks = DynamoWebhooks::new(dynamodb(), &config);
        let deliveries = DynamoDeliveries::new(dynamodb(), &config);
        let secrets = ParameterStore::new(self.site.services.ssm.clone(), &config);
        let webhook = webhook(&self.site.id, receiver.url("/"));
        let secret = Secret::generate(&Scheme::StandardWebhooks {}, [7; 32]);
        let name = SecretName::of_webhook(&webhook.webhook_id);
        secrets.put(&name, &[secret]).await.unwrap();
        assert_eq!(webhooks.put_webhook(&webhook, None).await.unwrap(), Saved::Done);
        let body = |file: &str| -> Claim {
            serde_json::from_str(read(file)["Records"][0]["body"].as_str().unwrap()).unwrap()
        };
        // The project's jobs tell the webhook of themselves, too: only what the files name is looked at.
        let times = |posted: &[Posted], id: &DeliveryId| {
            let of_it = posted
                .iter()
                .filter(|one| one.header("webhook-id") == id.as_str());
            of_it.count()
        };
        let (delivered, expired) = (
            body("deliver/delivered-already.json"),
            body("deliver/expired.json"),
        );

        self.passes("notify/job-succeeded.json").await;
        wait::asked(async || {
            let stands = deliveries
                .delivery(&delivered.webhook_id, &delivered.delivery_id)
                .await;
            stands
                .unwrap()
                .filter(|stands| stands.status == DeliveryStatus::Delivered)
        })
        .await;
        self.passes("notify/webhook-disabled.json").await;
        let is_disabled = |one: &Posted| one.event_type() == WebhookDisabled::TYPE;
        tokio::task::block_in_place(|| receiver.wait(|posted| posted.iter().any(is_disabled)));
        let file = "notify/mixed-batch.json";
        let broken = read(file)["Records"][1]["messageId"].clone();
        assert_eq!(self.refused(file).await, [broken]);

        let before = times(&receiver.posted(), &delivered.delivery_id);
        assert!(before > 0, "it came");
        for file in ["delivered-already", "expired", "poison"] {
            self.passes(&format!("deliver/{file}.json")).await;
        }
        let posted = receiver.posted();
        assert_eq!(times(&posted, &delivered.delivery_id), before);
        assert_eq!(times(&posted, &expired.delivery_id), 0);

        let claim = body("deliver/first-attempt.json");
        let mut new = Delivery::ping(&webhook, SystemClock.now(), 1).unwrap();
        new.delivery_id = claim.delivery_id;
        let noted = deliveries.put_delivery(&new, None, None).await.unwrap();
        assert_eq!(noted, Saved::Done);
        self.passes("deliver/first-attempt.json").await;
        let stands = deliveries
            .delivery(&new.webhook_id, &new.delivery_id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(stands.status, DeliveryStatus::Delivered, "{stands:?}");
    }

    /// Hands a file to its function; none of its messages is to come again.
    async fn passes(&mut self, file: &str) {
        assert_eq!(self.refused(file).await, Vec::<Value>::new(), "{file}");
    }

    /// Hands a file to its function. Returns the messages that are to come again.
    async fn refused(&mut self, file: &str) -> Vec<Value> {
        let answer = self.invoke(file).await.unwrap();
        let failures = answer["batchItemFailures"].as_array().cloned();
        let id = |failure: &Value| failure["itemIdentifier"].clone();
        failures.unwrap_or_default().iter().map(id).collect()
    }

    async fn invoke(&mut self, file: &str) -> Result<Value, String> {
        self.run.insert(file.to_owned());
        let function = match Path::new(file).parent().and_then(Path::to_str) {
            Some("api") => "Api",
            Some("authorize") => "Authorize",
            Some("socket") => "Socket",
            Some("intake") => "Intake",
            Some("plan") => "Plan",
            Some("stage") => "Stage",
            Some("finish") => "Finish",
            Some("notify") => "Notify",
            Some("deliver") => "Deliver",
            other => panic!("there is no function {other:?}"),
        };
        self.site.invoke(function, read(file)).await
    }

    fn dropped(&self, name: &str, version: &str) -> JobId {
        JobId::of_drop(&self.site.id, &format!("inbox/newsroom/{name}"), version, None)
    }

    /// The job, which an event has made.
    async fn there(&self, job: &JobId) -> Job {
        self.site.when(job, |_| true).await
    }
}

/// The webhook that the files are about.
fn webhook(project: &ProjectId, url: String) -> Webhook {
    let now = SystemClock.now();
    Webhook {
        project_id: project.clone(),
        webhook_id: WebhookId::new("01KAWXQ8S0WEBHKS0000000001").unwrap(),
        name: "The desk".into(),
        url,
        events: vec!["job.succeeded".into(), WebhookDisabled::TYPE.into()],
        is_active: true,
        failures_in_a_row: 0,
        disabled: None,
        created_by: "a test".into(),
        created_at: now,
        updated_at: now,
        version: 1,
        deleted_at: None,
    }
}

fn read(file: &str) -> Value {
    serde_json::from_slice(&fs::read(folder().join(file)).unwrap()).unwrap()
}

fn job_id(id: &str) -> JobId {
    JobId::new(id).unwrap()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../events")
}

/// The files in `events/`, as `function/case.json`.
fn files() -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for function in fs::read_dir(folder()).unwrap().flatten() {
        for file in fs::read_dir(function.path()).unwrap().flatten() {
            let names = (function.file_name(), file.file_name());
            files.insert(format!(
                "{}/{}",
                names.0.to_string_lossy(),
                names.1.to_string_lossy()
            ));
        }
    }
    files
}
