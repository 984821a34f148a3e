//! What an article costs in calls: the functions' handlers over the stack's services, metered.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bedrock_diy_aws::{
    Bedrock, DynamoHistory, DynamoJobs, DynamoMemo, DynamoProjects, DynamoQuota, DynamoWatches, EventBridge,
    Pushes, S3Objects, StepFunctions, SystemClock,
    clients::{self, BedrockConfig},
};
use bedrock_diy_core::{
    BatchId, JobId,
    article::{Article, Bucket, SubmittedPart, submitted_key},
    catalogue::Catalogue,
    cursor::{Cursor, Next},
    error::Result,
    event::{Event, Unstored},
    intake::{IntakeMessage, Lane, Submission},
    job::JobStatus,
    ports::{Followers, Objects},
};
use bedrock_diy_finish::Finish;
use bedrock_diy_intake::Intake;
use bedrock_diy_plan::Plan;
use bedrock_diy_stage::{Ports, Questions, Stage};
use bedrock_diy_tests::{Meter, Site, meter::Bill, stack};

const CARDS: usize = 5;

/// The functions' handlers, as a warm process of each.
struct Functions {
    meter: Meter,
    site: Site,
    taken: AtomicUsize,
    intake: Intake,
    plan: Plan,
    stage: Stage,
    finish: Finish,
}

/// Followers for whom each stage looks once. How often more it looks depends on how long the model takes, which is
/// whatever this machine has time for.
struct LookedForOnce(Pushes);

#[async_trait]
impl Followers for LookedForOnce {
    async fn has(&self, job: &JobId) -> Result<bool> {
        self.0.has(job).await
    }

    async fn comes(&self, _: &JobId) {
        std::future::pending::<()>().await;
    }

    fn pace(&self) -> Duration {
        self.0.pace()
    }

    async fn show(&self, job: &JobId, unstored: Unstored) {
        self.0.show(job, unstored).await;
    }

    async fn tell(&self, events: &[Event]) {
        self.0.tell(events).await;
    }
}

/// What an article's way cost, by function; `stage` is all of its stages.
type Bills = BTreeMap<&'static str, Bill>;

#[tokio::test(flavor = "multi_thread")]
async fn an_article_makes_the_calls_that_are_documented() {
    let functions = Functions::start().await;
    // Cards and pipelines are read once by each process.
    functions.article("The first article.").await;
    let paid = functions.article("The bridge opens.").await;
    let remembered = functions.article("The bridge opens.").await;
    for (row, bill, times) in [
        ("intake", &paid["intake"], 1),
        ("plan", &paid["plan"], 1),
        ("stage", &paid["stage"], CARDS),
        ("stage, from the memo", &remembered["stage"], CARDS),
        ("finish", &paid["finish"], 1),
    ] {
        let mut expected = BTreeMap::new();
        for operation in documented(row) {
            *expected.entry(operation).or_insert(0) += times as u64;
        }
        assert_eq!(bill.calls, expected, "{row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_article_is_billed_as_the_page_on_costs_says() {
    let functions = Functions::start().await;
    let text = |what: &str| format!("The {what} opens. ").repeat(600);
    functions.article(&text("ferry")).await;
    let mut bill = Bill::default();
    for part in functions.article(&text("bridge")).await.into_values() {
        bill.add(part);
    }
    let (states, invocations) = functions.executed(&text("river")).await;
    let bytes: u64 = bill.stored.values().sum();
    let counted = [
        ("Step Functions state transitions", states),
        // Intake, which no execution calls.
        ("Lambda requests", invocations + 1),
        // Whoever drops the article writes it.
        ("S3 writes", bill.calls["PutObject"] + 1),
        ("S3 reads", bill.calls["GetObject"]),
        // Each of the job's three statuses is written to two indexes.
        ("DynamoDB write units", bill.write_units + 3 * 2),
        ("DynamoDB read units", bill.half_read_units.div_ceil(2)),
        ("EventBridge events", bill.events),
    ];
    println!("{counted:#?}");
    let page = include_str!("../../../docs/COSTS.md");
    for (unit, counted) in counted {
        let row = Row::of(page, unit);
        assert!(
            (row.count - counted as f64).abs() < f64::EPSILON,
            "docs/COSTS.md: {unit} are {counted}"
        );
    }
    let kept = format!(
        "| DynamoDB, with point-in-time recovery | {} |",
        bytes.div_ceil(1024)
    );
    assert!(page.contains(&kept), "docs/COSTS.md does not say {kept}");
    let rows = page.lines().filter_map(Row::read);
    let sum: f64 = rows.inspect(Row::assert_multiplied).map(|row| row.dollars).sum();
    assert!(
        page.contains(&format!("**${sum:.2}**")),
        "the rows of docs/COSTS.md make {sum:.4} dollars"
    );
}

/// A row of the table of costs: so many units for an article, their price in dollars a million, and what a
/// thousand articles cost.
struct Row {
    unit: String,
    count: f64,
    price: f64,
    dollars: f64,
}

impl Row {
    fn read(line: &str) -> Option<Self> {
        let mut cells = line.strip_prefix("| ")?.split('|').map(str::trim);
        let unit = cells.next()?.to_owned();
        let mut number = || cells.next()?.parse().ok();
        Some(Self {
            unit,
            count: number()?,
            price: number()?,
            dollars: number()?,
        })
    }

    fn of(page: &str, unit: &str) -> Self {
        let row = page.lines().filter_map(Self::read).find(|row| row.unit == unit);
        row.unwrap_or_else(|| panic!("docs/COSTS.md has no row for {unit}"))
    }

    fn assert_multiplied(&self) {
        let dollars = self.count * self.price / 1_000.0;
        assert!(
            (dollars - self.dollars).abs() < 0.000_051,
            "docs/COSTS.md: {} cost {dollars:.4}",
            self.unit
        );
    }
}

impl Functions {
    async fn start() -> Self {
        let meter = Meter::default();
        let site = Site::open(stack(), &format!("metered-{:010}", std::process::id()), CARDS).await;
        let services = meter.services(&site.services);
        let config = site.stack.config().unwrap();
        let objects = Arc::new(S3Objects::new(services.s3.clone(), config.buckets.clone()));
        let dynamodb = || services.dynamodb.clone();
        let s3 = || (*objects).clone();
        let jobs = Arc::new(DynamoJobs::new(dynamodb(), s3(), &config));
        let projects = Arc::new(DynamoProjects::new(dynamodb(), s3(), &config));
        let bus = Arc::new(EventBridge::new(
            services.eventbridge.clone(),
            config.event_bus.clone(),
        ));
        let clock = Arc::new(SystemClock);
        let catalogue = Arc::new(Catalogue::own().unwrap());
        let model = clients::bedrock(BedrockConfig::LocalServer(site.stack.model.clone())).await;
        let intake = Intake {
            projects: projects.clone(),
            jobs: jobs.clone(),
            objects: objects.clone(),
            executions: Arc::new(StepFunctions::new(services.sfn.clone(), nothing(&site).await)),
            bus: bus.clone(),
            clock: clock.clone(),
            default_model: site.model().to_owned(),
        };
        let plan = Plan {
            projects: projects.clone(),
            jobs: jobs.clone(),
            objects: objects.clone(),
            bus: bus.clone(),
            clock: clock.clone(),
        };
        let finish = Finish {
            jobs: jobs.clone(),
            objects: objects.clone(),
            bus: bus.clone(),
            clock: clock.clone(),
        };
        let watches = Arc::new(DynamoWatches::new(dynamodb(), &config, clock.clone()));
        let ports = Ports {
            projects,
            jobs: jobs.clone(),
            objects: objects.clone(),
            memo: Arc::new(DynamoMemo::new(dynamodb(), s3(), &config)),
            history: Arc::new(DynamoHistory::new(dynamodb(), s3(), &config)),
            model: Arc::new(Bedrock::new(meter.bedrock(&model))),
            quota: Arc::new(DynamoQuota::new(dynamodb(), catalogue.clone(), &config)),
            bus,
            followers: Arc::new(LookedForOnce(Pushes::new(
                site.stack.gateway().unwrap(),
                dynamodb(),
                &config,
                clock.clone(),
                jobs,
                watches,
            ))),
            clock,
            questions: Questions::default(),
        };
        Self {
            stage: Stage::new(ports, catalogue),
            meter,
            site,
            taken: AtomicUsize::default(),
            intake,
            plan,
            finish,
        }
    }

    /// Takes an article the whole way, function by function, as the state machine does.
    async fn article(&self, text: &str) -> Bills {
        let submission = self.stored(text).await;
        let job = submission.job_id.clone();
        let mut bills = Bills::new();
        let message = IntakeMessage::Submission(Box::new(submission));
        self.intake.handle(Lane::Bulk, message).await.unwrap();
        bills.insert("intake", self.meter.take());
        let mut cursor = self.plan.handle(Cursor::start(job.clone())).await.unwrap();
        bills.insert("plan", self.meter.take());
        while cursor.next == Next::Stage {
            cursor = self.stage.handle(cursor).await.unwrap();
        }
        bills.insert("stage", self.meter.take());
        self.finish.handle(cursor).await.unwrap();
        bills.insert("finish", self.meter.take());
        assert_eq!(self.site.ended(&job).await.status, JobStatus::Succeeded);
        bills
    }

    /// Drops an article as everybody does, and looks afterwards how many states its execution entered, and how
    /// many functions it called.
    async fn executed(&self, text: &str) -> (u64, u64) {
        let (job, _) = self.site.drop("article.txt", text.as_bytes()).await;
        assert_eq!(self.site.ended(&job).await.status, JobStatus::Succeeded);
        let events = self.site.executed(&job).await;
        let count = |is: fn(&str) -> bool| events.iter().filter(|kind| is(kind)).count() as u64;
        let states = count(|kind| kind.ends_with("StateEntered"));
        let invocations = count(|kind| matches!(kind, "LambdaFunctionScheduled" | "TaskScheduled"));
        (states, invocations)
    }

    /// A file that intake is not told of by the bucket.
    async fn stored(&self, text: &str) -> Submission {
        let number = self.taken.fetch_add(1, Ordering::Relaxed).to_string();
        let id = &self.site.id;
        let job_id = JobId::of_submission("a test", id, &number);
        let key = submitted_key(id, &job_id, SubmittedPart::Source);
        let objects = self.site.stack.objects().unwrap();
        let source = objects
            .put(Bucket::Articles, &key, text.as_bytes().to_vec())
            .await;
        Submission {
            job_id,
            project_id: id.clone(),
            batch: BatchId::new("metered").unwrap(),
            article: Article::new("article.txt", source.unwrap()),
            session_id: None,
            fresh: false,
            retry_of: None,
            pipeline: None,
        }
    }
}

/// A state machine that does nothing: here the test is the state machine.
async fn nothing(site: &Site) -> String {
    let definition = r#"{"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}"#;
    let create = site.services.sfn.create_state_machine().name(site.id.as_str());
    let create = create
        .definition(definition)
        .role_arn("arn:aws:iam::000000000000:role/nobody");
    create.send().await.unwrap().state_machine_arn
}

/// The operations that the documentation of `crates/aws` lists for a function, where the file is text already.
fn documented(function: &str) -> Vec<String> {
    let page = include_str!("../../../crates/aws/src/lib.rs");
    let row = page
        .lines()
        .find_map(|line| line.strip_prefix(&format!("//! | {function} | ")));
    let row = row.unwrap_or_else(|| panic!("the table of calls has no row for {function}"));
    let steps = row
        .split(", ")
        .filter(|step| !step.contains("(where the file is none)"));
    steps
        .filter_map(|step| step.split('`').nth(1))
        .map(str::to_owned)
        .collect()
}
