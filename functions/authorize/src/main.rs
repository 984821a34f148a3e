//! The authorize function: wiring.

use bedrock_diy_api::deployed;
use bedrock_diy_authorize::Authorize;
use bedrock_diy_lambda::{Error, run, start};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let identity = deployed::identity(&start()?)?;
    let authorize = Authorize { identity };
    run(|request| authorize.handle(request)).await
}
