//! Services that fail while a hundred articles are on their way: the faults that `docs/FAULTS.md` lists.
//!
//! The functions run as they are deployed, and reach AWS through a proxy that fails as AWS does. Whatever
//! fails, every article ends as it should: nothing is lost, nothing is done twice, nothing is stuck.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its helpers too"
)]

mod dying;
mod services;

use std::time::{Duration, Instant};

use aws_sdk_sfn::types::ExecutionStatus;
use aws_sdk_sqs::types::QueueAttributeName;
use bedrock_diy_core::{JobId, job::JobStatus};
use bedrock_diy_model_server::scripted::{Reply, Rule, Script};
use bedrock_diy_tests::{Faulty, Inbox, Site, site::types};
use serde_json::Value;

const ARTICLES: usize = 100;
const CARDS: usize = 2;

/// How long the queues may take to run empty once every job has ended.
const PATIENCE: Duration = Duration::from_mins(2);

/// Articles that are on their way through a faulty stack.
struct Flight {
    stack: Faulty,
    site: Site,
    told: Inbox,
    jobs: Vec<JobId>,
}

impl Flight {
    /// Drops a hundred articles where calls fail by these rules.
    async fn start(script: Script, faults: &Value) -> Self {
        let mut flight = Self::ready(script, CARDS).await;
        flight.stack.fail(faults).await;
        for number in 0..ARTICLES {
            flight
                .drop(&format!("Article {number} tells of the bridge."))
                .await;
        }
        flight
    }

    /// A stack with a project of so many cards, where nothing fails yet.
    async fn ready(script: Script, cards: usize) -> Self {
        // An answer that depends on what was asked, so that no stage finds another article's.
        let faithful = Rule::reply(Reply::template("answer ${hash}"));
        let stack = Faulty::deploy(script.rule(faithful)).await;
        let site = Site::open(stack.stack.clone(), "harbour", cards).await;
        let told = site.listen().await;
        Self {
            stack,
            site,
            told,
            jobs: Vec::new(),
        }
    }

    async fn drop(&mut self, text: &str) {
        let name = format!("{}.txt", self.jobs.len());
        self.jobs.push(self.site.drop(&name, text.as_bytes()).await.0);
    }

    /// Waits until every job has ended, and fails unless each ended well, once.
    async fn lands(&self) {
        for job in &self.jobs {
            let ended = self.site.ended(job).await;
            assert_eq!(ended.status, JobStatus::Succeeded, "{ended:?}");
            let stages = self.site.stages(job).await;
            let numbers: Vec<_> = stages.iter().map(|stage| stage.stage).collect();
            assert_eq!(numbers, (1..=ended.stages).collect::<Vec<_>>());
            for stage in &stages {
                assert!(self.site.text(&stage.output).await.starts_with("answer "));
            }
            let events = self.site.events(job).await;
            let numbers: Vec<_> = events.iter().map(|event| event.number).collect();
            assert_eq!(numbers, (1..=ended.version).collect::<Vec<_>>());
            let result = format!("{}/{job}/result.json", self.site.id);
            assert!(self.site.results(&result).await.contains("\"results\""));
        }
        let mut expected: Vec<_> = self.jobs.iter().map(ToString::to_string).collect();
        expected.sort();
        assert_eq!(self.site.listed().await, expected, "each article is one job");
        self.nothing_is_left().await;
        let types = types(&self.told.receive_all().await);
        for name in ["job.accepted", "job.started", "job.succeeded"] {
            assert_eq!(types.get(name), Some(&self.jobs.len()), "{name} of {types:?}");
        }
    }

    /// No message waits or was given up, and no execution runs or failed.
    async fn nothing_is_left(&self) {
        for queue in [
            "BulkQueueUrl",
            "LiveQueueUrl",
            "BulkDeadLetterQueueUrl",
            "LiveDeadLetterQueueUrl",
        ] {
            self.runs_empty(queue).await;
        }
        let machine = self.site.stack.output("ArticleStateMachineArn").unwrap();
        let executions = self
            .site
            .services
            .sfn
            .list_executions()
            .state_machine_arn(machine);
        let mut pages = executions.into_paginator().items().send();
        let mut succeeded = 0;
        while let Some(execution) = pages.next().await {
            assert_eq!(execution.unwrap().status, ExecutionStatus::Succeeded);
            succeeded += 1;
        }
        assert_eq!(succeeded, self.jobs.len(), "each job is one execution");
    }

    async fn runs_empty(&self, queue: &str) {
        let url = self.site.stack.output(queue).unwrap();
        let began = Instant::now();
        loop {
            let attributes = self.site.services.sqs.get_queue_attributes().queue_url(&url);
            let attributes = attributes.attribute_names(QueueAttributeName::All).send().await;
            let attributes = attributes.unwrap().attributes.unwrap();
            let messages: u32 = [
                QueueAttributeName::ApproximateNumberOfMessages,
                QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
                QueueAttributeName::ApproximateNumberOfMessagesDelayed,
            ]
            .iter()
            .map(|name| attributes[name].parse::<u32>().unwrap())
            .sum();
            if messages == 0 {
                return;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{queue} still holds {messages} messages"
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// How many stages there are.
    fn stages(&self) -> u64 {
        (self.jobs.len() * CARDS) as u64
    }
}
