//! The intake function: wiring.

use bedrock_diy_intake::{Intake, sqs::Batches};
use bedrock_diy_lambda::{Error, run, start};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let deployment = start()?;
    let config = deployment.intake()?;
    let intake = Intake {
        projects: deployment.projects(),
        jobs: deployment.jobs(),
        objects: deployment.objects(),
        executions: deployment.executions(&config.entry),
        bus: deployment.bus(),
        clock: deployment.clock(),
        default_model: config.entry.default_model.clone(),
    };
    let batches = Batches {
        intake,
        redelivery: deployment.queue(&config.entry),
        live_queue: config.entry.live_queue.clone(),
        max_receives: config.max_receives,
    };
    run(|event| batches.handle(event)).await
}
