//! The API function: wiring.

use std::sync::Arc;

use bedrock_diy_api::{Api, Ports, Settings};
use bedrock_diy_identity::{Oidc, OidcConfig};
use bedrock_diy_lambda::{Error, serve, start};
use bedrock_diy_sender::HttpSender;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let deployment = start()?;
    let (config, deliveries) = (deployment.api()?, deployment.deliveries_config()?);
    let ports = Ports {
        projects: deployment.projects(),
        jobs: deployment.jobs(),
        job_index: deployment.jobs(),
        objects: deployment.objects(),
        uploads: deployment.uploads(),
        downloads: Some(deployment.downloads()),
        history: deployment.history(),
        hooks: deployment.hooks(),
        webhooks: deployment.webhooks(),
        deliveries: deployment.deliveries(),
        delivery_queue: deployment.delivery_queue(&deliveries),
        sender: Arc::new(HttpSender::new(deliveries.to_this_machine)),
        secrets: deployment.secrets(),
        model: deployment.model(),
        queue: deployment.queue(&config.entry),
        executions: deployment.executions(&config.entry),
        bus: deployment.bus(),
        watches: deployment.watches(),
        clock: deployment.clock(),
    };
    let settings = Settings::new(config.entry.default_model, &config.cors_origins)?;
    let issuer = OidcConfig::with_keys(config.issuer, config.audiences, config.keys_url);
    let identity = Arc::new(Oidc::new(issuer, deployment.clock())?);
    let api = Api::new(ports, deployment.catalogue()?, settings);
    serve(api.router(identity)).await
}
