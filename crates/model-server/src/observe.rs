//! What a server counts and remembers about the calls it has had.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;

use crate::model::{ContentHash, Operation, Request};
use crate::server::{KeepRequests, Settings};

/// What has happened so far, or since the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Calls that have begun, whatever became of them.
    pub calls: u64,
    /// Calls that are being answered now.
    pub in_flight: u64,
    /// The most calls that were being answered at one time.
    pub peak_in_flight: u64,
    /// Calls that have begun, by model id as the client gave it.
    pub by_model: BTreeMap<String, u64>,
    /// Calls that have ended, by outcome: the stop reason (`end_turn` …), the exception with its HTTP status
    /// (`ThrottlingException` …) or within the stream (`throttlingException` …), `cut`, `ended_early`,
    /// `disconnected`, or `abandoned` where the client went away first.
    pub by_outcome: BTreeMap<String, u64>,
    /// The same, by model id and then by outcome.
    pub by_model_and_outcome: BTreeMap<String, BTreeMap<String, u64>>,
    /// How often each content was asked for, most often first; empty unless [`Settings::track_contents`] is on.
    pub contents: Vec<ContentCalls>,
}

/// How often one content was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ContentCalls {
    /// See [`Request::content_hash`].
    pub hash: ContentHash,
    /// Calls with it.
    pub calls: u64,
}

/// A call as the request log has it. Text is in it only where bodies are kept.
#[derive(Clone, Debug, Serialize)]
pub struct RequestRecord {
    /// The call's number, counted from 1 since the last reset.
    pub number: u64,
    /// Milliseconds from the server's start to the call's.
    pub at_ms: u64,
    /// What was called.
    pub operation: Operation,
    /// The model id or ARN, decoded.
    pub model_id: String,
    /// Bytes of the system blocks' text.
    pub system_bytes: usize,
    /// Bytes of the last user message's text.
    pub user_bytes: usize,
    /// How many messages there were.
    pub messages: usize,
    /// The longest answer that was asked for, in tokens.
    pub max_tokens: Option<u32>,
    /// See [`Request::content_hash`]; only where [`Settings::track_contents`] is on.
    pub hash: Option<ContentHash>,
    /// What became of it, as in [`Counters::by_outcome`]; `None` while it is being answered.
    pub outcome: Option<&'static str>,
    /// The request's body; only where [`Settings::keep_bodies`] is on.
    pub body: Option<String>,
}

/// The outcome of a call whose client went away.
pub(crate) const ABANDONED: &str = "abandoned";

pub(crate) struct Observer {
    started: Instant,
    keep: KeepRequests,
    keep_bodies: bool,
    track_contents: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: u64,
    in_flight: u64,
    peak_in_flight: u64,
    models: HashMap<String, ModelState>,
    contents: HashMap<ContentHash, u64>,
    log: VecDeque<RequestRecord>,
    /// Counts resets, so that the end of a call from before one is not told to a record from after it.
    epoch: u64,
}

#[derive(Default)]
struct ModelState {
    calls: u64,
    // A handful of outcomes: a list is quicker than a map.
    outcomes: Vec<(&'static str, u64)>,
}

impl Observer {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            started: Instant::now(),
            keep: settings.keep_requests,
            keep_bodies: settings.keep_bodies,
            track_contents: settings.track_contents,
            state: Mutex::default(),
        }
    }

    /// Counts the begin of a call; its end is counted by what is returned.
    pub(crate) fn begin(self: &Arc<Self>, model_id: &str) -> CallGuard {
        let mut state = self.state.lock();
        state.calls += 1;
        state.in_flight += 1;
        state.peak_in_flight = state.peak_in_flight.max(state.in_flight);
        let model = state.model(model_id);
        model.calls += 1;
        CallGuard {
            number: state.calls,
            epoch: state.epoch,
            model_id: model_id.to_owned(),
            outcome: ABANDONED,
            logged: false,
            observer: Arc::clone(self),
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        let state = self.state.lock();
        let mut counters = Counters {
            calls: state.calls,
            in_flight: state.in_flight,
            peak_in_flight: state.peak_in_flight,
            ..Counters::default()
        };
        for (id, model) in &state.models {
            counters.by_model.insert(id.clone(), model.calls);
            let of_model = counters.by_model_and_outcome.entry(id.clone()).or_default();
            for (outcome, calls) in &model.outcomes {
                *counters.by_outcome.entry((*outcome).to_owned()).or_default() += calls;
                *of_model.entry((*outcome).to_owned()).or_default() += calls;
            }
        }
        counters.contents = state
            .contents
            .iter()
            .map(|(hash, calls)| ContentCalls {
                hash: *hash,
                calls: *calls,
            })
            .collect();
        counters
            .contents
            .sort_unstable_by_key(|content| (std::cmp::Reverse(content.calls), content.hash));
        counters
    }

    pub(crate) fn requests(&self) -> Vec<RequestRecord> {
        self.state.lock().log.iter().cloned().collect()
    }

    /// Forgets everything but the calls that are being answered.
    pub(crate) fn reset(&self) {
        let mut state = self.state.lock();
        let in_flight = state.in_flight;
        *state = State {
            in_flight,
            peak_in_flight: in_flight,
            epoch: state.epoch + 1,
            ..State::default()
        };
    }
}

impl State {
    fn model(&mut self, id: &str) -> &mut ModelState {
        self.models.entry(id.to_owned()).or_default()
    }
}

/// A call that is being answered. Dropped without an outcome, it was abandoned by its client.
pub(crate) struct CallGuard {
    observer: Arc<Observer>,
    number: u64,
    epoch: u64,
    model_id: String,
    outcome: &'static str,
    logged: bool,
}

impl CallGuard {
    /// Says what became of the call. The last word counts.
    pub(crate) fn outcome(&mut self, outcome: &'static str) {
        self.outcome = outcome;
    }

    /// Remembers the request, as far as the settings want it remembered.
    pub(crate) fn record(&mut self, operation: Operation, request: &Request) {
        let observer = &self.observer;
        let hash = observer.track_contents.then(|| request.content_hash());
        let kept = match observer.keep {
            KeepRequests::None => 0,
            KeepRequests::Last(n) => n,
            KeepRequests::All => usize::MAX,
        };
        if hash.is_none() && kept == 0 {
            return;
        }
        let mut state = observer.state.lock();
        if let Some(hash) = hash {
            *state.contents.entry(hash).or_default() += 1;
        }
        if kept == 0 {
            return;
        }
        if state.log.len() >= kept {
            state.log.pop_front();
        }
        state.log.push_back(RequestRecord {
            number: self.number,
            at_ms: u64::try_from(observer.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            operation,
            model_id: self.model_id.clone(),
            system_bytes: request.system.len(),
            user_bytes: request.last_user_text().len(),
            messages: request.messages.len(),
            max_tokens: request.inference.max_tokens,
            hash,
            outcome: None,
            body: observer.keep_bodies.then(|| text(&request.body)),
        });
        self.logged = true;
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        let mut state = self.observer.state.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        if state.epoch != self.epoch {
            return;
        }
        let outcomes = &mut state.model(&self.model_id).outcomes;
        match outcomes.iter_mut().find(|(outcome, _)| *outcome == self.outcome) {
            Some((_, calls)) => *calls += 1,
            None => outcomes.push((self.outcome, 1)),
        }
        if self.logged {
            let record = state
                .log
                .iter_mut()
                .rev()
                .find(|record| record.number == self.number);
            if let Some(record) = record {
                record.outcome = Some(self.outcome);
            }
        }
    }
}

fn text(body: &Bytes) -> String {
    String::from_utf8_lossy(body).into_owned()
}
