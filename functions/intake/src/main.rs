//! The intake function: wiring.

use bedrock_diy_intake::{
    Intake,
    sqs::{Messages, Received},
};
use bedrock_diy_lambda::{Error, messages::each, run, start};

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
    let messages = Messages {
        intake,
        redelivery: deployment.queue(&config.entry),
        live_queue: config.entry.live_queue.clone(),
        max_receives: config.max_receives,
    };
    let received = |message: bedrock_diy_lambda::messages::Message| Received {
        queue: message.queue,
        body: message.body,
        receipt: message.receipt,
        receives: message.receives,
    };
    run(|batch| each(batch, async |message| messages.handle(&received(message)).await)).await
}
