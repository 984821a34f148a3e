//! A position in a job's events, as a client sends it back: it says the same again, and whatever is told from there on
//! is told without a panic.
#![no_main]

use bedrock_diy_core::{
    JobId, ProjectId, PromptId,
    event::{Event, Fact, StageDelta},
    follow::Had,
    time::Timestamp,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, u64, u64, &str)| {
    let (position, number, offset, text) = input;
    let Ok(mut had) = position.parse::<Had>() else {
        return;
    };
    let again: Had = had.to_string().parse().expect("it can be read again");
    assert_eq!(again, had);
    had.take(Event {
        job_id: JobId::new("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("it is a ULID"),
        project_id: ProjectId::new("news").expect("it is a slug"),
        number,
        at: Timestamp::default(),
        fact: Fact::StageDelta(StageDelta {
            stage: 1,
            prompt_id: PromptId::new("facts").expect("it is a slug"),
            answer: "a1".into(),
            // Offsets are made here: an answer has no more characters than bytes fit into memory.
            offset: offset >> 1,
            text: text.into(),
        }),
    });
});
