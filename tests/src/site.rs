//! A project on a deployed stack.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Instant,
};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::config::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_sfn::types::ExecutionStatus;
use aws_sdk_sqs::types::QueueAttributeName;
use bedrock_diy::{project_files::ProjectFiles, push::push};
use bedrock_diy_aws::{
    DynamoHistory, DynamoJobs, S3Objects, SqsQueue, StepFunctions, SystemClock, clients::Services,
};
use bedrock_diy_core::{
    BatchId, JobId, ProjectId, SessionId,
    article::{Article, Bucket, ObjectRef, SubmittedPart, submitted_key},
    event::Event,
    history::Exchange,
    intake::{IntakeMessage, Lane, Submission},
    job::{Job, NewJob},
    pipeline::PipelineRevision,
    ports::{Clock, Executions, History, Jobs, Objects, Projects, Queue},
    stage::StageRecord,
};
use bedrock_diy_stack::{REGION, Stack};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::{
    Inbox, Project,
    wait::{ASK_AGAIN, PATIENCE},
};

/// A project with a model of its own, on a stack that others use, too.
pub struct Site {
    /// The stack.
    pub stack: Stack,
    /// Its services.
    pub services: Services,
    /// The project as files.
    pub files: Project,
    /// The project.
    pub id: ProjectId,
    model: String,
    jobs: DynamoJobs,
    objects: S3Objects,
}

/// The batch of everything that is dropped.
const BATCH: &str = "monday";

impl Site {
    /// Makes a project of this id with so many cards, and stores it.
    pub async fn open(stack: Stack, id: &str, cards: usize) -> Self {
        let site = Self::with_cards(stack, id, cards);
        site.push().await;
        site
    }

    /// The place of a project that nobody has stored.
    #[must_use]
    pub fn unsaved(stack: Stack, id: &str) -> Self {
        Self::with_cards(stack, id, 0)
    }

    fn with_cards(stack: Stack, id: &str, cards: usize) -> Self {
        let services = stack.services();
        let config = stack.config().unwrap();
        let objects = S3Objects::new(services.s3.clone(), config.buckets.clone());
        let files = Project::with_cards(cards);
        let model = format!("test.{id}-v1:0");
        files.write(
            "project.yaml",
            &format!("id: {id}\nname: {id}\nsettings:\n  model: {model}\n"),
        );
        Self {
            jobs: DynamoJobs::new(services.dynamodb.clone(), objects.clone(), &config),
            objects,
            services,
            stack,
            files,
            id: ProjectId::new(id).unwrap(),
            model,
        }
    }

    /// The model that the project names: its alone, so that its calls can be told from others'.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Stores the project as its files say now.
    pub async fn push(&self) {
        self.store(&self.files).await;
    }

    /// Stores a project as its files say.
    pub async fn store(&self, project: &Project) {
        let files = ProjectFiles::read(&project.dir()).unwrap();
        let projects = self.stack.projects().unwrap();
        push(&*projects, &files, "a test", SystemClock.now())
            .await
            .unwrap();
    }

    /// Drops a file into the bucket. Returns the job that it is to become.
    pub async fn drop(&self, name: &str, bytes: &[u8]) -> (JobId, ObjectRef) {
        self.drop_in(&BatchId::new(BATCH).unwrap(), name, bytes).await
    }

    /// Drops a file of a batch into the bucket. Returns the job that it is to become.
    pub async fn drop_in(&self, batch: &BatchId, name: &str, bytes: &[u8]) -> (JobId, ObjectRef) {
        let key = format!("inbox/{}/{batch}/{name}", self.id);
        let inbox = S3Objects::new(once(&self.services.s3), self.stack.config().unwrap().buckets);
        let object = inbox.put(Bucket::Articles, &key, bytes.to_vec()).await.unwrap();
        let version = object.version.as_deref().unwrap();
        (JobId::of_drop(&self.id, &key, version, None), object)
    }

    /// Has S3 say once more that this was dropped.
    pub async fn notify(&self, object: &ObjectRef) {
        let key = utf8_percent_encode(&object.key, NON_ALPHANUMERIC).to_string();
        self.send_body(
            &json!({"Records": [{
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": REGION,
                "eventTime": "2026-11-25T10:00:00.000Z",
                "eventName": "ObjectCreated:Put",
                "userIdentity": {"principalId": "AWS:somebody"},
                "requestParameters": {"sourceIPAddress": "127.0.0.1"},
                "responseElements": {},
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "bucket": {"name": self.stack.output("ArticlesBucketName").unwrap()},
                    "object": {"key": key, "size": object.size, "versionId": object.version},
                },
            }]})
            .to_string(),
        )
        .await;
    }

    /// Sends a message to the bulk queue.
    pub async fn send_body(&self, body: &str) {
        let send = self.services.sqs.send_message();
        let send = send.queue_url(self.stack.output("BulkQueueUrl").unwrap());
        send.message_body(body).send().await.unwrap();
    }

    /// Has the bulk queue hand messages out again after so many seconds, where nobody says what became of them:
    /// the template's six minutes are long for a test.
    pub async fn redeliver_after(&self, seconds: u32) {
        let set = self.services.sqs.set_queue_attributes();
        let set = set.queue_url(self.stack.output("BulkQueueUrl").unwrap());
        let set = set.attributes(QueueAttributeName::VisibilityTimeout, seconds.to_string());
        set.send().await.unwrap();
    }

    /// Submits a text as an application does, in a session.
    pub async fn submit(&self, key: &str, text: &str, session: &str) -> JobId {
        let job_id = JobId::of_submission("a test", &self.id, key);
        let place = submitted_key(&self.id, &job_id, SubmittedPart::Text);
        let source = self
            .objects
            .put(Bucket::Articles, &place, text.as_bytes().to_vec())
            .await
            .unwrap();
        let message = IntakeMessage::Submission(Box::new(Submission {
            job_id: job_id.clone(),
            project_id: self.id.clone(),
            batch: BatchId::new("submitted").unwrap(),
            article: Article {
                text: Some(source.clone()),
                ..Article::new(key, source)
            },
            session_id: Some(SessionId::new(session).unwrap()),
            fresh: false,
            retry_of: None,
            pipeline: None,
        }));
        let url = |name| self.stack.output(name).unwrap();
        let queue = SqsQueue::new(
            self.services.sqs.clone(),
            url("BulkQueueUrl"),
            url("LiveQueueUrl"),
        );
        queue.send(Lane::Live, vec![message]).await.unwrap();
        job_id
    }

    /// Stores a job as intake does, and starts nothing for it.
    pub async fn accept(&self, job: &JobId, text: &str) {
        let projects = self.stack.projects().unwrap();
        let project = projects.project(&self.id).await.unwrap().unwrap();
        let cards = projects.cards(&self.id).await.unwrap();
        let pipeline = PipelineRevision::pin(&project, &cards, &self.model).unwrap();
        projects.keep_pipeline(&pipeline).await.unwrap();
        let key = submitted_key(&self.id, job, SubmittedPart::Source);
        let text = text.as_bytes().to_vec();
        let source = self.objects.put(Bucket::Articles, &key, text).await.unwrap();
        let new = NewJob {
            job_id: job.clone(),
            project_id: self.id.clone(),
            batch: BatchId::new(BATCH).unwrap(),
            lane: Lane::Live,
            article: Article::new("article.txt", source),
            session_id: None,
            fresh: false,
            retry_of: None,
            pipeline: None,
        };
        let change = Job::accept(new, Ok(&pipeline), SystemClock.now());
        self.jobs.accept(change).await.unwrap();
    }

    /// Invokes a function as Lambda's API does, and returns its answer; the error's type where it failed.
    pub async fn invoke(&self, function: &str, event: Value) -> Result<Value, String> {
        let arn = self.stack.output(&format!("{function}FunctionArn")).unwrap();
        let name = arn.rsplit(':').next().unwrap();
        let url = format!("{}/2015-03-31/functions/{name}/invocations", self.stack.url);
        let invoked = tokio::task::spawn_blocking(move || {
            let mut answer = ureq::post(&url).send(&event.to_string()).unwrap();
            let failed = answer.headers().contains_key("x-amz-function-error");
            (failed, answer.body_mut().read_to_string().unwrap())
        });
        let (failed, body) = invoked.await.unwrap();
        let answer: Value = serde_json::from_str(&body).unwrap();
        if failed {
            return Err(answer["errorType"].as_str().unwrap_or_default().to_owned());
        }
        Ok(answer)
    }

    /// The job as it stands, once `ready` says so.
    pub async fn when(&self, job: &JobId, ready: impl Fn(&Job) -> bool) -> Job {
        let began = Instant::now();
        loop {
            let found = self.jobs.read(job).await.unwrap();
            if let Some(job) = found.as_ref().filter(|job| ready(job)) {
                return job.clone();
            }
            assert!(began.elapsed() < PATIENCE, "{job} still stands so: {found:?}");
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// The job when it has ended.
    pub async fn ended(&self, job: &JobId) -> Job {
        self.when(job, |job| job.status.is_terminal()).await
    }

    /// A job's finished stages.
    pub async fn stages(&self, job: &JobId) -> Arc<Vec<StageRecord>> {
        self.jobs.stages(job).await.unwrap()
    }

    /// A job's events.
    pub async fn events(&self, job: &JobId) -> Vec<Event> {
        self.jobs.events(job, 0, 10_000).await.unwrap()
    }

    /// A stored text.
    pub async fn text(&self, object: &ObjectRef) -> String {
        String::from_utf8(self.objects.get(object).await.unwrap()).unwrap()
    }

    /// The ids of the project's jobs, as the index by project has them.
    pub async fn listed(&self) -> Vec<String> {
        self.jobs_by("byProject", "projectId", self.id.to_string()).await
    }

    /// The ids of a batch's jobs, as the index by batch has them.
    pub async fn listed_in(&self, batch: &BatchId) -> Vec<String> {
        self.jobs_by("byBatch", "projectBatch", format!("{}#{batch}", self.id))
            .await
    }

    async fn jobs_by(&self, index: &str, key: &str, value: String) -> Vec<String> {
        let table = self.stack.output("JobsTableName").unwrap();
        let query = self.services.dynamodb.query().table_name(table).index_name(index);
        let query = query
            .key_condition_expression(format!("{key} = :value"))
            .expression_attribute_values(":value", AttributeValue::S(value));
        let mut pages = query.into_paginator().items().send();
        let mut ids = Vec::new();
        while let Some(item) = pages.next().await {
            ids.push(item.unwrap()["jobId"].as_s().unwrap().clone());
        }
        ids.sort();
        ids
    }

    /// An item of a table, by its keys.
    pub async fn item(&self, table: &str, keys: &[(&str, &str)]) -> Option<HashMap<String, AttributeValue>> {
        let table = self.stack.output(table).unwrap();
        let mut get = self.services.dynamodb.get_item().table_name(table);
        for (name, value) in keys {
            get = get.key(*name, AttributeValue::S((*value).to_owned()));
        }
        get.send().await.unwrap().item
    }

    /// The newest object of the results bucket under this key.
    pub async fn results(&self, key: &str) -> String {
        self.text(&ObjectRef {
            bucket: Bucket::Results,
            key: key.to_owned(),
            version: None,
            size: 0,
        })
        .await
    }

    /// What a session of the project remembers.
    pub async fn session(&self, session: &str) -> Vec<Exchange> {
        let config = self.stack.config().unwrap();
        let history = DynamoHistory::new(self.services.dynamodb.clone(), self.objects.clone(), &config);
        let session = SessionId::new(session).unwrap();
        history.recent(&self.id, &session, 50).await.unwrap()
    }

    /// Stops the job's execution, as somebody at the console would.
    pub async fn stop_execution(&self, job: &JobId) {
        let machine = self.stack.output("ArticleStateMachineArn").unwrap();
        let executions = StepFunctions::new(self.services.sfn.clone(), machine);
        executions.stop(job).await.unwrap();
    }

    /// What the job's execution did, as Step Functions names it, once the execution has ended: a moment later
    /// than its job.
    pub async fn executed(&self, job: &JobId) -> Vec<String> {
        let machine = self.stack.output("ArticleStateMachineArn").unwrap();
        let execution = format!("{}:{job}", machine.replacen(":stateMachine:", ":execution:", 1));
        let began = Instant::now();
        loop {
            let describe = self.services.sfn.describe_execution().execution_arn(&execution);
            let status = describe.send().await.unwrap().status;
            if status != ExecutionStatus::Running {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "the execution of {job} has not ended");
            tokio::time::sleep(ASK_AGAIN).await;
        }
        let history = self.services.sfn.get_execution_history().execution_arn(execution);
        let mut events = history.into_paginator().items().send();
        let mut kinds = Vec::new();
        while let Some(event) = events.next().await {
            kinds.push(event.unwrap().r#type.as_str().to_owned());
        }
        kinds
    }

    /// How often the project's model was asked, whatever came of it.
    pub async fn calls(&self) -> u64 {
        let url = format!("{}/_control/counters", self.stack.model);
        let counters = tokio::task::spawn_blocking(move || {
            let mut answer = ureq::get(&url).call().unwrap();
            answer.body_mut().read_to_string().unwrap()
        });
        let counters: Value = serde_json::from_str(&counters.await.unwrap()).unwrap();
        counters["by_model"][&self.model].as_u64().unwrap_or_default()
    }

    /// A queue that gets every event of this project.
    pub async fn listen(&self) -> Inbox {
        let inbox = Inbox::open(&self.services, &format!("told-of-{}", self.id)).await;
        inbox
            .subscribe(&self.stack.output("EventBusName").unwrap(), &self.id)
            .await;
        inbox
    }
}

/// The client, which puts an object once, however long that takes: put again it would be another version, and so
/// another article.
fn once(s3: &aws_sdk_s3::Client) -> aws_sdk_s3::Client {
    let config = s3.config().to_builder();
    let config = config
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled());
    aws_sdk_s3::Client::from_conf(config.build())
}

/// How many events of each type were told, each counted once; `bodies` are those of an [`Inbox`].
#[must_use]
pub fn types(bodies: &[String]) -> BTreeMap<String, usize> {
    let mut events: Vec<(String, String)> = bodies
        .iter()
        .map(|body| {
            let event: Value = serde_json::from_str(body).unwrap();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            assert_eq!(event["detail-type"], event["detail"]["type"]);
            (text(&event["detail"]["id"]), text(&event["detail-type"]))
        })
        .collect();
    events.sort();
    events.dedup();
    let mut types = BTreeMap::new();
    for (_, name) in events {
        *types.entry(name).or_default() += 1;
    }
    types
}

/// How many events of each type were told to an [`Inbox`], once there are as many of each of these types: what a job is
/// said to be is stored before it is told.
pub async fn told(inbox: &Inbox, expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    let are_there = |bodies: &[String]| {
        let types = types(bodies);
        expected
            .iter()
            .all(|(name, count)| types.get(*name) >= Some(count))
    };
    types(&inbox.receive_until(are_there).await)
}
