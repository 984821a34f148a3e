//! A queue of the test's own, to hear what a stack says.

use std::time::Instant;

use aws_sdk_eventbridge::types::Target;
use aws_sdk_sqs::types::QueueAttributeName;
use bedrock_diy_aws::clients::Services;
use bedrock_diy_core::ProjectId;
use serde_json::json;

use crate::wait::PATIENCE;

/// A queue in SQS.
pub struct Inbox {
    services: Services,
    name: String,
    url: String,
}

impl Inbox {
    /// Makes one of this name.
    pub async fn open(services: &Services, name: &str) -> Self {
        let made = services.sqs.create_queue().queue_name(name).send().await.unwrap();
        Self::of(services, name, made.queue_url.unwrap())
    }

    /// One that is there.
    #[must_use]
    pub fn of(services: &Services, name: &str, url: String) -> Self {
        Self {
            services: services.clone(),
            name: name.to_owned(),
            url,
        }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Has it get every event of a project from now on.
    pub async fn subscribe(&self, bus: &str, project: &ProjectId) {
        let events = &self.services.eventbridge;
        let attributes = self.services.sqs.get_queue_attributes().queue_url(&self.url);
        let attributes = attributes
            .attribute_names(QueueAttributeName::QueueArn)
            .send()
            .await;
        let arn = &attributes.unwrap().attributes.unwrap()[&QueueAttributeName::QueueArn];
        let pattern = json!({"source": [bedrock_diy_aws::SOURCE], "detail": {"projectId": [project]}});
        let rule = events.put_rule().name(&self.name).event_bus_name(bus);
        rule.event_pattern(pattern.to_string()).send().await.unwrap();
        let target = Target::builder().id("queue").arn(arn).build().unwrap();
        let targets = events.put_targets().rule(&self.name).event_bus_name(bus);
        targets.targets(target).send().await.unwrap();
    }

    /// Every message's body, until no more comes for a while.
    pub async fn receive_all(&self) -> Vec<String> {
        self.receive_until(|_| true).await
    }

    /// Every message's body, until they are enough and no more comes for a while.
    pub async fn receive_until(&self, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
        let sqs = &self.services.sqs;
        let began = Instant::now();
        let mut bodies = Vec::new();
        loop {
            let receive = sqs
                .receive_message()
                .queue_url(&self.url)
                .max_number_of_messages(10);
            let received = receive.wait_time_seconds(2).send().await.unwrap();
            let messages = received.messages.unwrap_or_default();
            if messages.is_empty() {
                if enough(&bodies) {
                    return bodies;
                }
                assert!(
                    began.elapsed() < PATIENCE,
                    "{} has got no more than this: {bodies:?}",
                    self.name
                );
            }
            for message in messages {
                bodies.extend(message.body);
                let delete = sqs.delete_message().queue_url(&self.url);
                delete
                    .set_receipt_handle(message.receipt_handle)
                    .send()
                    .await
                    .unwrap();
            }
        }
    }
}
