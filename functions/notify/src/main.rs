//! The notify function: wiring.

use bedrock_diy_lambda::{Error, messages::each, run, start};
use bedrock_diy_notify::{Notify, ToWebhooks};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let deployment = start()?;
    let config = deployment.deliveries_config()?;
    let notify = Notify {
        webhooks: ToWebhooks {
            webhooks: deployment.webhooks(),
            deliveries: deployment.deliveries(),
            queue: deployment.delivery_queue(&config),
        },
        connections: Some(deployment.pushes()?),
    };
    run(|batch| each(batch, async |message| notify.take(&message.body).await)).await
}
