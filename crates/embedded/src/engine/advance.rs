//! What comes after what: a function of the state machine, where an execution stands, and what
//! happened. No I/O, no clock, no randomness of its own.

use bedrock_diy_core::{Class, Code};
use serde_json::{Value, json};

use super::definition::{Choice, Jitter, ResultPath, Retrier, State, StateMachine, Task, Wait};
use crate::executions::Position;

/// How a handler ended.
pub type TaskOutcome = Result<Value, TaskError>;

/// A handler's error, as the Amazon States Language knows errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskError {
    /// Its name, for `ErrorEquals`.
    pub error: String,
    /// What happened.
    pub cause: String,
}

impl TaskError {
    /// Whether it is the error of a handler that may do better another time.
    pub(super) fn is_retryable(&self) -> bool {
        Code::from_name(&self.error).is_some_and(|code| code.class() == Class::Retryable)
    }
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Run this handler on the position's input, for at most so many seconds.
    Run {
        /// The handler.
        resource: String,
        /// The time limit.
        timeout_seconds: u64,
    },
    /// Come back in so many milliseconds.
    Sleep {
        /// How long.
        millis: i64,
    },
    /// It has ended.
    End(Ending),
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// In a `Succeed` state.
    Succeeded,
    /// In a `Fail` state with its error, or by an error that nobody caught.
    Failed(TaskError),
}

/// The names that the Amazon States Language reserves for errors that it finds itself.
pub(super) mod reserved {
    /// In `ErrorEquals`: every error that can be caught.
    pub(crate) const ALL: &str = "States.ALL";
    /// In `ErrorEquals`: every error that can be caught, but for a timeout.
    pub(crate) const TASK_FAILED: &str = "States.TaskFailed";
    /// A handler took too long.
    pub(crate) const TIMEOUT: &str = "States.Timeout";
    /// The state machine can't go on. Nothing catches it and nothing retries it, not even
    /// [`ALL`] (Step Functions Developer Guide, "Handling errors").
    pub(crate) const RUNTIME: &str = "States.Runtime";
    /// A `Choice` without a `Default` found no rule that holds.
    pub(crate) const NO_CHOICE_MATCHED: &str = "States.NoChoiceMatched";
    /// A result's place in the input is none.
    pub(crate) const RESULT_PATH_MATCH_FAILURE: &str = "States.ResultPathMatchFailure";
}

/// Goes on from a position until something is to be done.
///
/// A waiting state moves the position on before it sleeps, so that waking up is nothing special.
pub fn proceed(machine: &StateMachine, position: &mut Position) -> Step {
    loop {
        let name = position.state.get_or_insert_with(|| machine.start_at.clone());
        match machine.states.get(name) {
            Some(State::Task(task)) => {
                return Step::Run {
                    resource: task.resource.clone(),
                    timeout_seconds: task.timeout_seconds,
                };
            }
            Some(State::Choice(choice)) => match choose(choice, &position.input) {
                Some(next) => enter(position, next),
                None => return fails(reserved::NO_CHOICE_MATCHED, format!("no rule of {name} holds")),
            },
            Some(State::Wait(wait)) => {
                let Some(seconds) = wait_seconds(wait, &position.input) else {
                    let what = format!("the input of {name} does not say how many seconds to wait");
                    return fails(reserved::RUNTIME, what);
                };
                enter(position, &wait.next);
                return Step::Sleep {
                    millis: i64::try_from(seconds)
                        .unwrap_or(i64::MAX / 1_000)
                        .saturating_mul(1_000),
                };
            }
            Some(State::Succeed) => return Step::End(Ending::Succeeded),
            Some(State::Fail(fail)) => {
                let error = fail.error.as_deref().unwrap_or(name);
                return fails(error, fail.cause.clone().unwrap_or_default());
            }
            None => {
                return fails(
                    reserved::RUNTIME,
                    format!("the state machine has no state {name}"),
                );
            }
        }
    }
}

fn fails(error: &str, cause: String) -> Step {
    Step::End(Ending::Failed(TaskError {
        error: error.to_owned(),
        cause,
    }))
}

/// Takes a handler's outcome. `random` lies in 0..1 and spreads retries.
///
/// Returns how long to wait before [`proceed`], in milliseconds, or the end.
pub fn settle(machine: &StateMachine, position: &mut Position, outcome: TaskOutcome, random: f64) -> Step {
    let Some(State::Task(task)) = position.state.as_ref().and_then(|name| machine.states.get(name)) else {
        return fails(reserved::RUNTIME, "a result came back to no task".to_owned());
    };
    match outcome {
        Ok(result) => match place(&task.result_path, position.input.take(), result) {
            Some(input) => {
                position.input = input;
                enter(position, &task.next);
                Step::Sleep { millis: 0 }
            }
            None => misplaced(&task.result_path),
        },
        Err(error) => recover(task, position, error, random),
    }
}

fn recover(task: &Task, position: &mut Position, error: TaskError, random: f64) -> Step {
    if let Some((index, retrier)) = matching(&task.retry, |retrier| &retrier.error_equals, &error.error) {
        position.retries.resize(task.retry.len(), 0);
        if let Some(retries) = position
            .retries
            .get_mut(index)
            .filter(|retries| **retries < retrier.max_attempts)
        {
            let millis = delay_millis(retrier, *retries, random);
            *retries += 1;
            return Step::Sleep { millis };
        }
    }
    let Some((_, catcher)) = matching(&task.catch, |catcher| &catcher.error_equals, &error.error) else {
        return Step::End(Ending::Failed(error));
    };
    let caught = json!({ "Error": error.error, "Cause": error.cause });
    match place(&catcher.result_path, position.input.take(), caught) {
        Some(input) => {
            position.input = input;
            enter(position, &catcher.next);
            Step::Sleep { millis: 0 }
        }
        None => misplaced(&catcher.result_path),
    }
}

/// Not offered to `Catch`: a caught error would be put into the same input, which is no object.
fn misplaced(path: &ResultPath) -> Step {
    let place = match path {
        ResultPath::At(path) => path.to_string(),
        ResultPath::Replace | ResultPath::Discard => "$".to_owned(),
    };
    fails(
        reserved::RESULT_PATH_MATCH_FAILURE,
        format!("there is no place {place} in the input"),
    )
}

fn enter(position: &mut Position, state: &str) {
    position.state = Some(state.to_owned());
    position.retries.clear();
}

fn choose<'a>(choice: &'a Choice, input: &Value) -> Option<&'a str> {
    choice
        .choices
        .iter()
        .find(|rule| rule.variable.get(input).and_then(Value::as_str) == Some(&rule.string_equals))
        .map(|rule| rule.next.as_str())
        .or(choice.default.as_deref())
}

fn wait_seconds(wait: &Wait, input: &Value) -> Option<u64> {
    match &wait.seconds_path {
        Some(path) => path.get(input).and_then(Value::as_u64),
        None => wait.seconds,
    }
}

fn place(path: &ResultPath, input: Value, result: Value) -> Option<Value> {
    match path {
        ResultPath::Replace => Some(result),
        ResultPath::Discard => Some(input),
        ResultPath::At(path) => path.put(input, result),
    }
}

fn matching<'a, T>(
    items: &'a [T],
    errors: impl Fn(&T) -> &Vec<String>,
    error: &str,
) -> Option<(usize, &'a T)> {
    items
        .iter()
        .enumerate()
        .find(|(_, item)| errors(item).iter().any(|name| matches(name, error)))
}

/// Whether a name of `ErrorEquals` means this error.
fn matches(name: &str, error: &str) -> bool {
    match name {
        _ if error == reserved::RUNTIME => false,
        reserved::ALL => true,
        reserved::TASK_FAILED => error != reserved::TIMEOUT,
        name => name == error,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "bounded by a day")]
fn delay_millis(retrier: &Retrier, retries: u32, random: f64) -> i64 {
    const A_DAY: f64 = 86_400.0;
    let exponent = i32::try_from(retries).unwrap_or(i32::MAX);
    let seconds = retrier.interval_seconds as f64 * retrier.backoff_rate.powi(exponent);
    let most = retrier.max_delay_seconds.map_or(A_DAY, |most| most as f64);
    let millis = seconds.min(most) * 1_000.0;
    match retrier.jitter_strategy {
        Jitter::None => millis as i64,
        Jitter::Full => (millis * random) as i64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedrock_diy_core::time::Timestamp;

    fn machine() -> StateMachine {
        StateMachine::parse(include_str!("../../../../statemachine/article.asl.json")).unwrap()
    }

    fn position(next: &str) -> Position {
        Position {
            state: Some("NextStep".into()),
            input: json!({"jobId": "j", "stage": 1, "next": next, "waitSeconds": 7}),
            retries: Vec::new(),
            started_at: Timestamp::default(),
        }
    }

    fn error(error: &str) -> TaskOutcome {
        Err(TaskError {
            error: error.into(),
            cause: "why".into(),
        })
    }

    #[test]
    fn the_cursor_says_where_to_go() {
        let machine = machine();
        let run = |resource: &str, timeout_seconds| Step::Run {
            resource: resource.into(),
            timeout_seconds,
        };
        assert_eq!(
            proceed(&machine, &mut position("stage")),
            run("${StageFunctionArn}", 900)
        );
        assert_eq!(
            proceed(&machine, &mut position("finish")),
            run("${FinishFunctionArn}", 300)
        );
        let mut waiting = position("wait");
        assert_eq!(proceed(&machine, &mut waiting), Step::Sleep { millis: 7_000 });
        assert_eq!(proceed(&machine, &mut waiting), run("${StageFunctionArn}", 900));
    }

    #[test]
    fn a_retryable_error_is_tried_again_with_growing_delays_and_then_caught() {
        let machine = machine();
        let mut at = position("stage");
        proceed(&machine, &mut at);
        let mut delays = Vec::new();
        loop {
            let Step::Sleep { millis } = settle(&machine, &mut at, error("ModelUnavailable"), 1.0) else {
                panic!()
            };
            if at.state.as_deref() != Some("RunStage") {
                break;
            }
            delays.push(millis);
        }
        assert_eq!(
            delays,
            [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]
        );
        assert_eq!(at.state.as_deref(), Some("CloseFailed"));
        assert_eq!(
            at.input["error"],
            json!({"Error": "ModelUnavailable", "Cause": "why"})
        );
    }

    #[test]
    fn a_terminal_error_is_caught_at_once_and_closes_the_job() {
        let machine = machine();
        let mut at = position("stage");
        proceed(&machine, &mut at);
        assert_eq!(
            settle(&machine, &mut at, error("SchemaMismatch"), 0.5),
            Step::Sleep { millis: 0 }
        );
        assert_eq!(at.state.as_deref(), Some("CloseFailed"));
        settle(&machine, &mut at, Ok(json!({"anything": 1})), 0.0);
        assert_eq!(at.input["jobId"], "j", "the result of closing is thrown away");
        let Step::End(Ending::Failed(why)) = proceed(&machine, &mut at) else {
            panic!()
        };
        assert_eq!(why.error, "JobFailed");
    }

    #[test]
    fn what_no_rule_knows_ends_the_execution_and_says_so() {
        let machine = machine();
        let Step::End(Ending::Failed(why)) = proceed(&machine, &mut position("dance")) else {
            panic!()
        };
        assert_eq!(why.error, "InternalError");
        assert!(why.cause.contains("does not know"), "{}", why.cause);
        let mut lost = position("stage");
        lost.state = Some("OfAnEarlierVersion".into());
        let Step::End(Ending::Failed(why)) = proceed(&machine, &mut lost) else {
            panic!()
        };
        assert_eq!(why.error, "States.Runtime");
    }

    #[test]
    fn a_slow_stage_is_tried_again() {
        let machine = machine();
        let mut at = position("stage");
        proceed(&machine, &mut at);
        assert!(matches!(
            settle(&machine, &mut at, error("States.Timeout"), 1.0),
            Step::Sleep { millis: 1_000 }
        ));
        assert_eq!(at.state.as_deref(), Some("RunStage"));
    }

    #[test]
    fn wildcards_match_as_step_functions_matches_them() {
        for (name, error, matched) in [
            ("States.ALL", "SchemaMismatch", true),
            ("States.ALL", "States.Timeout", true),
            ("States.ALL", "States.Runtime", false),
            ("States.TaskFailed", "SchemaMismatch", true),
            ("States.TaskFailed", "Lambda.ServiceException", true),
            ("States.TaskFailed", "States.Timeout", false),
            ("States.TaskFailed", "States.Runtime", false),
            ("SchemaMismatch", "SchemaMismatch", true),
            ("Schema", "SchemaMismatch", false),
        ] {
            assert_eq!(matches(name, error), matched, "{name} on {error}");
        }
    }

    #[test]
    fn retries_are_counted_anew_in_every_state() {
        let machine = machine();
        let mut at = position("stage");
        proceed(&machine, &mut at);
        for _ in 0..3 {
            settle(&machine, &mut at, error("ModelTimeout"), 0.0);
            settle(
                &machine,
                &mut at,
                Ok(json!({"jobId": "j", "stage": 2, "next": "stage", "waitSeconds": 0})),
                0.0,
            );
            assert!(matches!(proceed(&machine, &mut at), Step::Run { .. }));
            assert!(at.retries.is_empty());
        }
    }
}
