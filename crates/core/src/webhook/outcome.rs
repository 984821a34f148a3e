//! What an attempt changes: the delivery, and the webhook that it is to.

use super::{Attempt, Delivery, DeliveryFailure, DeliveryStatus, Webhook};
use crate::{limits, time::Timestamp};

/// Between an attempt that failed and the next one, in seconds, by how many of the round have failed. Together they
/// are a little less than a day; none is longer than the 12 hours for which SQS hides a message at most
/// (`ChangeMessageVisibility`, Amazon SQS API reference, 2026-11).
const PAUSES: [u32; 11] = [
    5, 30, 120, 600, 1_800, 3_600, 7_200, 10_800, 14_400, 21_600, 23_400,
];

/// By how much a pause may be shorter, as a part of it: receivers that come back are not met by everything at once.
const JITTER: f64 = 0.2;

/// What is to be stored after an attempt, all or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The delivery with the attempt.
    pub delivery: Delivery,
    /// The webhook, where it changes.
    pub webhook: Option<Webhook>,
}

/// What an attempt makes of a delivery and its webhook, as they stand. `randomness` is from 0 to 1.
///
/// An attempt at a delivery that has ended meanwhile is added to it, and changes nothing else: but what was delivered
/// is delivered.
#[must_use]
pub fn after(delivery: &Delivery, webhook: &Webhook, attempt: &Attempt, randomness: f64) -> Recorded {
    let changed = webhook.after(attempt);
    let now = attempt.ended_at();
    let since = delivery.since.unwrap_or(attempt.at);
    let mut next = Delivery {
        since: Some(since),
        next_attempt_at: None,
        version: delivery.version + 1,
        ..delivery.clone()
    };
    next.attempts.push(attempt.clone());
    let is_active = changed.as_ref().unwrap_or(webhook).is_active;
    if attempt.is_success() {
        next.status = DeliveryStatus::Delivered;
        next.failure = None;
    } else if next.status == DeliveryStatus::Pending {
        let failure = if attempt.is_gone() {
            Some(DeliveryFailure::Gone)
        } else if !is_active {
            Some(DeliveryFailure::Disabled)
        } else {
            next.next_attempt_at = next_attempt(&next.attempts, since, now, randomness);
            next.next_attempt_at.is_none().then_some(DeliveryFailure::GaveUp)
        };
        if let Some(failure) = failure {
            next.status = DeliveryStatus::Failed;
            next.failure = Some(failure);
        }
    }
    Recorded {
        delivery: next,
        webhook: changed,
    }
}

/// When the next attempt is due; none where a day is over with it.
fn next_attempt(
    attempts: &[Attempt],
    since: Timestamp,
    now: Timestamp,
    randomness: f64,
) -> Option<Timestamp> {
    let made = attempts.iter().filter(|attempt| attempt.at >= since).count();
    let pause = PAUSES.get(made.checked_sub(1)?)?;
    let shorter = 1.0 - JITTER * randomness.clamp(0.0, 1.0);
    #[expect(clippy::cast_possible_truncation, reason = "a pause is some hours at most")]
    let millis = (f64::from(*pause) * 1_000.0 * shorter) as i64;
    let at = now.plus_millis(millis);
    (at.millis_since(since) <= limits::WEBHOOK_PATIENCE_SECONDS * 1_000).then_some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::delivery::samples::{attempt, delivery, now, webhook},
        *,
    };

    #[test]
    fn what_the_receiver_takes_is_delivered() {
        let recorded = after(&delivery(), &webhook(), &attempt(202), 0.5);
        assert_eq!(recorded.delivery.status, DeliveryStatus::Delivered);
        assert_eq!(recorded.delivery.attempts.len(), 1);
        assert_eq!(recorded.webhook, None);
    }

    #[test]
    fn neither_a_redirect_nor_silence_is_an_answer() {
        let silence = Attempt {
            status: None,
            error: Some("no answer within 10 seconds".into()),
            ..attempt(0)
        };
        for failed in [attempt(302), attempt(304), attempt(400), attempt(503), silence] {
            let recorded = after(&delivery(), &webhook(), &failed, 0.5);
            assert_eq!(recorded.delivery.status, DeliveryStatus::Pending);
            assert_eq!(recorded.webhook.unwrap().failures_in_a_row, 1);
        }
    }

    #[test]
    fn a_receiver_that_is_gone_ends_the_delivery_and_disables_the_webhook() {
        let recorded = after(&delivery(), &webhook(), &attempt(410), 0.5);
        assert_eq!(recorded.delivery.failure, Some(DeliveryFailure::Gone));
        assert!(!recorded.webhook.unwrap().is_active);
    }

    #[test]
    fn what_disables_the_webhook_ends_the_delivery_too() {
        let failing = Webhook {
            failures_in_a_row: limits::WEBHOOK_FAILURES - 1,
            ..webhook()
        };
        let recorded = after(&delivery(), &failing, &attempt(500), 0.5);
        assert_eq!(recorded.delivery.failure, Some(DeliveryFailure::Disabled));
    }

    #[test]
    fn an_attempt_that_comes_late_is_noted_and_changes_nothing() {
        let delivered = after(&delivery(), &webhook(), &attempt(200), 0.5).delivery;
        let late = after(&delivered, &webhook(), &attempt(500), 0.5).delivery;
        assert_eq!(late.status, DeliveryStatus::Delivered);
        assert_eq!(late.attempts.len(), 2);
        let ended = delivery().ended(DeliveryFailure::Disabled);
        let arrived = after(&ended, &webhook(), &attempt(200), 0.5).delivery;
        assert_eq!(
            (arrived.status, arrived.failure),
            (DeliveryStatus::Delivered, None)
        );
    }

    /// All moments at which a delivery is tried that is never taken, from the first on.
    fn tried(randomness: f64, millis: u64) -> Vec<Timestamp> {
        let (mut stands, mut at, mut moments) = (delivery(), now(), Vec::new());
        while stands.status == DeliveryStatus::Pending {
            moments.push(at);
            let failed = Attempt {
                at,
                millis,
                ..attempt(500)
            };
            stands = after(&stands, &webhook(), &failed, randomness).delivery;
            at = stands.next_attempt_at.unwrap_or(at);
        }
        assert_eq!(stands.failure, Some(DeliveryFailure::GaveUp));
        assert_eq!(stands.attempts.len(), moments.len());
        moments
    }

    proptest! {
        #[test]
        fn a_delivery_is_tried_for_most_of_a_day_and_no_longer(randomness in 0.0..=1.0, millis in 0_u64..=10_000) {
            let moments = tried(randomness, millis);
            let whole = moments.last().unwrap().millis_since(now()) / 1_000;
            prop_assert!((18 * 3_600..=limits::WEBHOOK_PATIENCE_SECONDS).contains(&whole), "{} s", whole);
            prop_assert!(moments.len() >= 11);
            for pair in moments.windows(2) {
                let pause = pair[1].millis_since(pair[0]);
                prop_assert!((4_000..12 * 3_600 * 1_000).contains(&pause), "{} ms", pause);
            }
        }
    }

    #[test]
    fn another_round_begins_with_short_pauses_again() {
        let mut stands = after(&delivery(), &webhook(), &attempt(500), 0.0).delivery;
        stands = stands.again().unwrap();
        let later = now().plus_millis(3_600_000);
        let failed = Attempt {
            at: later,
            ..attempt(500)
        };
        stands = after(&stands, &webhook(), &failed, 0.0).delivery;
        let next = stands.next_attempt_at.unwrap();
        assert_eq!(next.millis_since(later), 5_020);
    }
}
