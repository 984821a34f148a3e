use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bedrock_diy_core::{
    catalogue::Catalogue,
    error::Result,
    ports::ModelQuota,
    quota::{Pace, Place, Quota, Ticket},
    time::Timestamp,
};

/// Model quota in memory: one process calls the models, and what it has learnt of a quota is stale by
/// the time that it is started again.
#[derive(Debug)]
pub struct MemoryQuota {
    catalogue: Arc<Catalogue>,
    models: Mutex<HashMap<String, Line>>,
}

#[derive(Debug, Default)]
struct Line {
    pace: Pace,
    /// The places in the line, by their holders.
    held: HashMap<String, Held>,
    /// When places were last taken back.
    swept_at: Timestamp,
}

/// A place in the line, and what its holder was told.
#[derive(Debug)]
struct Held {
    ticket: Ticket,
    /// When it was to come back, or to call.
    due: Timestamp,
    /// Whether it was to call: then its place is used up.
    served: bool,
}

/// Who was to ask again and has not come for so long will not come: its job was cancelled, most likely.
/// Should it come after all, it joins the line at its end.
const ABSENT_MILLIS: u64 = 2 * 60 * 1_000;
/// Who was told to call and has not said how that ended for so long has died: no handler may run longer
/// (`TimeoutSeconds` of the state machine's `RunStage`).
const LOST_MILLIS: u64 = 15 * 60 * 1_000;
/// How often is looked for those.
const SWEEP_MILLIS: u64 = 10_000;

impl MemoryQuota {
    /// Paced by the quotas that the catalogue knows, and by what is learnt from throttles.
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>) -> Self {
        Self {
            catalogue,
            models: Mutex::default(),
        }
    }

    fn with<T>(&self, model: &str, act: impl FnOnce(&mut Line, &Quota) -> T) -> T {
        let quota = self
            .catalogue
            .family(model)
            .map(|family| family.quota)
            .unwrap_or_default();
        // Nothing in here can panic half-way.
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = models.get_mut(model) {
            return act(line, &quota);
        }
        act(models.entry(model.to_owned()).or_default(), &quota)
    }
}

impl Line {
    /// Takes back the places of those who will not come any more.
    fn sweep(&mut self, quota: &Quota, now: Timestamp) {
        if now.millis_since(self.swept_at) < SWEEP_MILLIS {
            return;
        }
        self.swept_at = now;
        let pace = &mut self.pace;
        self.held.retain(|_, held| {
            let gone_for = now.millis_since(held.due);
            if held.served {
                return gone_for < LOST_MILLIS;
            }
            if gone_for < ABSENT_MILLIS {
                return true;
            }
            // A place whose turn has passed unused is past: given back now, many of them would be a burst.
            if pace.turn(quota, held.ticket, now) > now {
                pace.leave(quota, held.ticket, now);
            }
            false
        });
    }
}

#[async_trait]
impl ModelQuota for MemoryQuota {
    async fn reserve(
        &self,
        model: &str,
        tokens: u64,
        holder: &str,
        place: Place,
        now: Timestamp,
    ) -> Result<Timestamp> {
        Ok(self.with(model, |line, quota| {
            let ticket = match line.held.get(holder) {
                Some(held) => held.ticket,
                None if line.pace.is_free(quota, now) => return now,
                None => line.pace.join(quota, tokens, place, now),
            };
            let due = line.pace.turn(quota, ticket, now);
            let held = Held {
                ticket,
                due,
                served: due <= now,
            };
            line.held.insert(holder.to_owned(), held);
            line.sweep(quota, now);
            due
        }))
    }

    async fn leave(&self, model: &str, holder: &str, now: Timestamp) -> Result<()> {
        self.with(model, |line, quota| {
            if let Some(held) = line.held.remove(holder) {
                line.pace.leave(quota, held.ticket, now);
            }
        });
        Ok(())
    }

    async fn answered(&self, model: &str, holder: &str, now: Timestamp) -> Result<()> {
        self.with(model, |line, _| {
            line.held.remove(holder);
            line.pace.answered(now);
        });
        Ok(())
    }

    async fn throttled(
        &self,
        model: &str,
        holder: &str,
        now: Timestamp,
        retry_after_seconds: Option<u32>,
    ) -> Result<()> {
        self.with(model, |line, quota| {
            // Its holder keeps the ticket where it has one, and so its place in front of the others.
            let kept = line.held.get(holder).map(|held| held.ticket);
            let ticket = kept.unwrap_or_else(|| line.pace.join(quota, 0, Place::Last, now));
            line.pace.throttled(quota, kept, now, retry_after_seconds);
            let held = Held {
                ticket,
                due: now,
                served: false,
            };
            line.held.insert(holder.to_owned(), held);
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "acme.paced-v1:0";

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000_000_000 + millis)
    }

    /// 60 requests a minute for [`MODEL`]; nothing is known of any other model.
    fn quota() -> MemoryQuota {
        let paced = format!(
            "[[family]]\nname = \"Paced\"\nids = [\"{MODEL}\"]\ncontext_window = 1000\nmax_output = 500\n\
             parameters = [\"maxTokens\"]\nquota = {{ requestsPerMinute = 60 }}\n\
             source = \"a test\"\ndate = \"2026-11-01\"\n"
        );
        MemoryQuota::new(Arc::new(
            Catalogue::with_overrides(Some(("test", &paced))).unwrap(),
        ))
    }

    async fn reserve(quota: &MemoryQuota, model: &str, holder: &str, millis: i64) -> u64 {
        quota
            .reserve(model, 10, holder, Place::Last, at(millis))
            .await
            .unwrap()
            .millis_since(at(0))
    }

    #[tokio::test]
    async fn of_many_first_calls_that_are_refused_the_first_goes_on_soon() {
        let quota = quota();
        let holders: Vec<_> = (0..64).map(|number| number.to_string()).collect();
        for holder in &holders {
            assert_eq!(reserve(&quota, "unknown", holder, 0).await, 0);
        }
        for holder in &holders {
            quota.throttled("unknown", holder, at(0), None).await.unwrap();
        }
        for (holder, due) in [(0, 1_000), (1, 2_000), (2, 3_000)] {
            assert_eq!(reserve(&quota, "unknown", &holders[holder], 1_000).await, due);
        }
    }

    #[tokio::test]
    async fn a_throttle_costs_nobody_their_place() {
        let quota = quota();
        for (holder, due) in [("a", 0), ("b", 1_000), ("c", 2_000)] {
            assert_eq!(reserve(&quota, MODEL, holder, 0).await, due);
        }
        quota.throttled(MODEL, "a", at(0), None).await.unwrap();
        let (c, a, b) = (
            reserve(&quota, MODEL, "c", 0).await,
            reserve(&quota, MODEL, "a", 0).await,
            reserve(&quota, MODEL, "b", 0).await,
        );
        assert!(a < b && b < c, "{a}, {b}, {c}");
    }

    #[tokio::test]
    async fn who_leaves_is_waited_for_by_nobody_and_comes_back_at_the_end() {
        let quota = quota();
        for holder in ["a", "b", "c", "d"] {
            reserve(&quota, MODEL, holder, 0).await;
        }
        quota.leave(MODEL, "b", at(0)).await.unwrap();
        quota.leave(MODEL, "nobody", at(0)).await.unwrap();
        assert_eq!(reserve(&quota, MODEL, "c", 0).await, 1_000);
        assert_eq!(reserve(&quota, MODEL, "d", 0).await, 2_000);
        assert_eq!(reserve(&quota, MODEL, "b", 0).await, 3_000);
    }

    #[tokio::test]
    async fn a_place_whose_holder_does_not_come_back_frees_itself() {
        let quota = quota();
        for number in 0..600 {
            reserve(&quota, MODEL, &number.to_string(), 0).await;
        }
        let last = reserve(&quota, MODEL, "last", 0).await;
        assert_eq!(last, 300_000, "asked back half-way");
        // All the others were cancelled: they were to ask again within five minutes.
        assert!(reserve(&quota, MODEL, "last", 300_000).await > 400_000);
        reserve(&quota, MODEL, "last", 420_001).await;
        assert!(reserve(&quota, MODEL, "last", 420_001).await <= 421_001);
    }

    #[tokio::test]
    async fn a_call_that_takes_long_keeps_its_place_and_one_that_died_does_not() {
        let quota = quota();
        let held = |quota: &MemoryQuota| quota.with(MODEL, |line, _| line.held.contains_key("slow"));
        reserve(&quota, MODEL, "slow", 0).await;
        reserve(&quota, MODEL, "other", 800_000).await;
        assert!(held(&quota));
        reserve(&quota, MODEL, "other", 900_000).await;
        assert!(!held(&quota));
    }
}
