//! The adapters on AWS, on a deployed stack.

use std::sync::Arc;

use aws_sdk_eventbridge::types::Target;
use aws_sdk_sqs::types::QueueAttributeName;
use bedrock_diy_aws::{
    DynamoHistory, DynamoJobs, DynamoMemo, DynamoProjects, DynamoQuota, EventBridge, S3Objects, SqsQueue,
    StepFunctions, clients::Services,
};
use bedrock_diy_core::{JobId, catalogue::Catalogue, intake::Lane};
use bedrock_diy_stack::Stack;
use bedrock_diy_tests::{contract, stack};
use serde_json::{Value, json};

/// The adapters over one stack.
struct Aws {
    services: Services,
    stack: Stack,
    projects: DynamoProjects,
    jobs: DynamoJobs,
    objects: S3Objects,
    memo: DynamoMemo,
    history: DynamoHistory,
}

fn aws() -> Aws {
    let stack = stack();
    let (services, config) = (stack.services(), stack.config().unwrap());
    let dynamodb = || services.dynamodb.clone();
    let objects = S3Objects::new(services.s3.clone(), config.buckets.clone());
    Aws {
        projects: DynamoProjects::new(dynamodb(), objects.clone(), &config),
        jobs: DynamoJobs::new(dynamodb(), objects.clone(), &config),
        memo: DynamoMemo::new(dynamodb(), objects.clone(), &config),
        history: DynamoHistory::new(dynamodb(), objects.clone(), &config),
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

promises!(jobs: accepting_twice_is_one_job, accepting_again_tells_how_the_job_stands_now,
    a_stale_change_changes_nothing, events_are_read_from_a_number_on,
    an_unknown_job_is_none);
promises!(objects: what_was_put_is_got, a_reference_names_a_version, what_is_not_there_is_not_found);
promises!(memo: an_unknown_memo_key_finds_nothing);
promises!(projects: a_project_is_what_was_stored_last, a_revision_stays_as_it_was, a_revision_is_saved_once,
    a_pipeline_revision_is_kept);

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
    let sqs = aws().services.sqs;
    let (bulk, live) = (
        new_queue(&sqs, "contract-bulk").await,
        new_queue(&sqs, "contract-live").await,
    );
    let queue = SqsQueue::new(sqs.clone(), bulk.clone(), live.clone());
    contract::what_is_sent_is_received(&queue, |lane| {
        let url = match lane {
            Lane::Bulk => bulk.clone(),
            Lane::Live => live.clone(),
        };
        receive_all(&sqs, url)
    })
    .await;
}

#[tokio::test]
async fn every_stored_event_reaches_its_subscribers() {
    let aws = aws();
    let queue = subscribe(&aws).await;
    let bus = EventBridge::new(
        aws.services.eventbridge.clone(),
        aws.stack.output("EventBusName").unwrap(),
    );
    contract::every_stored_event_reaches_its_subscribers(&bus, &aws.jobs, || async {
        let bodies = receive_all(&aws.services.sqs, queue.clone()).await;
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

/// A queue that gets everything that the contracts' project is told.
async fn subscribe(aws: &Aws) -> String {
    let (sqs, events) = (&aws.services.sqs, &aws.services.eventbridge);
    let queue = new_queue(sqs, "contract-told").await;
    let attributes = sqs.get_queue_attributes().queue_url(&queue);
    let attributes = attributes
        .attribute_names(QueueAttributeName::QueueArn)
        .send()
        .await
        .unwrap();
    let arn = &attributes.attributes.unwrap()[&QueueAttributeName::QueueArn];
    let bus = aws.stack.output("EventBusName").unwrap();
    let pattern =
        json!({"source": [bedrock_diy_aws::SOURCE], "detail": {"projectId": [contract::project()]}});
    let rule = events.put_rule().name("contract").event_bus_name(&bus);
    rule.event_pattern(pattern.to_string()).send().await.unwrap();
    let target = Target::builder().id("queue").arn(arn).build().unwrap();
    let targets = events.put_targets().rule("contract").event_bus_name(&bus);
    targets.targets(target).send().await.unwrap();
    queue
}

async fn new_queue(sqs: &aws_sdk_sqs::Client, name: &str) -> String {
    sqs.create_queue()
        .queue_name(name)
        .send()
        .await
        .unwrap()
        .queue_url
        .unwrap()
}

/// Every message's body, until no more comes for a while.
async fn receive_all(sqs: &aws_sdk_sqs::Client, url: String) -> Vec<String> {
    let mut bodies = Vec::new();
    loop {
        let receive = sqs.receive_message().queue_url(&url).max_number_of_messages(10);
        let received = receive.wait_time_seconds(2).send().await.unwrap();
        let messages = received.messages.unwrap_or_default();
        if messages.is_empty() {
            return bodies;
        }
        for message in messages {
            bodies.extend(message.body);
            let delete = sqs.delete_message().queue_url(&url);
            delete
                .set_receipt_handle(message.receipt_handle)
                .send()
                .await
                .unwrap();
        }
    }
}
