//! Model quota: who may call when, decided before the call.
//!
//! Every caller is given a *slot*: the moment from which it may call. Slots are handed out in order
//! and never shared, so that a thousand waiting stages come back one after the other, each once,
//! instead of all at once and again (a retry storm). Where nobody said what the quota is, it is
//! learnt: a throttled call halves the rate, an answered one raises it a little.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What the model service allows, per minute. `None` is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quota {
    /// Requests per minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Tokens per minute, counted as Bedrock counts them: input, and output times the burn-down rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
}

/// How the calls of one model are paced.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pace {
    /// When the next request slot is free, in milliseconds since the epoch (fractions matter: at
    /// 60,000 requests a minute a slot is a millisecond).
    next_request: f64,
    /// When the next token slot is free, likewise.
    next_tokens: f64,
    /// The learnt rate, in requests per millisecond; `None` while nobody was throttled.
    learnt: Option<f64>,
    /// When the learnt rate was last halved.
    halved_at: Option<Timestamp>,
    /// Until when nobody is to call, because the service said so.
    closed_until: Option<Timestamp>,
    /// How many calls were answered in the running second, and which second that is: what the rate is
    /// learnt from.
    answered: (i64, u32),
    /// Answered calls a second, as seen lately.
    seen: f64,
}

/// How much of the quota's own minute may be used at once, after a quiet time, in milliseconds.
const BURST_MILLIS: f64 = 1_000.0;
/// A throttle says nothing new within this time: the calls in flight were all sent at the old rate.
const HALVING_MILLIS: u64 = 1_000;
/// The slowest learnt rate: one request a second. A refused request costs nothing, and whoever asks
/// less often learns too late that the quota is free again.
const SLOWEST: f64 = 0.001;
/// Each answered call raises the learnt rate by a quarter of a request a second: by a quarter of itself
/// every second, at any rate.
const RAISE: f64 = 0.000_25;

impl Pace {
    /// Takes a slot for a call that will use about `tokens` tokens of the quota: the moment from
    /// which it may be made, `now` where there is no need to wait.
    pub fn reserve(&mut self, quota: &Quota, tokens: u64, now: Timestamp) -> Timestamp {
        let now_millis = now.millis() as f64;
        let mut slot = now_millis;
        let requests_per_milli = match (quota.requests_per_minute, self.learnt) {
            (Some(limit), Some(learnt)) => Some(learnt.min(f64::from(limit) / 60_000.0)),
            (Some(limit), None) => Some(f64::from(limit) / 60_000.0),
            (None, learnt) => learnt,
        };
        if let Some(rate) = requests_per_milli {
            self.next_request = self.next_request.max(now_millis - BURST_MILLIS) + 1.0 / rate;
            slot = slot.max(self.next_request);
        }
        if let Some(limit) = quota.tokens_per_minute {
            let rate = (limit.max(1)) as f64 / 60_000.0;
            self.next_tokens = self.next_tokens.max(now_millis - BURST_MILLIS) + tokens as f64 / rate;
            slot = slot.max(self.next_tokens);
        }
        if let Some(closed) = self.closed_until {
            slot = slot.max(closed.millis() as f64);
        }
        // Far below 2^53: milliseconds since 1970.
        #[expect(clippy::cast_possible_truncation, reason = "a moment in this century")]
        Timestamp::from_millis(slot.ceil() as i64)
    }

    /// A call was throttled: the rate is halved, once for all calls that were sent at the old rate.
    pub fn throttled(&mut self, now: Timestamp, retry_after_seconds: Option<u32>) {
        if let Some(seconds) = retry_after_seconds {
            let until = now.plus_millis(i64::from(seconds) * 1_000);
            self.closed_until = Some(self.closed_until.map_or(until, |closed| closed.max(until)));
        }
        if self
            .halved_at
            .is_some_and(|halved| now.millis_since(halved) < HALVING_MILLIS)
        {
            return;
        }
        self.halved_at = Some(now);
        let seen = (self.seen / 1_000.0).max(f64::from(self.answered.1) / 1_000.0);
        let rate = match self.learnt {
            Some(rate) => rate / 2.0,
            None => seen,
        };
        self.learnt = Some(rate.max(SLOWEST));
        self.next_request = self.next_request.max(now.millis() as f64);
    }

    /// A call was answered.
    pub fn answered(&mut self, now: Timestamp) {
        let second = now.millis().div_euclid(1_000);
        if self.answered.0 == second {
            self.answered.1 += 1;
        } else {
            self.seen = f64::from(self.answered.1);
            self.answered = (second, 1);
        }
        if let Some(rate) = &mut self.learnt {
            *rate += RAISE;
        }
    }

    /// Whether calls are paced at all.
    #[must_use]
    pub fn is_free(&self, quota: &Quota, now: Timestamp) -> bool {
        self.learnt.is_none()
            && quota.requests_per_minute.is_none()
            && quota.tokens_per_minute.is_none()
            && self.closed_until.is_none_or(|closed| closed <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000_000_000 + millis)
    }

    /// The time between two slots, once what was saved up in a quiet time is used.
    fn gap_at(pace: &mut Pace, now: Timestamp) -> u64 {
        let slots: Vec<_> = (0..200)
            .map(|_| pace.reserve(&Quota::default(), 0, now))
            .collect();
        slots[199].millis_since(slots[198])
    }

    #[test]
    fn without_a_quota_nobody_waits() {
        let mut pace = Pace::default();
        assert!((0..1000).all(|_| pace.reserve(&Quota::default(), 1000, at(0)) == at(0)));
    }

    #[test]
    fn slots_are_handed_out_in_order_and_never_shared() {
        let quota = Quota {
            requests_per_minute: Some(60),
            tokens_per_minute: None,
        };
        let mut pace = Pace::default();
        let slots: Vec<_> = (0..5).map(|_| pace.reserve(&quota, 0, at(0))).collect();
        assert_eq!(slots, [at(0), at(1_000), at(2_000), at(3_000), at(4_000)]);
    }

    #[test]
    fn tokens_pace_as_requests_do() {
        let quota = Quota {
            requests_per_minute: None,
            tokens_per_minute: Some(60_000),
        };
        let mut pace = Pace::default();
        let slots: Vec<_> = (0..3).map(|_| pace.reserve(&quota, 2_000, at(0))).collect();
        assert_eq!(slots, [at(1_000), at(3_000), at(5_000)]);
    }

    #[test]
    fn the_rate_is_learnt_from_throttles_and_recovers() {
        let mut pace = Pace::default();
        for call in 0..100 {
            pace.answered(at(call * 10));
        }
        pace.throttled(at(1_000), None);
        pace.throttled(at(1_010), None);
        let gap = gap_at(&mut pace, at(1_020));
        assert!(
            (5..=20).contains(&gap),
            "about as fast as calls were answered, not {gap} ms"
        );
        for call in 0..2_000 {
            pace.answered(at(2_000 + call));
        }
        assert!(gap_at(&mut pace, at(5_000)) < gap);
    }

    #[test]
    fn nobody_calls_before_the_service_says_so() {
        let mut pace = Pace::default();
        pace.throttled(at(0), Some(30));
        assert!(pace.reserve(&Quota::default(), 0, at(1)) >= at(30_000));
    }
}
