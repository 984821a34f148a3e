//! Whatever comes: no panic, and nothing forged is taken.

use bedrock_diy_core::{
    hook::{Mapping, Scheme, take},
    time::Timestamp,
};
use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::Value;

use crate::sender::{NOW, Sent, hook, schemes, secret};

/// Every header that some scheme looks into.
const HEADERS: [&str; 12] = [
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "x-hub-signature-256",
    "x-wp-webhook-signature",
    "x-ghost-signature",
    "x-contentful-signature",
    "x-contentful-signed-headers",
    "x-contentful-timestamp",
    "x-contentful-topic",
    "authorization",
    "idempotency-key",
];

/// Header values, nonsense and nearly right.
fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..80),
        "[0-9]{1,30}".prop_map(String::into_bytes),
        "sha256=[0-9a-f]{0,70}(, t=[0-9]{0,20})?".prop_map(String::into_bytes),
        "(v1,[A-Za-z0-9+/=]{0,50} ?){0,3}".prop_map(String::into_bytes),
        "(x-contentful-(timestamp|signed-headers|topic|[a-z]{0,9}),?){0,5}".prop_map(String::into_bytes),
        "Bearer .{0,40}".prop_map(String::into_bytes),
    ]
}

/// JSON, nonsense and nearly right.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    let json = leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec(("(text|title|id|[a-z/~]{0,4})", inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    });
    prop_oneof![
        vec(any::<u8>(), 0..200),
        json.prop_map(|json| json.to_string().into_bytes()),
    ]
}

/// Flips one bit.
fn flip(bytes: &mut [u8], at: Index) {
    let bit = at.index(bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
}

proptest! {
    #[test]
    fn nothing_is_taken_without_a_secret_and_nothing_panics(
        scheme in 0..schemes().len(),
        headers in vec((0..HEADERS.len(), value()), 0..8),
        target in ".{0,40}",
        body in body(),
        now in any::<i64>(),
    ) {
        let scheme = &schemes()[scheme];
        let mut sent = Sent { target, ..Sent::new(body) };
        for (name, value) in headers {
            sent = sent.with(HEADERS[name], value);
        }
        let refusal = sent.verified(&hook(scheme), &[secret(scheme, 1)], Timestamp::from_millis(now)).unwrap_err();
        prop_assert!(!refusal.to_string().contains(secret(scheme, 1).reveal()));
    }

    #[test]
    fn a_flipped_bit_of_anything_signed_is_refused(
        scheme in 0..schemes().len(),
        body in vec(any::<u8>(), 1..300),
        of in any::<Index>(),
        at in any::<Index>(),
    ) {
        let scheme = &schemes()[scheme];
        let secrets = [secret(scheme, 1)];
        let sent = Sent::new(body)
            .with("x-contentful-topic", "ContentManagement.Entry.publish")
            .signed(scheme, secrets[0].reveal(), NOW);
        prop_assert!(sent.verified(&hook(scheme), &secrets, NOW).is_ok());
        let mut names: Vec<_> = sent.headers.keys().cloned().collect();
        // What Contentful does not sign does not matter to others; nor does a body to a bearer.
        names.retain(|name| name != "x-contentful-topic" || *scheme == Scheme::Contentful {});
        let mut parts: Vec<Option<String>> = names.into_iter().map(Some).collect();
        if !matches!(scheme, Scheme::Bearer { .. }) {
            parts.push(None);
        }
        let mut forged = sent.clone();
        match of.get(&parts) {
            Some(name) => flip(forged.headers.get_mut(name).unwrap(), at),
            None => flip(&mut forged.body, at),
        }
        // `Bearer` is said in any case: the name of the scheme is no secret.
        let same_token = matches!(scheme, Scheme::Bearer { .. })
            && forged.headers["authorization"].eq_ignore_ascii_case(&sent.headers["authorization"])
            && forged.headers["authorization"][7..] == sent.headers["authorization"][7..];
        prop_assert!(same_token || forged.verified(&hook(scheme), &secrets, NOW).is_err());
    }

    #[test]
    fn taking_anything_never_panics_and_never_takes_a_blank_text(body in body(), text in "(/(text|[a-z~01]{0,4})){0,3}") {
        let mapping = Mapping {
            text,
            title: Some("/title".into()),
            id: Some("/id".into()),
            session_id: Some("/text/id".into()),
            metadata: [("all".to_owned(), String::new())].into(),
            ..Mapping::default()
        };
        match take(&mapping, &body) {
            Ok(taken) => prop_assert!(!taken.text.trim().is_empty()),
            Err(faults) => prop_assert!(!faults.is_empty()),
        }
    }
}
