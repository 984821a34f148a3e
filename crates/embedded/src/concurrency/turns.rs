use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

/// Turns at calling a model: so many calls may be in flight.
///
/// There are several lines, one for each thread that calls. A turn that comes free goes to the line that has the fewest
/// calls in flight: a thread that had nearly all of them would be busy with their answers while the others are idle. But
/// whoever has waited for long is next in any case.
pub struct Turns {
    at_once: usize,
    state: Mutex<State>,
}

struct State {
    /// Turns that nobody has; none where somebody waits.
    free: usize,
    is_closed: bool,
    lines: Vec<Line>,
}

#[derive(Default)]
struct Line {
    in_flight: usize,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    since: Instant,
    told: oneshot::Sender<Turn>,
}

/// A turn, which is passed on when it is dropped.
pub(super) struct Turn {
    turns: Arc<Turns>,
    line: usize,
}

/// Whoever has waited for longer has waited for long. Calls that take so long leave every thread idle.
const LONG: Duration = Duration::from_secs(1);

impl Turns {
    /// `at_once` calls may be in flight (at least one).
    #[must_use]
    pub fn new(at_once: usize) -> Self {
        let at_once = at_once.max(1);
        Self {
            at_once,
            state: Mutex::new(State {
                free: at_once,
                is_closed: false,
                lines: Vec::new(),
            }),
        }
    }

    /// Lets nobody begin a call any more; those in flight go on. Who waits for a turn, or asks for one, gets none.
    pub fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        for line in &mut state.lines {
            line.waiting.clear();
        }
    }

    pub(super) fn at_once(&self) -> usize {
        self.at_once
    }

    /// Opens a line, and returns its number.
    pub(super) fn line(&self) -> usize {
        let mut state = self.state();
        state.lines.push(Line::default());
        state.lines.len() - 1
    }

    /// Waits in a line for a turn; none where there are no more.
    pub(super) async fn take(self: &Arc<Self>, line: usize) -> Option<Turn> {
        let turn = {
            let mut state = self.state();
            if state.is_closed {
                return None;
            }
            if state.free > 0 {
                state.free -= 1;
                state.lines[line].in_flight += 1;
                return Some(self.turn(line));
            }
            let (told, turn) = oneshot::channel();
            let since = Instant::now();
            state.lines[line].waiting.push_back(Waiting { since, told });
            turn
        };
        turn.await.ok()
    }

    fn turn(self: &Arc<Self>, line: usize) -> Turn {
        Turn {
            turns: Arc::clone(self),
            line,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Who is next when a call of this line has ended.
    fn next(&mut self, ended: usize) -> Option<(usize, oneshot::Sender<Turn>)> {
        for line in &mut self.lines {
            while line.waiting.front().is_some_and(|first| first.told.is_closed()) {
                line.waiting.pop_front();
            }
        }
        let first = |line: &Line| line.waiting.front().map(|first| first.since);
        let lines = || self.lines.iter().enumerate();
        let waiting = || lines().filter_map(|(number, line)| Some((first(line)?, number)));
        let longest = waiting().min().filter(|(since, _)| since.elapsed() > LONG);
        let next = longest.map(|(_, number)| number).or_else(|| {
            // Of two the one in whose thread this happens: nobody has to be woken.
            let order = |number: &usize| (self.lines[*number].in_flight, *number != ended);
            waiting().map(|(_, number)| number).min_by_key(order)
        })?;
        let first = self.lines[next].waiting.pop_front()?;
        Some((next, first.told))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.turns.state();
        state.lines[self.line].in_flight -= 1;
        let Some((line, told)) = state.next(self.line) else {
            state.free += 1;
            return;
        };
        state.lines[line].in_flight += 1;
        drop(state);
        // Where nobody waits there any more, it comes back, is dropped, and passed on.
        let _ = told.send(self.turns.turn(line));
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use tokio::{task::JoinHandle, time};

    use super::*;

    fn turns(at_once: usize) -> (Arc<Turns>, usize, usize) {
        let turns = Arc::new(Turns::new(at_once));
        let (one, other) = (turns.line(), turns.line());
        (turns, one, other)
    }

    /// Begins to wait in a line.
    async fn waiting(turns: &Arc<Turns>, line: usize) -> JoinHandle<Option<Turn>> {
        let turns = Arc::clone(turns);
        let waits = tokio::spawn(async move { turns.take(line).await });
        tokio::task::yield_now().await;
        waits
    }

    async fn has_come(turn: JoinHandle<Option<Turn>>) -> Turn {
        let turn = time::timeout(Duration::from_millis(1), turn).await;
        turn.expect("it is its turn").unwrap().unwrap()
    }

    async fn has_not_come(
        turn: &mut (impl Future<Output = Result<Option<Turn>, tokio::task::JoinError>> + Unpin),
    ) {
        assert!(time::timeout(Duration::from_millis(1), turn).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_goes_to_the_line_that_has_fewest() {
        let (turns, one, other) = turns(3);
        let held = [
            turns.take(one).await,
            turns.take(one).await,
            turns.take(one).await,
        ];
        let mut first = waiting(&turns, one).await;
        let later = waiting(&turns, other).await;
        let [a, b, c] = held;
        drop(a);
        let later = has_come(later).await;
        has_not_come(&mut first).await;
        drop(b);
        let first = has_come(first).await;
        drop((c, first, later));
        assert_eq!(turns.state().free, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_waited_for_long_is_next() {
        let (turns, one, other) = turns(2);
        let held = (turns.take(one).await, turns.take(one).await);
        let first = waiting(&turns, one).await;
        time::advance(LONG).await;
        let mut later = waiting(&turns, other).await;
        time::advance(Duration::from_millis(1)).await;
        drop(held.0);
        let _first = has_come(first).await;
        has_not_come(&mut later).await;
        drop(held.1);
        has_come(later).await;
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_gone_keeps_nobody_waiting() {
        let (turns, one, other) = turns(1);
        let held = turns.take(one).await;
        for line in [one, other, one] {
            waiting(&turns, line).await.abort();
        }
        let last = waiting(&turns, other).await;
        drop(held);
        drop(has_come(last).await);
        assert_eq!(turns.state().free, 1);
        assert!(turns.state().lines.iter().all(|line| line.in_flight == 0));
    }

    #[tokio::test(start_paused = true)]
    async fn where_there_are_no_more_turns_nobody_waits() {
        let (turns, one, other) = turns(1);
        let held = turns.take(one).await;
        let waits = waiting(&turns, other).await;
        turns.close();
        assert!(waits.await.unwrap().is_none());
        drop(held);
        assert!(turns.take(one).await.is_none());
    }
}
