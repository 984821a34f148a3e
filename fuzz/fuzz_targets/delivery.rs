//! A delivery to a hook: nothing is verified that nobody has signed, and whatever its body holds is taken or
//! refused. The input's first line is a header's value, for every header that is looked into.
#![no_main]

use std::sync::LazyLock;

use bedrock_diy_core::hook::{Call, Hook, Mapping, Scheme, Secret, take, verify};
use bedrock_diy_core::intake::Lane;
use bedrock_diy_core::time::Timestamp;
use bedrock_diy_core::{HookId, ProjectId};
use libfuzzer_sys::fuzz_target;

const NOW: Timestamp = Timestamp::from_millis(1_795_395_600_000);

static HOOKS: LazyLock<Vec<Hook>> = LazyLock::new(|| {
    let schemes = [
        Scheme::StandardWebhooks {},
        Scheme::HubSha256 { header: None },
        Scheme::Ghost {},
        Scheme::Contentful {},
        Scheme::Bearer {
            delivery_id_header: None,
        },
    ];
    let hook = |scheme| Hook {
        project_id: ProjectId::new("news").expect("it is a slug"),
        hook_id: HookId::fresh(NOW, 1),
        name: "Hook".into(),
        scheme,
        mapping: Mapping {
            text: "/text".into(),
            title: Some("/title".into()),
            id: Some("/id".into()),
            session_id: Some("/session".into()),
            metadata: [("all".into(), String::new())].into(),
            ..Mapping::default()
        },
        lane: Lane::Live,
        is_active: true,
        created_by: "fuzz".into(),
        created_at: NOW,
        updated_at: NOW,
        version: 1,
        deleted_at: None,
    };
    schemes.into_iter().map(hook).collect()
});

fuzz_target!(|input: &[u8]| {
    let cut = input
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(input.len());
    let (value, body) = (&input[..cut], input.get(cut + 1..).unwrap_or_default());
    for hook in &*HOOKS {
        let header = |_: &str| Some(value);
        let call = Call {
            method: "POST",
            target: "/hooks/x",
            header: &header,
            body,
        };
        let secret = Secret::generate(&hook.scheme, [0x5a; 32]);
        verify(hook, &[secret], &call, NOW).expect_err("nobody has signed it");
        match take(&hook.mapping, body) {
            Ok(taken) => assert!(!taken.text.trim().is_empty()),
            Err(faults) => assert!(!faults.is_empty()),
        }
    }
});
