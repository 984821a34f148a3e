//! What every Lambda shares: its start, its logs, its metrics, and how its errors look to Step Functions.
//!
//! A function's `main.rs` makes the ports of its deployment, gives them to its handler, and runs that:
//!
//! ```text
//! let deployment = bedrock_diy_lambda::start()?;
//! let plan = Plan { jobs: deployment.jobs(), … };
//! bedrock_diy_lambda::run(|cursor| plan.handle(cursor)).await
//! ```

mod deployment;
mod errors;
#[cfg(feature = "http")]
mod http;
mod log;
#[cfg(feature = "sqs")]
pub mod messages;
mod metrics;

use std::fmt::Debug;

use bedrock_diy_core::error::Result;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tracing::Instrument;

#[cfg(feature = "http")]
pub use crate::http::serve;
pub use crate::{deployment::Deployment, errors::Refused};
pub use lambda_runtime::Error;

/// Sets logs up, reads the configuration and makes the clients: once for each process.
pub fn start() -> Result<Deployment> {
    log::start();
    Deployment::from_environment()
}

/// Takes invocations for as long as the process lives. A failure's code is the error's type: what the
/// state machine's `Retry` and `Catch` go by.
pub async fn run<I, O, F>(handle: impl Fn(I) -> F) -> std::result::Result<(), Error>
where
    I: DeserializeOwned + Debug,
    O: Serialize,
    F: Future<Output = Result<O>>,
{
    let metrics = &metrics::Metrics::from_environment();
    let handle = &handle;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let context = event.context;
        let job_id = event.payload.get("jobId").and_then(Value::as_str);
        let span = tracing::info_span!(
            "invocation",
            request_id = context.request_id,
            trace_id = context.xray_trace_id.as_deref().map(log::root),
            job_id,
        );
        async move {
            let handled = match errors::parse(event.payload) {
                Ok(input) => handle(input).await,
                Err(failure) => Err(failure),
            };
            handled.map_err(|failure| {
                tracing::warn!(code = %failure.code, error = %failure, "the invocation failed");
                metrics.failed(failure.code);
                Refused::from(failure)
            })
        }
        .instrument(span)
    }))
    .await
}
