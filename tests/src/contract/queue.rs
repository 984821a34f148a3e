use std::future::Future;

use bedrock_diy_core::{
    article::{Bucket, ObjectRef},
    intake::{Drop, IntakeMessage, Lane},
    ports::Queue,
};

/// Everything that was sent is received, each lane for itself.
pub async fn what_is_sent_is_received<F: Future<Output = Vec<String>>>(
    queue: &dyn Queue,
    receive_all: impl Fn(Lane) -> F,
) {
    let message = |number: usize| {
        let key = format!("inbox/p/b/{number}.txt");
        IntakeMessage::Drop(Drop {
            object: ObjectRef {
                bucket: Bucket::Articles,
                key,
                version: None,
                size: 1,
            },
        })
    };
    queue
        .send(Lane::Bulk, (0..25).map(message).collect())
        .await
        .unwrap();
    queue.send(Lane::Live, vec![message(99)]).await.unwrap();
    let mut received = receive_all(Lane::Bulk).await;
    received.sort();
    let mut sent: Vec<_> = (0..25)
        .map(|number| serde_json::to_string(&message(number)).unwrap())
        .collect();
    sent.sort();
    assert_eq!(received, sent);
    assert_eq!(
        receive_all(Lane::Live).await,
        [serde_json::to_string(&message(99)).unwrap()]
    );
}
