//! The same question is asked once, also where several ask it at the same moment.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{Mutex as AsyncMutex, OwnedMutexGuard},
    time::timeout,
};

/// Whoever asks the same waits for the answer so long, and asks for themselves then: longer than most answers take,
/// and short beside the time that the state machine gives a stage.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is being asked just now by this process: clones share it. On AWS a function asks one question at a time, so
/// there it changes nothing.
#[derive(Debug, Clone, Default)]
pub struct Questions(Arc<Mutex<HashMap<String, Weak<AsyncMutex<()>>>>>);

/// While this lives, nobody else asks the same.
pub(crate) struct Asking {
    questions: Questions,
    memo_key: String,
    turn: Option<OwnedMutexGuard<()>>,
    question: Arc<AsyncMutex<()>>,
}

impl Questions {
    /// Waits until nobody else asks this question.
    pub(crate) async fn begin(&self, memo_key: &str) -> Asking {
        let question = {
            let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let same = asked.get(memo_key).and_then(Weak::upgrade);
            same.unwrap_or_else(|| {
                let new = Arc::default();
                asked.insert(memo_key.to_owned(), Arc::downgrade(&new));
                new
            })
        };
        let mut asking = Asking {
            questions: self.clone(),
            memo_key: memo_key.to_owned(),
            turn: None,
            question,
        };
        asking.turn = timeout(PATIENCE, asking.question.clone().lock_owned()).await.ok();
        asking
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut asked = self.questions.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.turn = None;
        // Only this one is left: whoever comes next begins anew. Who waits holds the question, too.
        if Arc::strong_count(&self.question) == 1 {
            asked.remove(&self.memo_key);
        }
    }
}
