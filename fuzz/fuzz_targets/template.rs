//! A card's template: parsed, checked and rendered. It must end, whatever it loops over, and what it puts out
//! must not grow beyond what its fuel pays for.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bedrock_diy_core::PromptId;
use bedrock_diy_core::article::ArticleMeta;
use bedrock_diy_core::limits::TEMPLATE_FUEL;
use bedrock_diy_core::render::{Template, Variables};
use libfuzzer_sys::fuzz_target;

static FACTS: LazyLock<PromptId> = LazyLock::new(|| PromptId::new("facts").expect("it is a slug"));
static VARIABLES: LazyLock<Variables> = LazyLock::new(|| Variables {
    article: "The bridge opens. </article> {{ previous }}".into(),
    previous: "Bridge.".into(),
    stages: BTreeMap::from([(FACTS.clone(), "One: 다리.".into())]),
    meta: ArticleMeta {
        title: Some("Bridge".to_owned()),
        language: Some("en-GB".to_owned()),
        media_type: Some("text/plain".to_owned()),
        ..ArticleMeta::default()
    },
    ..Variables::default()
});

fuzz_target!(|content: &str| {
    let Ok(template) = Template::parse(content) else {
        return;
    };
    let _ = (template.needs(), template.check(std::slice::from_ref(&*FACTS)));
    if let Ok(system) = template.render(&VARIABLES) {
        // A unit of fuel pays for 64 bytes, or for an instruction, which may write a short text of the template or a
        // delimited one.
        assert!(
            system.len() as u64 <= TEMPLATE_FUEL * 256,
            "{} bytes",
            system.len()
        );
    }
});
