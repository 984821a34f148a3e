//! The adapters on AWS, on a deployed stack.

use std::sync::Arc;

use bedrock_diy_aws::{
    DeliveriesConfig, DynamoDeliveries, DynamoHistory, DynamoHooks, DynamoJobs, DynamoMemo, DynamoProjects,
    DynamoQuota, DynamoWatches, DynamoWebhooks, EventBridge, ParameterStore, Pushes, S3Objects,
    SqsDeliveryQueue, SqsQueue, StepFunctions, SystemClock, clients::Services,
};
use bedrock_diy_core::{JobId, catalogue::Catalogue, intake::Lane};
use bedrock_diy_stack::Stack;
use bedrock_diy_tests::{Inbox, contract, stack};
use serde_json::Value;

/// The adapters over one stack.
struct Aws {
    services: Services,
    stack: Stack,
    projects: DynamoProjects,
    jobs: DynamoJobs,
    objects: S3Objects,
    memo: DynamoMemo,
    history: DynamoHistory,
    hooks: DynamoHooks,
    webhooks: DynamoWebhooks,
    deliveries: DynamoDeliveries,
    secrets: ParameterStore,
    watches: Arc<DynamoWatches>,
    pushes: Pushes,
}

fn aws() -> Aws {
    let stack = stack();
    let (services, config) = (stack.services(), stack.config().unwrap());
    let dynamodb = || services.dynamodb.clone();
    let objects = S3Objects::new(services.s3.clone(), config.buckets.clone());
    let clock = Arc::new(SystemClock);
    let watches = Arc::new(DynamoWatches::new(dynamodb(), &config, clock.clone()));
    let jobs = DynamoJobs::new(dynamodb(), objects.clone(), &config);
    Aws {
        pushes: Pushes::new(
            stack.gateway().unwrap(),
            dynamodb(),
            &config,
            clock,
            Arc::new(jobs.clone()),
            watches.clone(),
        ),
        watches,
        jobs,
        projects: DynamoProjects::new(dynamodb(), objects.clone(), &config),
        memo: DynamoMemo::new(dynamodb(), objects.clone(), &config),
        history: DynamoHistory::new(dynamodb(), objects.clone(), &config),
        hooks: DynamoHooks::new(dynamodb(), &config),
        webhooks: DynamoWebhooks::new(dynamodb(), &config),
        deliveries: DynamoDeliveries::new(dynamodb(), &config),
        secrets: ParameterStore::new(services.ssm.clone(), &config),
        objects,
        services,
        stack,
    }
}

/// One test for each promise about a port that one adapter answers.
macro_rules! promises {
    ($port:ident: $($promise:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $promise() {
                contract::$promise(&aws().$port).await;
            }
        )*
    };
}

bedrock_diy_tests::every_promise!(promises);

#[tokio::test]
async fn news_are_heard_of_soon() {
    let aws = aws();
    contract::news_are_heard_of_soon(&aws.jobs, None, &*aws.watches).await;
}

#[tokio::test]
async fn whoever_watches_follows() {
    let aws = aws();
    contract::whoever_watches_follows(&*aws.watches, &aws.pushes).await;
}

#[tokio::test]
async fn of_two_writers_one_wins() {
    let aws = aws();
    contract::of_two_writers_one_wins(&aws.jobs, &aws.objects, &aws.memo).await;
}

#[tokio::test]
async fn a_finished_stage_is_whole() {
    let aws = aws();
    contract::a_finished_stage_is_whole(&aws.jobs, &aws.objects, &aws.memo).await;
}

#[tokio::test]
async fn a_session_remembers_in_order() {
    let aws = aws();
    contract::a_session_remembers_in_order(&aws.history, &aws.jobs).await;
}

#[tokio::test]
async fn sessions_are_listed_the_last_used_first() {
    let aws = aws();
    contract::sessions_are_listed_the_last_used_first(&aws.history, &aws.jobs).await;
}

#[tokio::test]
async fn exchanges_are_read_in_pages() {
    let aws = aws();
    contract::exchanges_are_read_in_pages(&aws.history, &aws.jobs).await;
}

#[tokio::test]
async fn a_deleted_session_is_gone() {
    let aws = aws();
    contract::a_deleted_session_is_gone(&aws.history, &aws.jobs).await;
}

#[tokio::test]
async fn an_execution_starts_once() {
    let machine = Machine::of(&aws());
    contract::an_execution_starts_once(&machine.executions(), |job| machine.count(job)).await;
}

#[tokio::test]
async fn stopping_is_always_possible() {
    let machine = Machine::of(&aws());
    contract::stopping_is_always_possible(&machine.executions(), |job| machine.count(job)).await;
}

#[tokio::test]
async fn a_model_without_a_quota_lets_everybody_call() {
    contract::a_model_without_a_quota_lets_everybody_call(&quota(&aws())).await;
}

#[tokio::test]
async fn after_a_throttle_all_wait_their_turn() {
    contract::after_a_throttle_all_wait_their_turn(&quota(&aws()), "acme.throttled-v1:0").await;
}

fn quota(aws: &Aws) -> DynamoQuota {
    let catalogue = Arc::new(Catalogue::own().unwrap());
    DynamoQuota::new(
        aws.services.dynamodb.clone(),
        catalogue,
        &aws.stack.config().unwrap(),
    )
}

#[tokio::test]
async fn what_is_sent_is_received() {
    let aws = aws();
    let bulk = Inbox::open(&aws.services, "contract-bulk").await;
    let live = Inbox::open(&aws.services, "contract-live").await;
    let queue = SqsQueue::new(aws.services.sqs.clone(), bulk.url().into(), live.url().into());
    contract::what_is_sent_is_received(&queue, |lane| match lane {
        Lane::Bulk => bulk.receive_all(),
        Lane::Live => live.receive_all(),
    })
    .await;
}

#[tokio::test]
async fn every_stored_event_reaches_its_subscribers() {
    let aws = aws();
    let name = aws.stack.output("EventBusName").unwrap();
    let told = Inbox::open(&aws.services, "contract-told").await;
    told.subscribe(&name, &contract::project()).await;
    let bus = EventBridge::new(aws.services.eventbridge.clone(), name);
    contract::every_stored_event_reaches_its_subscribers(&bus, &aws.jobs, || async {
        let bodies = told.receive_all().await;
        bodies
            .iter()
            .map(|body| serde_json::from_str::<Value>(body).unwrap()["detail"].to_string())
            .collect()
    })
    .await;
}

#[tokio::test]
async fn an_attempt_and_what_it_changes_are_stored_together() {
    let aws = aws();
    contract::an_attempt_and_what_it_changes_are_stored_together(&aws.webhooks, &aws.deliveries).await;
}

#[tokio::test]
async fn claims_that_are_sent_are_received() {
    let aws = aws();
    let queue = Inbox::open(&aws.services, "contract-deliveries").await;
    let config = DeliveriesConfig {
        queue: queue.url().into(),
        dead_letters: String::new(),
        to_this_machine: false,
    };
    let sqs = SqsDeliveryQueue::new(aws.services.sqs.clone(), &config);
    contract::claims_that_are_sent_are_received(&sqs, || queue.receive_all()).await;
}

#[tokio::test]
async fn a_disabled_webhook_is_announced() {
    let aws = aws();
    let name = aws.stack.output("EventBusName").unwrap();
    let told = Inbox::open(&aws.services, "contract-disabled").await;
    told.subscribe(&name, &contract::ANNOUNCED_IN.parse().unwrap())
        .await;
    let bus = EventBridge::new(aws.services.eventbridge.clone(), name);
    contract::a_disabled_webhook_is_announced(&bus, || async {
        let bodies = told.receive_all().await;
        bodies
            .iter()
            .map(|body| serde_json::from_str::<Value>(body).unwrap()["detail"].to_string())
            .collect()
    })
    .await;
}

/// The deployed state machine.
struct Machine {
    sfn: aws_sdk_sfn::Client,
    arn: String,
}

impl Machine {
    fn of(aws: &Aws) -> Self {
        Self {
            sfn: aws.services.sfn.clone(),
            arn: aws.stack.output("ArticleStateMachineArn").unwrap(),
        }
    }

    fn executions(&self) -> StepFunctions {
        StepFunctions::new(self.sfn.clone(), self.arn.clone())
    }

    /// How many executions of this name there are, or were.
    async fn count(&self, job: JobId) -> usize {
        let list = self.sfn.list_executions().state_machine_arn(&self.arn);
        let mut pages = list.into_paginator().items().send();
        let mut found = 0;
        while let Some(execution) = pages.next().await {
            found += usize::from(execution.unwrap().name == job.as_str());
        }
        found
    }
}
