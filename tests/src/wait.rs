//! Waiting for what comes sooner or later: a test that guesses when, fails on a machine that is busy.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long a test waits for what should come, on a machine that is busy with other tests, too.
pub const PATIENCE: Duration = Duration::from_mins(4);

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Between two questions to a service: each costs more than a look.
pub const ASK_AGAIN: Duration = Duration::from_millis(200);

/// Waits until it is so.
#[track_caller]
pub fn until(mut is_so: impl FnMut() -> bool) {
    found(|| is_so().then_some(()));
}

/// Waits until a look finds something, and returns it.
#[track_caller]
pub fn found<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        still_waits(began);
        thread::sleep(LOOK_AGAIN);
    }
}

/// Waits until a service that is asked has something, and returns it.
pub async fn asked<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        still_waits(began);
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

#[track_caller]
fn still_waits(began: Instant) {
    assert!(
        began.elapsed() < PATIENCE,
        "what is waited for has not come within {} s",
        PATIENCE.as_secs()
    );
}
