//! The ports on AWS: each adapter is a file, and speaks the domain's types on its outside.
//!
//! | adapter | port | service |
//! | --- | --- | --- |
//! | [`Bedrock`] | [`Model`](bedrock_diy_core::ports::Model) | Bedrock Runtime, `ConverseStream` |
//! | [`DynamoJobs`] | [`Jobs`](bedrock_diy_core::ports::Jobs) | DynamoDB; outputs in S3 |
//! | [`DynamoMemo`] | [`Memo`](bedrock_diy_core::ports::Memo) | DynamoDB; outputs in S3 |
//! | [`DynamoHistory`] | [`History`](bedrock_diy_core::ports::History) | DynamoDB; long texts in S3 |
//! | [`DynamoProjects`] | [`Projects`](bedrock_diy_core::ports::Projects) | DynamoDB; what cards say in S3 |
//! | [`DynamoQuota`] | [`ModelQuota`](bedrock_diy_core::ports::ModelQuota) | DynamoDB |
//! | [`DynamoHooks`] | [`Hooks`](bedrock_diy_core::ports::Hooks) | DynamoDB |
//! | [`DynamoWatches`] | [`Watches`](bedrock_diy_core::ports::Watches) | DynamoDB |
//! | [`Pushes`] | [`Followers`](bedrock_diy_core::ports::Followers), [`Follows`](bedrock_diy_core::ports::Follows), [`Connections`](bedrock_diy_core::ports::Connections) | API Gateway, DynamoDB |
//! | [`DynamoWebhooks`] | [`Webhooks`](bedrock_diy_core::ports::Webhooks) | DynamoDB |
//! | [`DynamoDeliveries`] | [`Deliveries`](bedrock_diy_core::ports::Deliveries) | DynamoDB |
//! | [`SqsDeliveryQueue`] | [`DeliveryQueue`](bedrock_diy_core::ports::DeliveryQueue), [`DeliveryRetries`](bedrock_diy_core::ports::DeliveryRetries) | SQS |
//! | [`ParameterStore`] | [`Secrets`](bedrock_diy_core::ports::Secrets) | Systems Manager |
//! | [`S3Objects`] | [`Objects`](bedrock_diy_core::ports::Objects) | S3 |
//! | [`S3Downloads`] | [`Downloads`](bedrock_diy_core::ports::Downloads) | S3 |
//! | [`SqsQueue`] | [`Queue`](bedrock_diy_core::ports::Queue), [`Redelivery`](bedrock_diy_core::ports::Redelivery) | SQS |
//! | [`StepFunctions`] | [`Executions`](bedrock_diy_core::ports::Executions) | Step Functions |
//! | [`EventBridge`] | [`Bus`](bedrock_diy_core::ports::Bus) | EventBridge |
//!
//! All but Bedrock come with the feature `services`: a single machine needs none of them.
//!
//! [`clients`] makes the SDK's clients, once for each process; an adapter takes one and adds nothing to
//! its configuration.
//!
//! # Calls on an article's way
//!
//! With a warm function, without quota known for the model and without a session:
//!
//! | function | calls |
//! | --- | --- |
//! | intake | `GetItem` the project, `Query` its cards, `TransactWriteItems` the job and its event, `PutEvents`, `StartExecution` |
//! | plan | `GetItem` the job, `GetObject` the file, `PutObject` its text (where the file is none), `TransactWriteItems`, `PutEvents` |
//! | stage | `GetItem` the job, `GetObject` what it works on, `GetItem` the memo, `ConverseStream`, `GetItem` whether the job is followed, `PutObject` the output, `TransactWriteItems`, `PutEvents` |
//! | stage, from the memo | `GetItem` the job, `GetObject` what it works on, `GetItem` the memo, `GetObject` the remembered output, `PutObject` the output, `TransactWriteItems`, `PutEvents` |
//! | finish | `GetItem` the job, `Query` its stages, `PutObject` the result, `TransactWriteItems`, `PutEvents` |
//!
//! Cards and pipeline revisions are immutable and read once by each process. With a session, whoever accepts a job reads
//! whose turn it is and how that job stands, and its transaction has an item more: whose turn it is now. Each stage also
//! makes a `Query` for its exchanges, and finish's transaction has two items more: the exchange, and the session's own.
//!
//! **Architecture Invariant:** no SDK type crosses a port, and each adapter maps its service's errors to
//! [`Failure`](bedrock_diy_core::error::Failure) in one function. Nobody upstream looks at an SDK error.

pub mod bedrock;
pub mod clients;

#[cfg(feature = "services")]
mod bus;
#[cfg(feature = "services")]
mod clock;
#[cfg(feature = "services")]
mod config;
#[cfg(feature = "services")]
mod connections;
#[cfg(feature = "services")]
mod deliveries;
#[cfg(feature = "services")]
mod downloads;
#[cfg(feature = "services")]
mod dynamo;
#[cfg(feature = "services")]
mod executions;
#[cfg(feature = "services")]
mod history;
#[cfg(feature = "services")]
mod hooks;
#[cfg(feature = "services")]
mod jobs;
#[cfg(feature = "services")]
mod memo;
#[cfg(feature = "services")]
mod objects;
#[cfg(feature = "services")]
mod projects;
#[cfg(feature = "services")]
mod pushes;
#[cfg(feature = "services")]
mod queue;
#[cfg(feature = "services")]
mod quota;
#[cfg(feature = "services")]
mod secrets;
#[cfg(feature = "services")]
mod storage;
#[cfg(feature = "services")]
mod trace;
#[cfg(feature = "services")]
mod uploads;
#[cfg(feature = "services")]
mod watches;
#[cfg(feature = "services")]
mod webhooks;

#[cfg(feature = "services")]
pub use self::{
    bus::{EventBridge, SOURCE},
    clock::SystemClock,
    config::{
        ApiConfig, Buckets, Config, DeliveriesConfig, EntryConfig, IntakeConfig, IssuerConfig, SocketConfig,
        Tables,
    },
    deliveries::{DynamoDeliveries, SqsDeliveryQueue},
    downloads::{DOWNLOADS, S3Downloads},
    executions::StepFunctions,
    history::DynamoHistory,
    hooks::DynamoHooks,
    jobs::DynamoJobs,
    memo::DynamoMemo,
    objects::S3Objects,
    projects::DynamoProjects,
    pushes::Pushes,
    queue::SqsQueue,
    quota::DynamoQuota,
    secrets::ParameterStore,
    uploads::S3Uploads,
    watches::DynamoWatches,
    webhooks::DynamoWebhooks,
};
pub use bedrock::Bedrock;
