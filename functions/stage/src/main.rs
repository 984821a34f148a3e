//! The stage function: wiring.

use bedrock_diy_lambda::{Error, run, start};
use bedrock_diy_stage::{Ports, Questions, Stage};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let deployment = start()?;
    let catalogue = deployment.catalogue()?;
    let ports = Ports {
        projects: deployment.projects(),
        jobs: deployment.jobs(),
        objects: deployment.objects(),
        memo: deployment.memo(),
        history: deployment.history(),
        model: deployment.model(),
        quota: deployment.quota(catalogue.clone()),
        bus: deployment.bus(),
        followers: deployment.pushes()?,
        clock: deployment.clock(),
        questions: Questions::default(),
    };
    let stage = Stage::new(ports, catalogue);
    run(|cursor| stage.handle(cursor)).await
}
