//! The deployment on a local AWS: `template.yaml` as it is, the functions as they are, on this machine.
//!
//! The local AWS is `ministack`; what it lacks is added on its side (`tests/local_aws/start.py`). The
//! functions run as Lambda would run them, and ask a model server that stands in for Bedrock.

mod deploy;
mod drop;
mod local_aws;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bedrock_diy_aws::{
    Buckets, Config, DynamoJobs, DynamoProjects, S3Objects, Tables,
    clients::{self, Services},
};
use serde::{Deserialize, Serialize};

pub use deploy::Tools;
pub use drop::{Dropped, drop_articles};
pub use local_aws::{Endpoint, LocalAws, REGION};

/// A result whose error is for the person in front of the terminal.
pub type Outcome<T = ()> = Result<T, String>;

/// A deployed stack: where it is, and what it is made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stack {
    /// The local AWS's address.
    pub url: String,
    /// The model server's address.
    pub model: String,
    /// The template's outputs.
    pub outputs: BTreeMap<String, String>,
}

impl Stack {
    /// Deploys to a local AWS whose functions ask this model server.
    pub async fn deploy(tools: &Tools, local: &LocalAws, model: &str) -> Outcome<Self> {
        Ok(Self {
            url: local.url(),
            model: model.to_owned(),
            outputs: tools.deploy(local).await?,
        })
    }

    /// One that another process has deployed, and has written down here.
    pub fn read(file: &Path) -> Outcome<Self> {
        let json =
            std::fs::read(file).map_err(|error| format!("{} can't be read: {error}", file.display()))?;
        serde_json::from_slice(&json).map_err(|error| format!("{} names no stack: {error}", file.display()))
    }

    /// Writes it down for other processes.
    pub fn write(&self, file: &Path) -> Outcome {
        let failed = |error: &dyn std::fmt::Display| format!("{} can't be written: {error}", file.display());
        let json = serde_json::to_vec_pretty(self).map_err(|error| failed(&error))?;
        // Whoever waits for the file finds it whole.
        let part = file.with_extension("part");
        std::fs::write(&part, json)
            .and_then(|()| std::fs::rename(&part, file))
            .map_err(|error| failed(&error))
    }

    /// The value of an output of the template.
    pub fn output(&self, name: &str) -> Outcome<String> {
        let value = self.outputs.get(name).cloned();
        value.ok_or_else(|| format!("template.yaml has no output {name}"))
    }

    /// Clients of its services.
    #[must_use]
    pub fn services(&self) -> Services {
        clients::local_services(&self.url, REGION)
    }

    /// A client of the connections of its WebSocket API.
    pub fn gateway(&self) -> Outcome<aws_sdk_apigatewaymanagement::Client> {
        let api = self.output("SocketApiId")?;
        let endpoint = format!("{}/_aws/execute-api/{api}/v1", self.url);
        Ok(clients::local_gateway(&endpoint, REGION))
    }

    /// The names of its resources.
    pub fn config(&self) -> Outcome<Config> {
        Ok(Config {
            tables: Tables {
                projects: self.output("ProjectsTableName")?,
                prompts: self.output("PromptsTableName")?,
                prompt_revisions: self.output("PromptRevisionsTableName")?,
                chat_history: self.output("ChatHistoryTableName")?,
                jobs: self.output("JobsTableName")?,
                stage_memo: self.output("StageMemoTableName")?,
                model_quota: self.output("ModelQuotaTableName")?,
                webhooks: self.output("WebhooksTableName")?,
                connections: self.output("ConnectionsTableName")?,
                deliveries: self.output("DeliveriesTableName")?,
            },
            buckets: Buckets {
                prompts: self.output("PromptsBucketName")?,
                articles: self.output("ArticlesBucketName")?,
                results: self.output("ResultsBucketName")?,
            },
            event_bus: self.output("EventBusName")?,
            secrets_path: self.output("SecretsPath")?,
            retention_days: 365,
        })
    }

    /// Its texts and files.
    pub fn objects(&self) -> Outcome<S3Objects> {
        Ok(S3Objects::new(self.services().s3, self.config()?.buckets))
    }

    /// Its jobs.
    pub fn jobs(&self) -> Outcome<Arc<DynamoJobs>> {
        let jobs = DynamoJobs::new(self.services().dynamodb, self.objects()?, &self.config()?);
        Ok(Arc::new(jobs))
    }

    /// Its projects.
    pub fn projects(&self) -> Outcome<Arc<DynamoProjects>> {
        let projects = DynamoProjects::new(self.services().dynamodb, self.objects()?, &self.config()?);
        Ok(Arc::new(projects))
    }
}
