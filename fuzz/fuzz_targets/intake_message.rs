//! What lies in the intake queues, and the keys of what is dropped in the inbox.
#![no_main]

use bedrock_diy_core::article::parse_inbox_key;
use bedrock_diy_core::intake::IntakeMessage;
use bedrock_diy_core::{BatchId, JobId, ProjectId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some((project, batch, name)) = parse_inbox_key(text) {
        assert_eq!(format!("inbox/{project}/{batch}/{name}"), text);
        if let (Ok(project), Ok(_)) = (ProjectId::new(project), BatchId::new(batch)) {
            let job = JobId::of_drop(&project, text, "", None);
            assert_eq!(job, JobId::of_drop(&project, text, "", None));
        }
    }
    if let Ok(message) = serde_json::from_str::<IntakeMessage>(text) {
        let written = serde_json::to_string(&message).expect("a message that was read can be written");
        let again: IntakeMessage =
            serde_json::from_str(&written).expect("a message that was written can be read");
        assert_eq!(message, again);
    }
});
