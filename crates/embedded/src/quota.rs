use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bedrock_diy_core::{
    catalogue::Catalogue,
    error::Result,
    ports::ModelQuota,
    quota::{Pace, Quota, Ticket},
    time::Timestamp,
};

/// Model quota in memory: one process calls the models, and what it has learnt of a quota is stale by
/// the time that it is started again.
#[derive(Debug)]
pub struct MemoryQuota {
    catalogue: Arc<Catalogue>,
    models: Mutex<HashMap<String, Paced>>,
}

#[derive(Debug, Default)]
struct Paced {
    pace: Pace,
    /// The places in the line, by their holders.
    tickets: HashMap<String, Ticket>,
}

impl MemoryQuota {
    /// Paced by the quotas that the catalogue knows, and by what is learnt from throttles.
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>) -> Self {
        Self {
            catalogue,
            models: Mutex::default(),
        }
    }

    fn with<T>(&self, model: &str, act: impl FnOnce(&mut Paced) -> T) -> T {
        // Nothing in here can panic half-way.
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        act(models.entry(model.to_owned()).or_default())
    }

    fn quota(&self, model: &str) -> Quota {
        self.catalogue
            .family(model)
            .map(|family| family.quota)
            .unwrap_or_default()
    }
}

#[async_trait]
impl ModelQuota for MemoryQuota {
    async fn reserve(&self, model: &str, tokens: u64, holder: &str, now: Timestamp) -> Result<Timestamp> {
        let quota = self.quota(model);
        Ok(self.with(model, |paced| {
            let ticket = match paced.tickets.get(holder) {
                Some(ticket) => *ticket,
                None if paced.pace.is_free(&quota, now) => return now,
                None => {
                    let ticket = paced.pace.join(&quota, tokens, now);
                    paced.tickets.insert(holder.to_owned(), ticket);
                    ticket
                }
            };
            paced.pace.turn(&quota, ticket, now)
        }))
    }

    async fn answered(&self, model: &str, holder: &str, now: Timestamp) -> Result<()> {
        self.with(model, |paced| {
            paced.tickets.remove(holder);
            paced.pace.answered(now);
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
        let quota = self.quota(model);
        self.with(model, |paced| {
            // Its holder keeps the ticket where it has one, and so its place in front of the others.
            if !paced.tickets.contains_key(holder) {
                let ticket = paced.pace.join(&quota, 0, now);
                paced.tickets.insert(holder.to_owned(), ticket);
            }
            paced.pace.throttled(&quota, now, retry_after_seconds);
        });
        Ok(())
    }
}
