use bedrock_diy_core::{ports::ModelQuota, quota::Place, time::Timestamp};

use super::now;

/// A moment so many seconds after the first.
fn after(seconds: i64) -> Timestamp {
    now().plus_millis(seconds * 1_000)
}

/// Where nothing is known of a quota and nobody was throttled, nobody waits.
pub async fn a_model_without_a_quota_lets_everybody_call(quota: &dyn ModelQuota) {
    for number in 0..5 {
        let holder = format!("free#{number}");
        let due = quota
            .reserve("acme.free-v1:0", 1_000, &holder, Place::Last, now())
            .await
            .unwrap();
        assert_eq!(due, now());
        quota.answered("acme.free-v1:0", &holder, now()).await.unwrap();
    }
}

/// After a throttle everybody waits, in the order in which they came, and each is found at their place.
/// `model` is one that nobody else asks for.
pub async fn after_a_throttle_all_wait_their_turn(quota: &dyn ModelQuota, model: &str) {
    let reserve = async |holder: &str, at| quota.reserve(model, 10, holder, Place::Last, at).await.unwrap();
    assert_eq!(reserve("job#1", now()).await, now());
    quota.throttled(model, "job#1", now(), Some(5)).await.unwrap();
    let first = reserve("job#1", now()).await;
    let second = reserve("job#2", now()).await;
    let third = reserve("job#3", now()).await;
    assert!(
        after(5) <= first && first < second && second < third,
        "{first} {second} {third}"
    );
    // Who comes back has kept the place.
    assert_eq!(reserve("job#2", now()).await, second);
    // Who leaves is waited for by nobody.
    quota.leave(model, "job#2", now()).await.unwrap();
    quota.leave(model, "job#2", now()).await.unwrap();
    assert!(reserve("job#3", now()).await < third);
    // Who goes on with an answer that is paid comes before all who wait.
    let paid = quota
        .reserve(model, 10, "job#4", Place::First, now())
        .await
        .unwrap();
    assert!(paid < reserve("job#3", now()).await);
    // In the end it is everybody's turn.
    let late = after(60);
    for holder in ["job#1", "job#4", "job#3"] {
        assert_eq!(reserve(holder, late).await, late, "{holder}");
        quota.answered(model, holder, late).await.unwrap();
    }
}
