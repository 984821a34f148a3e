//! The finish function: wiring.

use bedrock_diy_finish::Finish;
use bedrock_diy_lambda::{Error, run, start};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let deployment = start()?;
    let finish = Finish {
        jobs: deployment.jobs(),
        objects: deployment.objects(),
        bus: deployment.bus(),
        clock: deployment.clock(),
    };
    run(|request| finish.answer(request)).await
}
