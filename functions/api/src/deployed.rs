//! The API of a deployment, put together: for the function that answers requests, and for the one that answers
//! messages.

use std::sync::Arc;

use bedrock_diy_core::error::Result;
use bedrock_diy_identity::{Oidc, OidcConfig};
use bedrock_diy_lambda::Deployment;
use bedrock_diy_sender::HttpSender;

use crate::{Api, Ports, Settings};

/// The API over a deployment's ports.
pub fn api(deployment: &Deployment) -> Result<Arc<Api>> {
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
    Ok(Arc::new(Api::new(ports, deployment.catalogue()?, settings)))
}

/// Who says whose a token is.
pub fn identity(deployment: &Deployment) -> Result<Arc<Oidc>> {
    let config = deployment.issuer()?;
    let issuer = OidcConfig::with_keys(config.issuer, config.audiences, config.keys_url);
    Ok(Arc::new(Oidc::new(issuer, deployment.clock())?))
}
