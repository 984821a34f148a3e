//! A deployment's ports, as its functions use them.

use std::sync::Arc;

use bedrock_diy_aws::{
    ApiConfig, Bedrock, Config, DeliveriesConfig, DynamoDeliveries, DynamoHistory, DynamoHooks, DynamoJobs,
    DynamoMemo, DynamoProjects, DynamoQuota, DynamoWatches, DynamoWebhooks, EntryConfig, EventBridge,
    IntakeConfig, IssuerConfig, ParameterStore, Pushes, S3Downloads, S3Objects, S3Uploads, SocketConfig,
    SqsDeliveryQueue, SqsQueue, StepFunctions, SystemClock,
    clients::{self, Services},
};
use bedrock_diy_core::{
    catalogue::Catalogue,
    error::Result,
    ports::{Bus, Model},
};

use crate::metrics::{MeteredBus, MeteredModel, Metrics};

/// The services and names of a deployment; each port is made when it is asked for.
pub struct Deployment {
    services: Services,
    config: Config,
    metrics: Metrics,
}

impl Deployment {
    pub(crate) fn from_environment() -> Result<Self> {
        let config = Config::from_environment()?;
        Ok(Self {
            services: clients::services(),
            config,
            metrics: Metrics::from_environment(),
        })
    }

    /// The time.
    #[must_use]
    pub fn clock(&self) -> Arc<SystemClock> {
        Arc::new(SystemClock)
    }

    /// Projects and cards.
    #[must_use]
    pub fn projects(&self) -> Arc<DynamoProjects> {
        let projects = DynamoProjects::new(self.services.dynamodb.clone(), self.s3(), &self.config);
        Arc::new(projects)
    }

    /// Jobs.
    #[must_use]
    pub fn jobs(&self) -> Arc<DynamoJobs> {
        Arc::new(DynamoJobs::new(
            self.services.dynamodb.clone(),
            self.s3(),
            &self.config,
        ))
    }

    /// Texts.
    #[must_use]
    pub fn objects(&self) -> Arc<S3Objects> {
        Arc::new(self.s3())
    }

    /// Answers that were paid for.
    #[must_use]
    pub fn memo(&self) -> Arc<DynamoMemo> {
        Arc::new(DynamoMemo::new(
            self.services.dynamodb.clone(),
            self.s3(),
            &self.config,
        ))
    }

    /// Chat history.
    #[must_use]
    pub fn history(&self) -> Arc<DynamoHistory> {
        Arc::new(DynamoHistory::new(
            self.services.dynamodb.clone(),
            self.s3(),
            &self.config,
        ))
    }

    /// Inbound hooks.
    #[must_use]
    pub fn hooks(&self) -> Arc<DynamoHooks> {
        Arc::new(DynamoHooks::new(self.services.dynamodb.clone(), &self.config))
    }

    /// Their secrets.
    #[must_use]
    pub fn secrets(&self) -> Arc<ParameterStore> {
        Arc::new(ParameterStore::new(self.services.ssm.clone(), &self.config))
    }

    /// Outbound webhooks.
    #[must_use]
    pub fn webhooks(&self) -> Arc<DynamoWebhooks> {
        let client = self.services.dynamodb.clone();
        Arc::new(DynamoWebhooks::new(client, &self.config))
    }

    /// The log of deliveries to them.
    #[must_use]
    pub fn deliveries(&self) -> Arc<DynamoDeliveries> {
        let client = self.services.dynamodb.clone();
        Arc::new(DynamoDeliveries::new(client, &self.config))
    }

    /// The queue of deliveries.
    #[must_use]
    pub fn delivery_queue(&self, config: &DeliveriesConfig) -> Arc<SqsDeliveryQueue> {
        Arc::new(SqsDeliveryQueue::new(self.services.sqs.clone(), config))
    }

    /// Tickets for uploads.
    #[must_use]
    pub fn uploads(&self) -> Arc<S3Uploads> {
        Arc::new(S3Uploads::new(self.services.s3.clone(), &self.config))
    }

    /// Files that are too large for an answer.
    #[must_use]
    pub fn downloads(&self) -> Arc<S3Downloads> {
        Arc::new(S3Downloads::new(self.services.s3.clone(), &self.config))
    }

    /// Who is told; what is told is counted.
    #[must_use]
    pub fn bus(&self) -> Arc<dyn Bus> {
        let bus = EventBridge::new(self.services.eventbridge.clone(), self.config.event_bus.clone());
        Arc::new(MeteredBus {
            bus,
            metrics: self.metrics.clone(),
        })
    }

    /// News of jobs.
    #[must_use]
    pub fn watches(&self) -> Arc<DynamoWatches> {
        let client = self.services.dynamodb.clone();
        Arc::new(DynamoWatches::new(client, &self.config, self.clock()))
    }

    /// Who follows over a connection.
    pub fn pushes(&self) -> Result<Arc<Pushes>> {
        let config = SocketConfig::from_environment()?;
        Ok(Arc::new(Pushes::new(
            clients::gateway_of_lambda(&config.endpoint),
            self.services.dynamodb.clone(),
            &self.config,
            self.clock(),
            self.jobs(),
            self.watches(),
        )))
    }

    /// The models' quota.
    #[must_use]
    pub fn quota(&self, catalogue: Arc<Catalogue>) -> Arc<DynamoQuota> {
        Arc::new(DynamoQuota::new(
            self.services.dynamodb.clone(),
            catalogue,
            &self.config,
        ))
    }

    /// What is known about models.
    pub fn catalogue(&self) -> Result<Arc<Catalogue>> {
        Catalogue::own().map(Arc::new)
    }

    /// Bedrock; its calls are counted.
    #[must_use]
    pub fn model(&self) -> Arc<dyn Model> {
        let client = clients::bedrock_of_lambda();
        Arc::new(MeteredModel {
            model: Arc::new(Bedrock::new(client)),
            metrics: self.metrics.clone(),
        })
    }

    /// What intake needs besides.
    pub fn intake(&self) -> Result<IntakeConfig> {
        IntakeConfig::from_environment()
    }

    /// What deliveries to webhooks need besides.
    pub fn deliveries_config(&self) -> Result<DeliveriesConfig> {
        DeliveriesConfig::from_environment()
    }

    /// What the API needs besides.
    pub fn api(&self) -> Result<ApiConfig> {
        ApiConfig::from_environment()
    }

    /// Whose tokens are taken.
    pub fn issuer(&self) -> Result<IssuerConfig> {
        IssuerConfig::from_environment()
    }

    /// The intake queues.
    #[must_use]
    pub fn queue(&self, entry: &EntryConfig) -> Arc<SqsQueue> {
        let (bulk, live) = (entry.bulk_queue.clone(), entry.live_queue.clone());
        Arc::new(SqsQueue::new(self.services.sqs.clone(), bulk, live))
    }

    /// The state machine.
    #[must_use]
    pub fn executions(&self, entry: &EntryConfig) -> Arc<StepFunctions> {
        Arc::new(StepFunctions::new(
            self.services.sfn.clone(),
            entry.state_machine.clone(),
        ))
    }

    fn s3(&self) -> S3Objects {
        S3Objects::new(self.services.s3.clone(), self.config.buckets.clone())
    }
}
