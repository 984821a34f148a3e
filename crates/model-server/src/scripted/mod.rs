//! A model that answers and fails by rule.

mod answer;
mod quota;
mod replies;
mod rules;
mod schema;
mod template;

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;
use wildmatch::WildMatch;

pub use replies::{Content, Failure, Fault, Reply, ToolCall, What};
pub use rules::{Quota, Rule, Script, Then, When};
pub use schema::JsonSchemas;

use crate::model::{Answer, ContentHash, Model, Refusal, Request, Usage};
use crate::scripted::answer::{CompiledReply, service_error};
use crate::scripted::quota::{Accounts, Reservation};
use crate::wire::errors::ServiceError;

/// A model that answers by the rules of a [`Script`], whatever JSON Schema a request asks for.
pub struct ScriptedModel {
    running: RwLock<Arc<Running>>,
}

impl ScriptedModel {
    /// A model with this script.
    pub fn new(script: Script) -> Result<Self, ScriptError> {
        Ok(Self {
            running: RwLock::new(Arc::new(Running::compile(script)?)),
        })
    }

    /// Replaces the script. Calls that are being answered go on under the old one; what was counted for
    /// rules and quotas begins anew.
    pub fn set_script(&self, script: Script) -> Result<(), ScriptError> {
        *self.running.write() = Arc::new(Running::compile(script)?);
        Ok(())
    }

    fn running(&self) -> Arc<Running> {
        Arc::clone(&self.running.read())
    }
}

impl Model for ScriptedModel {
    fn answer(
        &self,
        request: Arc<Request>,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, Refusal>> + Send + '_>> {
        match self.running().decide(&request) {
            Ok(Decision::Hang) => Box::pin(std::future::pending()),
            Ok(Decision::Answer(answer)) => Box::pin(ready(Ok(answer))),
            Err(refusal) => Box::pin(ready(Err(refusal))),
        }
    }

    fn count_tokens(&self, request: &Request) -> Result<u32, ServiceError> {
        self.running().check_model(&request.model_id)?;
        Ok(estimate_tokens(request.text_bytes()))
    }

    fn load_script(&self, script: &[u8]) -> Result<(), String> {
        let script =
            serde_json::from_slice(script).map_err(|error| format!("This is no script: {error}."))?;
        self.set_script(script).map_err(|error| error.to_string())
    }

    fn reset(&self) {
        let mut running = self.running.write();
        // It compiled before, so it compiles again.
        if let Ok(fresh) = Running::compile(running.script.clone()) {
            *running = Arc::new(fresh);
        }
    }
}

/// Why a script can't be used.
#[derive(Debug)]
pub struct ScriptError(pub(crate) String);

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The script can't be used. {}", self.0)
    }
}

impl std::error::Error for ScriptError {}

/// One token for four bytes of text, and at least one.
pub(crate) fn estimate_tokens(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(4)).unwrap_or(u32::MAX).max(1)
}

enum Decision {
    Answer(Answer),
    Hang,
}

/// A script at work, with what it has counted.
struct Running {
    script: Script,
    models: Vec<WildMatch>,
    quotas: Vec<(WildMatch, Arc<Accounts>)>,
    rules: Vec<CompiledRule>,
    otherwise: CompiledReply,
    calls: AtomicU64,
    /// How often each content was seen; kept only where a rule asks for it.
    contents: Option<Mutex<HashMap<ContentHash, u64>>>,
}

struct CompiledRule {
    when: When,
    model: Option<WildMatch>,
    times: u64,
    then: CompiledThen,
    fitting: AtomicU64,
    used: AtomicU64,
}

enum CompiledThen {
    Reply(Box<CompiledReply>),
    Error(ServiceError),
    Hang,
    Disconnect,
}

impl Running {
    fn compile(script: Script) -> Result<Self, ScriptError> {
        let now = Instant::now();
        let quotas = script.quotas.iter().cloned();
        let asks_for_content =
            |rule: &Rule| rule.when.first_of_content.is_some() || rule.when.repeat.is_some();
        Ok(Self {
            models: script
                .models
                .iter()
                .map(|pattern| WildMatch::new(pattern))
                .collect(),
            quotas: quotas
                .map(|quota| (WildMatch::new(&quota.model), Arc::new(Accounts::new(quota, now))))
                .collect(),
            rules: script
                .rules
                .iter()
                .cloned()
                .map(CompiledRule::compile)
                .collect::<Result<_, _>>()?,
            otherwise: CompiledReply::compile(script.otherwise.clone())?,
            calls: AtomicU64::new(0),
            contents: script.rules.iter().any(asks_for_content).then(Mutex::default),
            script,
        })
    }

    fn check_model(&self, id: &str) -> Result<(), ServiceError> {
        if self.models.iter().any(|pattern| pattern.matches(id)) {
            Ok(())
        } else {
            Err(ServiceError::unknown_model())
        }
    }

    fn decide(&self, request: &Request) -> Result<Decision, Refusal> {
        self.check_model(&request.model_id)?;
        if let Some(schema) = &request.json_schema {
            self.script.json_schemas.check(schema)?;
        }
        let reservation = self.reserve(request)?;
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let seen = self.contents.as_ref().map_or(0, |contents| {
            let mut contents = contents.lock();
            let seen = contents.entry(request.content_hash()).or_default();
            *seen += 1;
            *seen
        });
        let then = self
            .rules
            .iter()
            .find(|rule| rule.fits(request, seen))
            .map(|rule| &rule.then);
        let reply = match then {
            None => &self.otherwise,
            Some(CompiledThen::Reply(reply)) => reply.as_ref(),
            Some(CompiledThen::Error(error)) => {
                // A call that failed is a request, and no tokens.
                if let Some(reservation) = reservation {
                    reservation.settle(&Usage::default());
                }
                return Err(error.clone().into());
            }
            Some(CompiledThen::Disconnect) => return Err(Refusal::Disconnect),
            Some(CompiledThen::Hang) => return Ok(Decision::Hang),
        };
        Ok(Decision::Answer(Box::pin(reply.answer(
            request,
            call,
            reservation,
        ))))
    }

    fn reserve(&self, request: &Request) -> Result<Option<Reservation>, ServiceError> {
        let Some((_, accounts)) = self
            .quotas
            .iter()
            .find(|(pattern, _)| pattern.matches(&request.model_id))
        else {
            return Ok(None);
        };
        accounts
            .reserve(request, estimate_tokens(request.text_bytes()), Instant::now())
            .map(Some)
    }
}

impl CompiledRule {
    fn compile(rule: Rule) -> Result<Self, ScriptError> {
        if rule.when.every == Some(0) {
            return Err(ScriptError(
                "A rule for every 0th call never fits: 'every' counts from 1.".to_owned(),
            ));
        }
        if rule.when.call == Some(0) || rule.when.repeat == Some(0) {
            return Err(ScriptError(
                "There is no 0th call: 'call' and 'repeat' count from 1.".to_owned(),
            ));
        }
        let then = match rule.then {
            Then::Reply(reply) => CompiledThen::Reply(Box::new(CompiledReply::compile(reply)?)),
            Then::Error(failure) => CompiledThen::Error(service_error(&failure)),
            Then::Hang => CompiledThen::Hang,
            Then::Disconnect => CompiledThen::Disconnect,
        };
        Ok(Self {
            model: rule.when.model.as_deref().map(WildMatch::new),
            when: rule.when,
            times: rule.times.unwrap_or(u64::MAX),
            then,
            fitting: AtomicU64::new(0),
            used: AtomicU64::new(0),
        })
    }

    /// Whether the rule answers this request; it counts that it was asked. `seen` is how often the content
    /// was seen, this call included.
    fn fits(&self, request: &Request, seen: u64) -> bool {
        let When {
            system_contains,
            user_contains,
            first_of_content,
            repeat,
            call,
            every,
            ..
        } = &self.when;
        let fits = self
            .model
            .as_ref()
            .is_none_or(|pattern| pattern.matches(&request.model_id))
            && system_contains
                .as_ref()
                .is_none_or(|text| request.system.contains(text))
            && user_contains
                .as_ref()
                .is_none_or(|text| request.last_user_text().contains(text))
            && first_of_content.is_none_or(|n| seen <= n)
            && repeat.is_none_or(|n| seen == n);
        if !fits {
            return false;
        }
        let nth = self.fitting.fetch_add(1, Ordering::Relaxed) + 1;
        if call.is_some_and(|n| n != nth) || every.is_some_and(|n| !nth.is_multiple_of(n)) {
            return false;
        }
        let take = |used: u64| (used < self.times).then_some(used + 1);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }
}
