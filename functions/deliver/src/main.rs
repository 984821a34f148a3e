//! The deliver function: wiring.

use bedrock_diy_deliver::{Deliver, Messages, Received};
use bedrock_diy_lambda::{Error, messages::each, run, start};
use bedrock_diy_sender::HttpSender;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let deployment = start()?;
    let config = deployment.deliveries_config()?;
    let queue = deployment.delivery_queue(&config);
    let messages = Messages {
        deliver: Deliver {
            webhooks: deployment.webhooks(),
            deliveries: deployment.deliveries(),
            secrets: deployment.secrets(),
            sender: std::sync::Arc::new(HttpSender::new(config.to_this_machine)),
            bus: deployment.bus(),
            clock: deployment.clock(),
        },
        retries: queue,
    };
    let received = |message: bedrock_diy_lambda::messages::Message| Received {
        body: message.body,
        receipt: message.receipt,
        receives: message.receives,
    };
    run(|batch| each(batch, async |message| messages.handle(&received(message)).await)).await
}
