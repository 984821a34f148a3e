//! Requests and tokens a minute, counted as Bedrock counts them.
//!
//! When a call begins, its input tokens and its `maxTokens` are taken from the quota. When it ends, that is
//! settled to what it used: input, cache writes, and the output times the model's burn-down rate; what was
//! read from a cache is free. Source: Amazon Bedrock user guide, "How tokens are counted in Amazon Bedrock".

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::model::{Request, Usage};
use crate::scripted::rules::Quota;
use crate::wire::errors::ServiceError;

const MINUTE: Duration = Duration::from_mins(1);

/// The minute slides in steps of this many milliseconds, so an account holds 600 numbers at most.
const SLOT_MS: u128 = 100;

/// The accounts of all model ids under one quota.
#[derive(Debug)]
pub(crate) struct Accounts {
    quota: Quota,
    started: Instant,
    by_model: Mutex<HashMap<String, Account>>,
}

#[derive(Debug, Default)]
struct Account {
    requests: Window,
    tokens: Window,
}

impl Accounts {
    pub(crate) fn new(quota: Quota, now: Instant) -> Self {
        Self {
            quota,
            started: now,
            by_model: Mutex::default(),
        }
    }

    /// Takes what a call may need, or refuses it and takes nothing.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        request: &Request,
        input_tokens: u32,
        now: Instant,
    ) -> Result<Reservation, ServiceError> {
        let answer = request
            .inference
            .max_tokens
            .map_or(self.quota.default_max_tokens, u64::from);
        let tokens = u64::from(input_tokens) + answer;
        let mut accounts = self.by_model.lock();
        let account = accounts.entry(request.model_id.clone()).or_default();
        // Two calls may come to the lock in another order than they looked at the clock.
        let slot = self.slot(now).max(account.requests.latest());
        if !account.requests.has_room(slot, 1, self.quota.requests_per_minute) {
            return Err(ServiceError::too_many_requests());
        }
        if !account
            .tokens
            .has_room(slot, tokens, self.quota.tokens_per_minute)
        {
            return Err(ServiceError::too_many_tokens());
        }
        account.requests.add(slot, 1);
        account.tokens.add(slot, tokens);
        Ok(Reservation {
            accounts: Arc::clone(self),
            model_id: request.model_id.clone(),
            slot,
            tokens,
        })
    }

    fn slot(&self, now: Instant) -> u64 {
        u64::try_from(now.duration_since(self.started).as_millis() / SLOT_MS).unwrap_or(u64::MAX)
    }
}

/// What a call has taken; it stays taken until the minute is over, or the call is settled.
#[derive(Debug)]
pub(crate) struct Reservation {
    accounts: Arc<Accounts>,
    model_id: String,
    slot: u64,
    tokens: u64,
}

impl Reservation {
    /// Replaces the reserved tokens by those that were used.
    pub(crate) fn settle(self, usage: &Usage) {
        let output = u64::from(usage.output_tokens) * self.accounts.quota.output_burndown;
        let used = u64::from(usage.input_tokens) + u64::from(usage.cache_write_input_tokens) + output;
        if let Some(account) = self.accounts.by_model.lock().get_mut(&self.model_id) {
            account.tokens.replace(self.slot, self.tokens, used);
        }
    }
}

/// Amounts of the last minute.
#[derive(Debug, Default)]
struct Window {
    slots: VecDeque<(u64, u64)>,
    total: u64,
}

impl Window {
    /// The slot that was used last.
    fn latest(&self) -> u64 {
        self.slots.back().map_or(0, |(slot, _)| *slot)
    }

    fn has_room(&mut self, now: u64, amount: u64, limit: Option<u64>) -> bool {
        let Some(limit) = limit else { return true };
        let width = u64::try_from(MINUTE.as_millis() / SLOT_MS).unwrap_or(u64::MAX);
        while let Some((slot, amount)) = self
            .slots
            .front()
            .copied()
            .filter(|(slot, _)| slot + width <= now)
        {
            debug_assert!(slot <= now, "time goes one way");
            self.total -= amount;
            self.slots.pop_front();
        }
        self.total.saturating_add(amount) <= limit
    }

    fn add(&mut self, now: u64, amount: u64) {
        self.total += amount;
        match self.slots.back_mut() {
            Some((slot, sum)) if *slot == now => *sum += amount,
            _ => self.slots.push_back((now, amount)),
        }
    }

    fn replace(&mut self, slot: u64, old: u64, new: u64) {
        // A slot that has slid out of the minute has nothing left to settle.
        if let Ok(at) = self.slots.binary_search_by_key(&slot, |(slot, _)| *slot) {
            let sum = &mut self.slots[at].1;
            *sum = *sum - old + new;
            self.total = self.total - old + new;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Inference;

    fn request(max_tokens: u32) -> Request {
        Request {
            model_id: "m".to_owned(),
            inference: Inference {
                max_tokens: Some(max_tokens),
                ..Inference::default()
            },
            ..Request::default()
        }
    }

    fn usage(input_tokens: u32, output_tokens: u32) -> Usage {
        Usage {
            input_tokens,
            output_tokens,
            ..Usage::default()
        }
    }

    #[test]
    fn requests_are_free_again_when_the_minute_has_slid_past_them() {
        let start = Instant::now();
        let accounts = Arc::new(Accounts::new(Quota::of("*").requests(2), start));
        let after = |seconds| start + Duration::from_secs(seconds);
        accounts.reserve(&request(1), 1, after(0)).unwrap();
        accounts.reserve(&request(1), 1, after(30)).unwrap();
        let refused = accounts.reserve(&request(1), 1, after(59)).unwrap_err();
        assert_eq!(refused, ServiceError::too_many_requests());
        accounts.reserve(&request(1), 1, after(60)).unwrap();
        accounts.reserve(&request(1), 1, after(61)).unwrap_err();
        accounts.reserve(&request(1), 1, after(90)).unwrap();
    }

    #[test]
    fn max_tokens_is_reserved_and_given_back_when_the_answer_is_short() {
        let now = Instant::now();
        let accounts = Arc::new(Accounts::new(Quota::of("*").tokens(1000, 5), now));
        let reservation = accounts.reserve(&request(800), 100, now).unwrap();
        let refused = accounts.reserve(&request(100), 100, now).unwrap_err();
        assert_eq!(refused, ServiceError::too_many_tokens());
        reservation.settle(&usage(100, 20));
        // 100 in and 20 out, five times, are 200 of 1,000.
        accounts.reserve(&request(700), 100, now).unwrap();
    }

    #[test]
    fn output_that_burns_more_than_was_reserved_counts_in_full() {
        let now = Instant::now();
        let accounts = Arc::new(Accounts::new(Quota::of("*").tokens(1000, 5), now));
        accounts
            .reserve(&request(100), 100, now)
            .unwrap()
            .settle(&usage(100, 100));
        accounts.reserve(&request(300), 101, now).unwrap_err();
        accounts.reserve(&request(300), 100, now).unwrap();
    }

    #[test]
    fn a_call_that_looked_at_the_clock_early_is_settled_like_others() {
        let start = Instant::now();
        let accounts = Arc::new(Accounts::new(Quota::of("*").tokens(1000, 1), start));
        let late = accounts
            .reserve(&request(400), 0, start + Duration::from_secs(1))
            .unwrap();
        let early = accounts.reserve(&request(400), 0, start).unwrap();
        early.settle(&usage(0, 0));
        late.settle(&usage(0, 0));
        accounts
            .reserve(&request(1000), 0, start + Duration::from_secs(1))
            .unwrap();
    }

    #[test]
    fn each_model_has_its_own_account() {
        let now = Instant::now();
        let accounts = Arc::new(Accounts::new(Quota::of("*").requests(1), now));
        accounts.reserve(&request(1), 1, now).unwrap();
        let other = Request {
            model_id: "n".to_owned(),
            ..request(1)
        };
        accounts.reserve(&other, 1, now).unwrap();
    }
}
