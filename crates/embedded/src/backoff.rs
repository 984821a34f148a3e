use std::time::Duration;

use tokio::{sync::watch, time};

/// Pauses between tries of something that time may heal, each about twice as long as the one before.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after so many failures before this one: a second, two, four and so on up to 64. Drawn
    /// from the upper half of that, so that many who failed together do not come back together.
    #[must_use]
    pub fn after(failures: u32) -> Duration {
        const DOUBLINGS: u32 = 6;
        let most = 1_000_u64 << failures.min(DOUBLINGS);
        Duration::from_millis(rand::random_range(most / 2..=most))
    }

    /// Whether nothing has failed since the last success.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.failures == 0
    }

    /// It worked: the next pause is a short one again.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Waits after a failure, but no longer than until `stop` says true; returns whether it does.
    pub async fn pause(&mut self, stop: &mut watch::Receiver<bool>) -> bool {
        let pause = Self::after(self.failures);
        self.failures = self.failures.saturating_add(1);
        tokio::select! {
            () = time::sleep(pause) => {}
            // Fails where nobody is left who could say stop: the pause counts then.
            Ok(_) = stop.wait_for(|stop| *stop) => {}
        }
        *stop.borrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_about_a_minute() {
        for (failures, most) in [
            (0, 1_000),
            (1, 2_000),
            (5, 32_000),
            (6, 64_000),
            (u32::MAX, 64_000),
        ] {
            let pause = Backoff::after(failures).as_millis();
            assert!((most / 2..=most).contains(&pause), "{failures}: {pause} ms");
        }
    }

    #[tokio::test]
    async fn a_stop_ends_a_pause() {
        let (stopper, mut stop) = watch::channel(false);
        let mut backoff = Backoff { failures: 6 };
        let (stopped, _) = tokio::join!(backoff.pause(&mut stop), async { stopper.send(true) });
        assert!(stopped);
    }
}
