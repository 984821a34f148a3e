//! The state machine's definition, and an execution of what was understood: a number of steps, whatever comes of
//! its tasks.
#![no_main]

use bedrock_diy_embedded::engine::StateMachine;
use bedrock_diy_embedded::engine::advance::{Step, TaskError, proceed, settle};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

const STEPS: usize = 50;

fuzz_target!(|json: &str| {
    let Ok(machine) = StateMachine::parse(json) else {
        return;
    };
    assert!(machine.states.contains_key(&machine.start_at));
    let _ = machine.resources();
    let start = json!({
        "input": {"jobId": "j", "stage": 1, "next": "stage", "waitSeconds": 7},
        "startedAt": "2026-11-01T00:00:00Z",
    });
    let mut position = serde_json::from_value(start).expect("it is a position");
    for step in 0..STEPS {
        match proceed(&machine, &mut position) {
            Step::End(_) => return,
            Step::Sleep { millis } => assert!(millis >= 0),
            Step::Run { .. } => {
                let outcome = if step % 2 == 0 {
                    Err(TaskError {
                        error: "ModelTimeout".to_owned(),
                        cause: "it took too long".to_owned(),
                    })
                } else {
                    Ok(json!({"jobId": "j", "stage": 2, "next": "wait", "waitSeconds": 1}))
                };
                settle(&machine, &mut position, outcome, 0.5);
            }
        }
    }
});
