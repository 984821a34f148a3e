//! The socket function: wiring.

use bedrock_diy_api::deployed;
use bedrock_diy_lambda::{Error, run, start};
use bedrock_diy_socket::Gateway;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let deployment = start()?;
    let connections = deployment.pushes()?;
    let gateway = Gateway {
        socket: deployed::api(&deployment)?.socket(connections.clone()),
        connections,
    };
    run(|happened| gateway.handle(happened)).await
}
