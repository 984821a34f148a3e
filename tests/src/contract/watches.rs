use std::time::Duration;

use bedrock_diy_core::ports::{Applied, Bus, Followers, Jobs, Watches};
use tokio::time;

use super::{acceptance, now};

/// How long a contract waits for what MUST come soon.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whoever waits hears soon of what was stored, be it told to a bus of this process or not: another process may have
/// stored it.
pub async fn news_are_heard_of_soon(jobs: &dyn Jobs, bus: Option<&dyn Bus>, watches: &dyn Watches) {
    let accepted = acceptance(if bus.is_some() { "told" } else { "untold" });
    jobs.accept(accepted.clone()).await.unwrap();
    let job = accepted.job;
    let mut watch = watches.watch(&job.job_id);
    let hears = async {
        while jobs
            .events(&job.job_id, job.version, 10)
            .await
            .unwrap()
            .is_empty()
        {
            watch.changed(2 * PATIENCE).await;
        }
    };
    let stores = async {
        let Applied::Done(_, events) = jobs.apply(job.cancel("test", now())).await.unwrap() else {
            panic!("nobody else has changed it");
        };
        if let Some(bus) = bus {
            bus.publish(&events).await.unwrap();
        }
    };
    let (heard, ()) = tokio::join!(time::timeout(PATIENCE, hears), stores);
    assert!(heard.is_ok(), "{} s without a word", PATIENCE.as_secs());
}

/// A job is followed once somebody has waited for news of it, and no other one is.
pub async fn whoever_watches_follows(watches: &dyn Watches, followers: &dyn Followers) {
    let (followed, other) = (acceptance("followed").job.job_id, acceptance("other").job.job_id);
    assert!(!followers.has(&followed).await.unwrap());
    let heard = async {
        while !followers.has(&followed).await.unwrap() {
            followers.comes(&followed).await;
        }
    };
    let begins = async {
        let mut watch = watches.watch(&followed);
        watch.changed(Duration::ZERO).await;
        watch
    };
    let (heard, _watch) = tokio::join!(time::timeout(PATIENCE, heard), begins);
    assert!(heard.is_ok(), "{} s without a word", PATIENCE.as_secs());
    assert!(followers.has(&followed).await.unwrap());
    assert!(!followers.has(&other).await.unwrap());
}
