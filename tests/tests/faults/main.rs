//! Services that fail while a hundred articles are on their way: the faults that `docs/FAULTS.md` lists.
//!
//! The functions run as they are deployed, and reach AWS through a proxy that fails as AWS does. Whatever
//! fails, every article ends as it should: nothing is lost, nothing is done twice, nothing is stuck.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is how a test fails, in its helpers too"
)]

mod dying;
mod services;
mod webhooks;

use std::time::Instant;

use aws_sdk_sfn::types::ExecutionStatus;
use aws_sdk_sqs::types::QueueAttributeName;
use bedrock_diy_core::{JobId, job::JobStatus};
use bedrock_diy_model_server::scripted::{Reply, Rule, Script};
use bedrock_diy_tests::{
    Faulty, Inbox, Site,
    site::types,
    wait::{ASK_AGAIN, PATIENCE},
};
use serde_json::{Value, json};

const ARTICLES: usize = 100;
const CARDS: usize = 2;

/// Articles of a project that are on their way through a faulty stack.
struct Flight<'a> {
    stack: &'a Faulty,
    site: Site,
    told: Inbox,
    cards: usize,
    jobs: Vec<JobId>,
    calls_before: u64,
    began: Instant,
}

/// A stack whose model answers every request in a way of its own, so that no stage finds another's answer.
async fn stack() -> Faulty {
    Faulty::deploy(faithful(Script::default())).await
}

/// The script, and after its rules an answer that depends on everything that was asked.
fn faithful(script: Script) -> Script {
    script.rule(Rule::reply(Reply::template("answer ${hash}")))
}

impl<'a> Flight<'a> {
    /// A project of so many cards on a stack where nothing fails yet.
    async fn ready(stack: &'a Faulty, project: &str, cards: usize) -> Self {
        stack.fail(&json!([])).await;
        let site = Site::open(stack.stack.clone(), project, cards).await;
        site.redeliver_after(20).await;
        Self {
            told: site.listen().await,
            site,
            stack,
            cards,
            jobs: Vec::new(),
            calls_before: stack.model.calls(),
            began: Instant::now(),
        }
    }

    /// Drops a hundred articles where calls fail by these rules from now on.
    async fn start(stack: &'a Faulty, project: &str, faults: &Value) -> Self {
        let mut flight = Self::ready(stack, project, CARDS).await;
        stack.fail(faults).await;
        for number in 0..ARTICLES {
            flight
                .drop(&format!("Article {number} tells of the bridge."))
                .await;
        }
        flight.says("the last article was dropped");
        flight
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
            for stage in stages.iter() {
                assert!(self.site.text(&stage.output).await.starts_with("answer "));
            }
            let events = self.site.events(job).await;
            let numbers: Vec<_> = events.iter().map(|event| event.number).collect();
            assert_eq!(numbers, (1..=ended.version).collect::<Vec<_>>());
            let result = format!("{}/{job}/result.json", self.site.id);
            assert!(self.site.results(&result).await.contains("\"results\""));
        }
        self.says("the last article ended");
        let mut expected: Vec<_> = self.jobs.iter().map(ToString::to_string).collect();
        expected.sort();
        assert_eq!(self.site.listed().await, expected, "each article is one job");
        self.nothing_is_left().await;
        let types = types(&self.told.receive_all().await);
        for (name, each) in [
            ("job.accepted", 1),
            ("job.started", 1),
            ("stage.completed", self.cards),
            ("job.succeeded", 1),
        ] {
            let told = types.get(name).copied();
            assert_eq!(told, Some(each * self.jobs.len()), "{name} of {types:?}");
        }
        self.says("everything was looked at");
    }

    /// Tells whoever looks on how far it is.
    fn says(&self, what: &str) {
        println!(
            "{}: {what} after {} s",
            self.site.id,
            self.began.elapsed().as_secs()
        );
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
        // A job ends before its execution does, which may still be telling of it.
        let began = Instant::now();
        loop {
            let statuses = self.executions().await;
            assert_eq!(statuses.len(), self.jobs.len(), "each job is one execution");
            if statuses
                .iter()
                .all(|status| *status == ExecutionStatus::Succeeded)
            {
                return;
            }
            let running = statuses.contains(&ExecutionStatus::Running);
            assert!(running && began.elapsed() < PATIENCE, "{statuses:?}");
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// How the jobs' executions stand.
    async fn executions(&self) -> Vec<ExecutionStatus> {
        let machine = self.site.stack.output("ArticleStateMachineArn").unwrap();
        let list = self
            .site
            .services
            .sfn
            .list_executions()
            .state_machine_arn(machine);
        let mut pages = list.into_paginator().items().send();
        let mut statuses = Vec::new();
        while let Some(execution) = pages.next().await {
            let execution = execution.unwrap();
            if self.jobs.iter().any(|job| job.as_str() == execution.name) {
                statuses.push(execution.status);
            }
        }
        statuses
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
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// How many stages there are.
    fn stages(&self) -> u64 {
        (self.jobs.len() * self.cards) as u64
    }

    /// How often the model was asked for them.
    fn calls(&self) -> u64 {
        self.stack.model.calls() - self.calls_before
    }
}
