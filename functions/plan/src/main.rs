//! The plan function: wiring.

use bedrock_diy_lambda::{Error, run, start};
use bedrock_diy_plan::Plan;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let deployment = start()?;
    let plan = Plan {
        projects: deployment.projects(),
        jobs: deployment.jobs(),
        objects: deployment.objects(),
        bus: deployment.bus(),
        clock: deployment.clock(),
    };
    run(|cursor| plan.handle(cursor)).await
}
