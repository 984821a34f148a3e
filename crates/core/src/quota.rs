//! Model quota: who may call when, decided before the call.
//!
//! Whoever wants to call joins a line and gets a *ticket*. The line moves as fast as the quota allows;
//! who is not served yet is told when to ask again, and keeps the ticket. So a thousand waiting stages
//! go one after the other instead of all at once and again (a retry storm). Where nobody said what the
//! quota is, it is learnt: a throttled call closes the line for a while and halves its speed, an
//! answered one raises it a little. A call that looks whether a closed line is open again and is refused
//! only closes it for longer: a used-up minute says nothing about how fast the next one may go.

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

/// A place in the line of a model: the request, the tokens up to and with its own, and its own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    request: f64,
    tokens: f64,
    own_tokens: f64,
}

/// Where a caller joins the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Behind everybody who waits.
    Last,
    /// In front of everybody who waits: for a call that goes on with an answer which is paid already.
    First,
}

/// The line of one model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pace {
    requests: Meter,
    tokens: Meter,
    /// When the meters were last moved on.
    moved_at: Option<Timestamp>,
    /// The learnt speed, in requests per millisecond; `None` while nobody was throttled.
    learnt: Option<f64>,
    /// When a throttle last closed the line.
    throttled_at: Option<Timestamp>,
    /// How often in a row the line was closed without an answer in between.
    closings: u32,
    /// Until when nobody is to call.
    closed_until: Option<Timestamp>,
    /// The running second and the calls that were answered in it: what the first speed is learnt from.
    answered: (i64, u32),
    /// The calls that were answered in the second before.
    answered_before: u32,
}

/// How many were let into the line, and how many of them are served.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Meter {
    issued: f64,
    served: f64,
    /// Places that were given back before they were served, in order: their ends and sizes. The line
    /// jumps over them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gone: Vec<(f64, f64)>,
}

/// How much of the quota may be used at once after a quiet time, in milliseconds.
const BURST_MILLIS: i64 = 1_000;
/// A throttle says nothing new within this time: the calls in flight were all sent at the old speed.
const SAME_THROTTLE_MILLIS: u64 = 1_000;
/// The slowest learnt speed: one request a second. A refused request costs nothing, and whoever asks
/// less often learns too late that the quota is free again.
const SLOWEST: f64 = 0.001;
/// Each answered call raises the learnt speed by a quarter of a request a second: by a quarter of itself
/// every second, at any speed.
const RAISE: f64 = 0.000_25;
/// The line is closed for 1, 2, 4 … seconds, and for so many at most.
const LONGEST_CLOSING_SECONDS: i64 = 16;
/// Who has longer to wait than this is asked back half-way, because the speed may have risen; in
/// milliseconds, as is the longest time between two questions.
const ASK_BACK_MILLIS: f64 = 10_000.0;
const LONGEST_WAIT_MILLIS: f64 = 300_000.0;
/// The service is believed up to this many seconds when it says when to come back. Bedrock's quotas are
/// per minute, so ten minutes is more than an honest answer needs, and one that says "tomorrow" must not
/// stop every job of the model until then.
const LONGEST_RETRY_AFTER_SECONDS: u32 = 600;

impl Pace {
    /// Joins the line for a call that will use about `tokens` tokens of the quota.
    pub fn join(&mut self, quota: &Quota, tokens: u64, place: Place, now: Timestamp) -> Ticket {
        self.move_on(quota, now);
        let own_tokens = tokens as f64;
        Ticket {
            request: self.requests.join(1.0, place),
            tokens: self.tokens.join(own_tokens, place),
            own_tokens,
        }
    }

    /// Gives a place back that will not be used: everybody behind it moves up.
    pub fn leave(&mut self, quota: &Quota, ticket: Ticket, now: Timestamp) {
        self.move_on(quota, now);
        self.requests.leave(ticket.request, 1.0);
        self.tokens.leave(ticket.tokens, ticket.own_tokens);
    }

    /// When the ticket's holder is to call, or to ask again: `now` where it is served.
    pub fn turn(&mut self, quota: &Quota, ticket: Ticket, now: Timestamp) -> Timestamp {
        self.move_on(quota, now);
        let requests = self.requests.wait(ticket.request, self.request_speed(quota));
        let tokens = self.tokens.wait(ticket.tokens, token_speed(quota));
        let closed = self.closed_until.map_or(0, |closed| closed.millis_since(now)) as f64;
        let wait = closed + requests.max(tokens);
        let wait = if wait > ASK_BACK_MILLIS {
            (wait / 2.0).clamp(ASK_BACK_MILLIS, LONGEST_WAIT_MILLIS)
        } else {
            wait
        };
        #[expect(clippy::cast_possible_truncation, reason = "at most five minutes")]
        now.plus_millis(wait.ceil() as i64)
    }

    /// A call was throttled: the line is closed for a while, and the speed halved, once for all calls that
    /// were sent at the old one. Where the call used up a place in the line, `ticket`, that place is to be
    /// served once more.
    pub fn throttled(
        &mut self,
        quota: &Quota,
        ticket: Option<Ticket>,
        now: Timestamp,
        retry_after_seconds: Option<u32>,
    ) {
        self.move_on(quota, now);
        if let Some(ticket) = ticket {
            self.requests.served -= 1.0;
            self.tokens.served -= ticket.own_tokens;
        }
        let asked = retry_after_seconds
            .map(|seconds| now.plus_millis(i64::from(seconds.min(LONGEST_RETRY_AFTER_SECONDS)) * 1_000));
        self.closed_until = self.closed_until.max(asked);
        if self
            .throttled_at
            .is_some_and(|throttled| now.millis_since(throttled) < SAME_THROTTLE_MILLIS)
        {
            return;
        }
        self.throttled_at = Some(now);
        if self.closings == 0 || self.learnt.is_none() {
            let seen = f64::from(self.answered.1.max(self.answered_before)) / 1_000.0;
            self.learnt = Some((self.learnt.unwrap_or(seen) / 2.0).max(SLOWEST));
        }
        let seconds = (1_i64 << self.closings.min(10)).min(LONGEST_CLOSING_SECONDS);
        self.closings += 1;
        self.closed_until = self.closed_until.max(Some(now.plus_millis(seconds * 1_000)));
    }

    /// A call was answered.
    pub fn answered(&mut self, now: Timestamp) {
        self.closings = 0;
        let second = now.millis().div_euclid(1_000);
        if self.answered.0 == second {
            self.answered.1 += 1;
        } else {
            self.answered_before = if self.answered.0 + 1 == second {
                self.answered.1
            } else {
                0
            };
            self.answered = (second, 1);
        }
        if let Some(speed) = &mut self.learnt {
            *speed += RAISE;
        }
    }

    /// Whether there is no line at all.
    #[must_use]
    pub fn is_free(&self, quota: &Quota, now: Timestamp) -> bool {
        self.learnt.is_none()
            && quota.requests_per_minute.is_none()
            && quota.tokens_per_minute.is_none()
            && self.closed_until.is_none_or(|closed| closed <= now)
    }

    fn request_speed(&self, quota: &Quota) -> Option<f64> {
        let said = quota
            .requests_per_minute
            .map(|limit| f64::from(limit.max(1)) / 60_000.0);
        match (said, self.learnt) {
            (Some(said), Some(learnt)) => Some(said.min(learnt)),
            (said, learnt) => said.or(learnt),
        }
    }

    /// Serves as many as the time since the last look allows; a closed line does not move.
    fn move_on(&mut self, quota: &Quota, now: Timestamp) {
        let from = self.moved_at.map_or(now.plus_millis(-BURST_MILLIS), |moved| {
            moved.max(self.closed_until.unwrap_or(moved))
        });
        let millis = now.millis_since(from) as f64;
        let speed = self.request_speed(quota);
        self.requests.serve(speed, millis);
        if self.moved_at.is_none() && speed.is_some() {
            // Nobody has called yet: the first need not wait, however slow the quota.
            self.requests.served = self.requests.served.max(1.0);
        }
        self.tokens.serve(token_speed(quota), millis);
        self.moved_at = Some(self.moved_at.map_or(now, |moved| moved.max(now)));
    }
}

impl Meter {
    /// The number of the place that was taken.
    fn join(&mut self, size: f64, place: Place) -> f64 {
        if place == Place::First && self.served < self.issued {
            // The next that is served is the newcomer, and everybody who waits is served that much later.
            let number = self.served;
            self.served -= size;
            number
        } else {
            self.issued += size;
            self.issued
        }
    }

    fn leave(&mut self, number: f64, size: f64) {
        let at = self.gone.partition_point(|(end, _)| *end < number);
        self.gone.insert(at, (number, size));
        self.jump();
    }

    /// Jumps over the places in front that were given back.
    fn jump(&mut self) {
        let mut jumped = 0;
        while let Some((end, size)) = self.gone.get(jumped).copied()
            && end - size <= self.served
        {
            self.served += size;
            jumped += 1;
        }
        self.gone.drain(..jumped);
    }

    fn serve(&mut self, speed: Option<f64>, millis: f64) {
        let Some(speed) = speed else {
            self.served = self.issued;
            self.gone.clear();
            return;
        };
        self.served += speed * millis;
        self.jump();
        self.served = self
            .served
            .min(self.issued + (speed * BURST_MILLIS as f64).max(1.0));
    }

    /// How long until the ticket of this number is served, in milliseconds.
    fn wait(&self, number: f64, speed: Option<f64>) -> f64 {
        let Some(speed) = speed else { return 0.0 };
        let gone: f64 = self
            .gone
            .iter()
            .take_while(|(end, _)| *end < number)
            .map(|(_, size)| size)
            .sum();
        ((number - gone - self.served) / speed).max(0.0)
    }
}

fn token_speed(quota: &Quota) -> Option<f64> {
    quota
        .tokens_per_minute
        .map(|limit| limit.max(1) as f64 / 60_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000_000_000 + millis)
    }

    fn requests(per_minute: u32) -> Quota {
        Quota {
            requests_per_minute: Some(per_minute),
            tokens_per_minute: None,
        }
    }

    #[test]
    fn without_a_quota_nobody_waits() {
        let mut pace = Pace::default();
        let unknown = Quota::default();
        for _ in 0..1_000 {
            let ticket = pace.join(&unknown, 1_000, Place::Last, at(0));
            assert_eq!(pace.turn(&unknown, ticket, at(0)), at(0));
        }
    }

    #[test]
    fn tickets_are_served_in_order_at_the_quotas_speed() {
        let (mut pace, quota) = (Pace::default(), requests(60));
        let tickets: Vec<_> = (0..5).map(|_| pace.join(&quota, 0, Place::Last, at(0))).collect();
        let turns: Vec<_> = tickets
            .iter()
            .map(|ticket| pace.turn(&quota, *ticket, at(0)))
            .collect();
        assert_eq!(turns, [at(0), at(1_000), at(2_000), at(3_000), at(4_000)]);
        assert_eq!(
            pace.turn(&quota, tickets[2], at(2_000)),
            at(2_000),
            "who comes at its turn goes"
        );
    }

    #[test]
    fn tokens_are_a_line_of_their_own() {
        let quota = Quota {
            requests_per_minute: None,
            tokens_per_minute: Some(60_000),
        };
        let mut pace = Pace::default();
        let tickets: Vec<_> = (0..3)
            .map(|_| pace.join(&quota, 2_000, Place::Last, at(0)))
            .collect();
        let turns: Vec<_> = tickets
            .iter()
            .map(|ticket| pace.turn(&quota, *ticket, at(0)))
            .collect();
        assert_eq!(turns, [at(1_000), at(3_000), at(5_000)]);
    }

    #[test]
    fn who_has_long_to_wait_is_asked_back_half_way() {
        let (mut pace, quota) = (Pace::default(), requests(60));
        let last = (0..101)
            .map(|_| pace.join(&quota, 0, Place::Last, at(0)))
            .last()
            .unwrap();
        assert_eq!(pace.turn(&quota, last, at(0)), at(50_000));
        assert_eq!(pace.turn(&quota, last, at(50_000)), at(75_000));
        assert_eq!(pace.turn(&quota, last, at(100_000)), at(100_000));
    }

    #[test]
    fn the_speed_is_learnt_from_throttles_and_recovers() {
        let (mut pace, unknown) = (Pace::default(), Quota::default());
        for call in 0..100 {
            pace.join(&unknown, 0, Place::Last, at(call * 10));
            pace.answered(at(call * 10));
        }
        pace.throttled(&unknown, None, at(1_000), None);
        pace.throttled(&unknown, None, at(1_010), None);
        let slow = pace.request_speed(&unknown).unwrap();
        assert!(
            (0.04..=0.06).contains(&slow),
            "half of what was answered, not {slow}"
        );
        for call in 0..2_000 {
            pace.answered(at(2_000 + call));
        }
        assert!(pace.request_speed(&unknown).unwrap() > 2.0 * slow);
    }

    #[test]
    fn a_used_up_minute_says_nothing_about_the_speed_of_the_next_one() {
        let (mut pace, unknown) = (Pace::default(), Quota::default());
        for call in 0..100 {
            pace.answered(at(call * 10));
        }
        for second in [1, 2, 4, 8, 16, 32, 48] {
            pace.throttled(&unknown, None, at(second * 1_000), None);
        }
        assert_eq!(pace.request_speed(&unknown), Some(0.05));
        pace.answered(at(65_000));
        pace.throttled(&unknown, None, at(66_000), None);
        assert!(pace.request_speed(&unknown).unwrap() < 0.03, "that one is news");
    }

    #[test]
    fn a_line_that_was_closed_in_vain_is_closed_for_longer() {
        let (mut pace, unknown) = (Pace::default(), Quota::default());
        let mut now = 0;
        let mut closings = Vec::new();
        for _ in 0..6 {
            let ticket = pace.join(&unknown, 0, Place::Last, at(now));
            pace.throttled(&unknown, Some(ticket), at(now), None);
            let closed = pace.closed_until.unwrap().millis_since(at(now));
            closings.push(closed / 1_000);
            now += i64::try_from(closed).unwrap();
        }
        assert_eq!(closings, [1, 2, 4, 8, 16, 16]);
        pace.answered(at(now));
        pace.throttled(&unknown, None, at(now + 1), None);
        assert_eq!(pace.closed_until, Some(at(now + 1_001)));
    }

    #[test]
    fn nobody_calls_before_the_service_says_so() {
        let (mut pace, unknown) = (Pace::default(), Quota::default());
        pace.throttled(&unknown, None, at(0), Some(9));
        let ticket = pace.join(&unknown, 0, Place::Last, at(1));
        assert!(pace.turn(&unknown, ticket, at(1)) >= at(9_000));
    }

    #[test]
    fn a_service_that_says_tomorrow_is_asked_again_in_ten_minutes() {
        let (mut pace, unknown) = (Pace::default(), Quota::default());
        pace.throttled(&unknown, None, at(0), Some(86_400));
        let ticket = pace.join(&unknown, 0, Place::Last, at(0));
        assert!(pace.turn(&unknown, ticket, at(599_000)) >= at(600_000));
        assert_eq!(pace.turn(&unknown, ticket, at(601_000)), at(601_000));
    }

    #[test]
    fn many_first_calls_that_are_refused_wait_in_line_and_the_first_of_them_not_for_long() {
        let (mut pace, unknown) = (Pace::default(), Quota::default());
        let tickets: Vec<_> = (0..64)
            .map(|_| {
                let ticket = pace.join(&unknown, 0, Place::Last, at(0));
                pace.throttled(&unknown, None, at(0), None);
                ticket
            })
            .collect();
        // Closed for a second, then one to see whether that is over, then one a second: nothing faster is known
        // to work.
        let turns: Vec<_> = [0, 1, 2]
            .map(|number| pace.turn(&unknown, tickets[number], at(1_000)))
            .into();
        assert_eq!(turns, [at(1_000), at(2_000), at(3_000)]);
    }

    #[test]
    fn a_throttled_holder_is_served_once_more_before_those_behind() {
        let (mut pace, quota) = (Pace::default(), requests(60));
        let [first, second] = [0, 0].map(|tokens| pace.join(&quota, tokens, Place::Last, at(0)));
        assert_eq!(pace.turn(&quota, first, at(0)), at(0));
        pace.throttled(&quota, Some(first), at(0), None);
        assert_eq!(
            pace.turn(&quota, first, at(0)),
            at(2_000),
            "closed for a second, and then served anew"
        );
        assert_eq!(pace.turn(&quota, second, at(0)), at(3_000));
    }

    #[test]
    fn who_leaves_the_line_is_waited_for_by_nobody() {
        let (mut pace, quota) = (Pace::default(), requests(60));
        let tickets: Vec<_> = (0..8).map(|_| pace.join(&quota, 0, Place::Last, at(0))).collect();
        for left in [5, 2, 3] {
            pace.leave(&quota, tickets[left], at(0));
        }
        let turns = |pace: &mut Pace, now| {
            [0, 1, 4, 6, 7].map(|number| pace.turn(&quota, tickets[number], now).millis_since(at(0)))
        };
        assert_eq!(turns(&mut pace, at(0)), [0, 1_000, 2_000, 3_000, 4_000]);
        assert_eq!(turns(&mut pace, at(2_500)), [2_500, 2_500, 2_500, 3_000, 4_000]);
        // One that was served and did not call gives its place to the next.
        pace.leave(&quota, tickets[4], at(2_500));
        assert_eq!(turns(&mut pace, at(2_500))[3..], [2_500, 3_000]);
    }

    #[test]
    fn places_that_were_given_back_never_add_up_to_a_burst() {
        let (mut pace, quota) = (Pace::default(), requests(60));
        let tickets: Vec<_> = (0..500)
            .map(|_| pace.join(&quota, 0, Place::Last, at(0)))
            .collect();
        for ticket in tickets {
            pace.leave(&quota, ticket, at(0));
        }
        let turns = [0; 4].map(|tokens| {
            let ticket = pace.join(&quota, tokens, Place::Last, at(10));
            pace.turn(&quota, ticket, at(10)).millis_since(at(10))
        });
        assert_eq!(turns, [0, 1_000, 2_000, 3_000]);
    }

    #[test]
    fn who_goes_on_with_a_paid_answer_is_next_and_the_others_one_later() {
        let quota = Quota {
            requests_per_minute: Some(60),
            tokens_per_minute: Some(600_000),
        };
        let mut pace = Pace::default();
        let waiting: Vec<_> = (0..50)
            .map(|_| pace.join(&quota, 1_000, Place::Last, at(0)))
            .collect();
        let ninth = pace.turn(&quota, waiting[8], at(0));
        let next = pace.join(&quota, 1_000, Place::First, at(0));
        assert_eq!(pace.turn(&quota, next, at(0)), at(1_000));
        assert_eq!(pace.turn(&quota, waiting[8], at(0)), ninth.plus_millis(1_000));
        let mut free = Pace::default();
        let alone = free.join(&quota, 1_000, Place::First, at(0));
        assert_eq!(free.turn(&quota, alone, at(0)), at(0));
    }
}
