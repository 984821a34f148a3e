//! The state machine file: the part of the Amazon States Language that we use, and a refusal of
//! everything else.

use std::collections::{BTreeMap, BTreeSet};

use bedrock_diy_core::{Code, Failure, error::Result};
use serde::Deserialize;
use serde_json::Value;

use super::{advance::reserved, paths::Path};

/// The most seconds that Step Functions takes in a `TimeoutSeconds` or `IntervalSeconds`, and the most attempts.
const LONGEST: u64 = 99_999_999;

/// A leap year in seconds: a `MaxDelaySeconds` must be below it.
const A_YEAR: u64 = 31_622_400;

/// A state machine, checked: every `Next` names a state, and every state can be reached.
#[derive(Debug, Clone, PartialEq)]
pub struct StateMachine {
    /// The first state.
    pub start_at: String,
    /// The states by name.
    pub states: BTreeMap<String, State>,
}

/// A state.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Runs a handler.
    Task(Task),
    /// Chooses the next state.
    Choice(Choice),
    /// Waits.
    Wait(Wait),
    /// Ends well.
    Succeed,
    /// Ends badly.
    Fail(Fail),
}

/// Runs a handler.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Task {
    /// For readers.
    #[serde(default, rename = "Comment")]
    _comment: Option<String>,
    /// Which one: `${PlanFunctionArn}` is substituted on AWS; here it is the handler's name.
    pub resource: String,
    /// The next state.
    pub next: String,
    /// How long the handler may take, in seconds.
    #[serde(default = "a_minute")]
    pub timeout_seconds: u64,
    /// Where the result goes in the input; `null` throws it away.
    #[serde(default, deserialize_with = "present")]
    pub result_path: ResultPath,
    /// What to try again.
    #[serde(default)]
    pub retry: Vec<Retrier>,
    /// What to do about errors that are not, or no longer, tried again.
    #[serde(default)]
    pub catch: Vec<Catcher>,
}

/// Where a task's result goes.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum ResultPath {
    /// It takes the place of the input (`$`).
    #[default]
    Replace,
    /// It is thrown away and the input goes on (`null`).
    Discard,
    /// It is put into the input there.
    At(Path),
}

/// Tries again.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Retrier {
    /// Which errors.
    pub error_equals: Vec<String>,
    /// The first delay, in seconds.
    #[serde(default = "one")]
    pub interval_seconds: u64,
    /// What each delay is multiplied by for the next.
    #[serde(default = "two")]
    pub backoff_rate: f64,
    /// How often at most.
    #[serde(default = "three")]
    pub max_attempts: u32,
    /// The longest delay, in seconds.
    #[serde(default)]
    pub max_delay_seconds: Option<u64>,
    /// Whether a delay is drawn at random between 0 and itself.
    #[serde(default)]
    pub jitter_strategy: Jitter,
}

/// Whether delays are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Jitter {
    /// They are not.
    #[default]
    None,
    /// From 0 to the whole delay.
    Full,
}

/// Goes on elsewhere after an error.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Catcher {
    /// Which errors.
    pub error_equals: Vec<String>,
    /// The next state.
    pub next: String,
    /// Where the error goes in the input.
    #[serde(default, deserialize_with = "present")]
    pub result_path: ResultPath,
}

/// Chooses the next state.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Choice {
    #[serde(default, rename = "Comment")]
    _comment: Option<String>,
    /// The first rule that holds.
    pub choices: Vec<Rule>,
    /// Where to go when none holds.
    #[serde(default)]
    pub default: Option<String>,
}

/// A rule of a choice.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Rule {
    /// What is compared.
    pub variable: Path,
    /// With what.
    pub string_equals: String,
    /// The next state.
    pub next: String,
}

/// Waits.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Wait {
    #[serde(default, rename = "Comment")]
    _comment: Option<String>,
    /// So many seconds.
    #[serde(default)]
    pub seconds: Option<u64>,
    /// As many seconds as the input says there.
    #[serde(default)]
    pub seconds_path: Option<Path>,
    /// The next state.
    pub next: String,
}

/// Ends badly.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Fail {
    #[serde(default, rename = "Comment")]
    _comment: Option<String>,
    /// The error's name.
    #[serde(default)]
    pub error: Option<String>,
    /// What happened.
    #[serde(default)]
    pub cause: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Succeed {
    #[serde(default, rename = "Comment")]
    _comment: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Document {
    #[serde(default, rename = "Comment")]
    _comment: Option<String>,
    start_at: String,
    states: BTreeMap<String, Value>,
}

impl StateMachine {
    /// Reads a definition. Fails with [`Code::InvalidRequest`], naming the state and what is wrong
    /// with it.
    pub fn parse(json: &str) -> Result<Self> {
        let document: Document =
            serde_json::from_str(json).map_err(|error| refused(&format!("the file: {error}")))?;
        let states = document
            .states
            .into_iter()
            .map(|(name, value)| {
                let state = State::parse(value).map_err(|what| refused(&format!("state {name}: {what}")))?;
                Ok((name, state))
            })
            .collect::<Result<_>>()?;
        let machine = Self {
            start_at: document.start_at,
            states,
        };
        machine.check()?;
        Ok(machine)
    }

    /// The resources that its tasks name.
    #[must_use]
    pub fn resources(&self) -> BTreeSet<&str> {
        self.states
            .values()
            .filter_map(|state| match state {
                State::Task(task) => Some(task.resource.as_str()),
                _ => None,
            })
            .collect()
    }

    fn check(&self) -> Result<()> {
        if !self.states.contains_key(&self.start_at) {
            return Err(refused(&format!(
                "StartAt names {}, which is no state",
                self.start_at
            )));
        }
        let mut reached = BTreeSet::from([self.start_at.as_str()]);
        let mut open = vec![self.start_at.as_str()];
        while let Some(name) = open.pop() {
            for next in self.states.get(name).map(State::followers).unwrap_or_default() {
                if !self.states.contains_key(next) {
                    return Err(refused(&format!(
                        "state {name}: it leads to {next}, which is no state"
                    )));
                }
                if reached.insert(next) {
                    open.push(next);
                }
            }
        }
        if let Some(lost) = self.states.keys().find(|name| !reached.contains(name.as_str())) {
            return Err(refused(&format!("state {lost}: nothing leads there")));
        }
        match self.states.keys().find(|name| self.chooses_for_ever(name)) {
            Some(name) => Err(refused(&format!(
                "state {name}: Choice states lead back to it, and nothing between them changes what is chosen by"
            ))),
            None => Ok(()),
        }
    }

    /// Whether a Choice may come back to itself by nothing but Choices.
    fn chooses_for_ever(&self, name: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![name];
        while let Some(at) = open.pop() {
            if let Some(state @ State::Choice(_)) = self.states.get(at) {
                for next in state.followers() {
                    if next == name {
                        return true;
                    }
                    if seen.insert(next) {
                        open.push(next);
                    }
                }
            }
        }
        false
    }
}

impl State {
    fn parse(mut value: Value) -> std::result::Result<Self, String> {
        let kind = value.as_object_mut().and_then(|fields| fields.remove("Type"));
        let kind = kind.as_ref().and_then(Value::as_str).ok_or("it has no Type")?;
        let said = |error: serde_json::Error| error.to_string();
        let state = match kind {
            "Task" => Self::Task(serde_json::from_value(value).map_err(said)?),
            "Choice" => Self::Choice(serde_json::from_value(value).map_err(said)?),
            "Wait" => Self::Wait(serde_json::from_value(value).map_err(said)?),
            "Succeed" => serde_json::from_value::<Succeed>(value)
                .map(|_| Self::Succeed)
                .map_err(said)?,
            "Fail" => Self::Fail(serde_json::from_value(value).map_err(said)?),
            other => {
                return Err(format!(
                    "its Type {other} is not known here (Task, Choice, Wait, Succeed, Fail are)"
                ));
            }
        };
        state.check()?;
        Ok(state)
    }

    fn check(&self) -> std::result::Result<(), String> {
        match self {
            Self::Wait(wait) if wait.seconds.is_some() == wait.seconds_path.is_some() => {
                Err("it needs either Seconds or SecondsPath".into())
            }
            Self::Choice(choice) if choice.choices.is_empty() => Err("it has no Choices".into()),
            Self::Task(task) => {
                check_errors("Retry", task.retry.iter().map(|retrier| &retrier.error_equals))?;
                check_errors("Catch", task.catch.iter().map(|catcher| &catcher.error_equals))?;
                if !(1..=LONGEST).contains(&task.timeout_seconds) {
                    return Err(format!("its TimeoutSeconds must be from 1 to {LONGEST}"));
                }
                task.retry.iter().try_for_each(Retrier::check)
            }
            _ => Ok(()),
        }
    }

    fn followers(&self) -> Vec<&str> {
        match self {
            Self::Task(task) => task
                .catch
                .iter()
                .map(|catcher| catcher.next.as_str())
                .chain([task.next.as_str()])
                .collect(),
            Self::Choice(choice) => choice
                .choices
                .iter()
                .map(|rule| rule.next.as_str())
                .chain(choice.default.as_deref())
                .collect(),
            Self::Wait(wait) => vec![&wait.next],
            Self::Succeed | Self::Fail(_) => Vec::new(),
        }
    }
}

impl Retrier {
    /// What Step Functions asks of the delays; the Amazon States Language asks the delays to be positive, and no more.
    fn check(&self) -> std::result::Result<(), String> {
        if self.backoff_rate < 1.0 {
            return Err("a BackoffRate is below 1".into());
        }
        if !(1..=LONGEST).contains(&self.interval_seconds) {
            return Err(format!("an IntervalSeconds must be from 1 to {LONGEST}"));
        }
        if u64::from(self.max_attempts) > LONGEST {
            return Err(format!("a MaxAttempts must be up to {LONGEST}"));
        }
        match self.max_delay_seconds {
            Some(longest) if longest <= self.interval_seconds || longest >= A_YEAR => Err(format!(
                "a MaxDelaySeconds must be above its IntervalSeconds, which is {}, and below {A_YEAR}",
                self.interval_seconds
            )),
            _ => Ok(()),
        }
    }
}

/// What the Amazon States Language asks of the `ErrorEquals` of a `Retry` or a `Catch`. A reserved name
/// that means nothing here is refused: it would never match, and nobody would know.
fn check_errors<'a>(
    field: &str,
    lists: impl ExactSizeIterator<Item = &'a Vec<String>>,
) -> std::result::Result<(), String> {
    const KNOWN: [&str; 3] = [reserved::ALL, reserved::TASK_FAILED, reserved::TIMEOUT];
    let last = lists.len().saturating_sub(1);
    for (index, names) in lists.enumerate() {
        if names.is_empty() {
            return Err("an ErrorEquals is empty".into());
        }
        if let Some(unknown) = names
            .iter()
            .find(|name| name.starts_with("States.") && !KNOWN.contains(&name.as_str()))
        {
            let known = KNOWN.join(", ");
            return Err(format!(
                "its {field} names {unknown}, which can't be caught here ({known} can)"
            ));
        }
        if names.iter().any(|name| name == reserved::ALL) && (names.len() > 1 || index < last) {
            return Err(format!(
                "States.ALL must stand alone in its ErrorEquals, and last in {field}"
            ));
        }
    }
    Ok(())
}

/// Tells `null` (throw the result away) from absent (replace the input).
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<ResultPath, D::Error> {
    Ok(match Option::<Path>::deserialize(deserializer)? {
        Some(path) if path.to_string() == "$" => ResultPath::Replace,
        Some(path) => ResultPath::At(path),
        None => ResultPath::Discard,
    })
}

fn refused(what: &str) -> Failure {
    Failure::new(
        Code::InvalidRequest,
        format!("the state machine can't be run: {what}"),
    )
}

/// What the Amazon States Language says where nothing is said.
fn a_minute() -> u64 {
    60
}

fn one() -> u64 {
    1
}

fn two() -> f64 {
    2.0
}

fn three() -> u32 {
    3
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = include_str!("../../../../statemachine/article.asl.json");

    fn refusal(change: impl FnOnce(&mut Value)) -> String {
        let mut value: Value = serde_json::from_str(OURS).unwrap();
        change(&mut value);
        StateMachine::parse(&value.to_string()).unwrap_err().detail
    }

    #[test]
    fn our_state_machine_is_one_that_the_engine_runs() {
        let machine = StateMachine::parse(OURS).unwrap();
        let resources: Vec<_> = machine.resources().into_iter().collect();
        assert_eq!(
            resources,
            [
                "${FinishFunctionArn}",
                "${PlanFunctionArn}",
                "${StageFunctionArn}"
            ]
        );
    }

    #[test]
    fn every_error_that_it_names_is_a_code_of_ours_or_one_of_the_services() {
        let machine = StateMachine::parse(OURS).unwrap();
        for (name, state) in &machine.states {
            let State::Task(task) = state else { continue };
            let named = task
                .retry
                .iter()
                .map(|r| &r.error_equals)
                .chain(task.catch.iter().map(|c| &c.error_equals));
            for error in named.flatten() {
                let ours = Code::from_name(error);
                // `Lambda.*` comes from the service itself, the others from a function whose process ended or
                // whose time was over (Step Functions developer guide, "Handle Lambda service exceptions";
                // Lambda developer guide, "Troubleshooting execution issues").
                let theirs = [
                    "States.ALL",
                    "States.Timeout",
                    "Runtime.ExitError",
                    "Runtime.Unknown",
                    "Sandbox.Timedout",
                ]
                .contains(&error.as_str())
                    || error.starts_with("Lambda.");
                assert!(ours.is_some() || theirs, "state {name} names {error}");
                assert!(
                    ours.is_none_or(|code| code.class() == bedrock_diy_core::Class::Retryable),
                    "state {name} retries {error}, which time can't heal"
                );
            }
        }
    }

    #[test]
    fn what_is_not_known_is_refused_with_the_states_name() {
        assert!(
            refusal(|v| v["States"]["Plan"]["Parameters"] = Value::Null)
                .contains("state Plan: unknown field `Parameters`")
        );
        assert!(refusal(|v| v["States"]["Hold"]["Type"] = "Map".into()).contains("state Hold: its Type Map"));
        let said = refusal(|v| v["States"]["NextStep"]["Choices"][0]["Next"] = "NextStep".into());
        assert!(
            said.contains("state NextStep: Choice states lead back to it"),
            "{said}"
        );
        assert!(
            refusal(|v| v["States"]["Plan"]["Next"] = "Nowhere".into())
                .contains("Nowhere, which is no state")
        );
        assert!(
            refusal(|v| v["States"]["NextStep"]["Choices"][0]["StringMatches"] = "a*".into())
                .contains("state NextStep")
        );
        assert!(refusal(|v| v["States"]["Hold"]["SecondsPath"] = "$.a[0]".into()).contains("state Hold"));
        assert!(refusal(|v| v["QueryLanguage"] = "JSONata".into()).contains("QueryLanguage"));
        assert!(
            refusal(|v| v["States"]["Lost"] = serde_json::json!({"Type": "Succeed"})).contains("state Lost")
        );
    }

    #[test]
    fn a_limit_that_is_not_kept_is_refused() {
        assert!(refusal(|v| v["TimeoutSeconds"] = 3_600.into()).contains("TimeoutSeconds"));
    }

    #[test]
    fn seconds_that_step_functions_refuses_are_refused_with_the_states_name() {
        fn set(value: &mut Value, field: &str, to: &Value) {
            let state = &mut value["States"]["RunStage"];
            let holder = if field == "TimeoutSeconds" {
                state
            } else {
                &mut state["Retry"][0]
            };
            holder[field] = to.clone();
        }
        for (field, value) in [
            ("TimeoutSeconds", 0),
            ("TimeoutSeconds", 100_000_000),
            ("IntervalSeconds", 0),
            ("IntervalSeconds", 60),
            ("MaxAttempts", 100_000_000),
            ("MaxDelaySeconds", 0),
            ("MaxDelaySeconds", 1),
            ("MaxDelaySeconds", 31_622_400),
        ] {
            let said = refusal(|machine| set(machine, field, &value.into()));
            assert!(
                said.contains("state RunStage: ") && said.contains(field),
                "{field} {value}: {said}"
            );
        }
        let said = refusal(|machine| set(machine, "BackoffRate", &0.5.into()));
        assert!(said.contains("state RunStage: a BackoffRate"), "{said}");
        for (field, value) in [
            ("TimeoutSeconds", 99_999_999),
            ("MaxDelaySeconds", 2),
            ("MaxDelaySeconds", 31_622_399),
        ] {
            let mut machine: Value = serde_json::from_str(OURS).unwrap();
            set(&mut machine, field, &value.into());
            StateMachine::parse(&machine.to_string()).unwrap();
        }
    }

    #[test]
    fn error_names_that_would_never_match_are_refused_with_the_states_name() {
        let said =
            refusal(|v| v["States"]["Plan"]["Retry"][0]["ErrorEquals"][0] = "States.Permissions".into());
        assert!(
            said.contains("state Plan: its Retry names States.Permissions"),
            "{said}"
        );
        let said = refusal(|v| {
            v["States"]["Plan"]["Catch"][0]["ErrorEquals"] = serde_json::json!(["States.Runtime"]);
        });
        assert!(
            said.contains("state Plan: its Catch names States.Runtime"),
            "{said}"
        );
        let said = refusal(|v| {
            v["States"]["Plan"]["Catch"][0]["ErrorEquals"] =
                serde_json::json!(["States.ALL", "ModelTimeout"]);
        });
        assert!(said.contains("state Plan: States.ALL must stand alone"), "{said}");
        let said = refusal(|v| {
            v["States"]["RunStage"]["Retry"][0]["ErrorEquals"] = serde_json::json!(["States.ALL"]);
        });
        assert!(said.contains("last in Retry"), "{said}");
    }
}
