//! A function that does nothing but make four calls: what the functions' bench holds the others against.

use aws_sdk_dynamodb::types::AttributeValue;
use bedrock_diy_aws::{Config, clients};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

const CALLS: usize = 4;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_environment()?;
    let services = clients::services();
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        let job = event.payload["jobId"].as_str().unwrap_or_default();
        for _ in 0..CALLS {
            let get = services.dynamodb.get_item().table_name(&config.tables.jobs);
            let get = get.key("jobId", AttributeValue::S(job.to_owned()));
            let get = get.key("item", AttributeValue::S("JOB".to_owned()));
            get.send().await?;
        }
        Ok::<_, Error>(CALLS)
    }))
    .await
}
