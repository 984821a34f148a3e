//! The API function: wiring.

use bedrock_diy_api::deployed;
use bedrock_diy_lambda::{Error, serve, start};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let deployment = start()?;
    let identity = deployed::identity(&deployment)?;
    serve(deployed::api(&deployment)?.router(identity)).await
}
