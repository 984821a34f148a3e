//! What `WordPress`, Ghost and Contentful really send.

use std::path::Path;

use bedrock_diy_core::{
    hook::{Hook, Scheme, Secret, take},
    time::Timestamp,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::sender::Sent;

/// A file of `tests/hooks/`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sample {
    hook: Hook,
    secret: String,
    sent_at: Timestamp,
    headers: Map<String, Value>,
    body: Value,
    takes: Takes,
}

/// What is to come out.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Takes {
    delivery_id: Option<String>,
    name: String,
    title: String,
    text_has: String,
    metadata: Map<String, Value>,
    #[serde(default)]
    missing: Vec<String>,
}

fn sample(name: &str) -> Sample {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/hooks/{name}.json"));
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// Has it sent, signed, verified and mapped; and once more, later.
fn check(name: &str, write: impl Fn(&Value) -> Vec<u8>) {
    let sample = sample(name);
    let scheme = &sample.hook.scheme;
    assert_eq!(sample.hook.faults(), [], "{name}");
    let secrets = [Secret::given(scheme, &sample.secret).unwrap()];
    let mut sent = Sent::new(write(&sample.body));
    for (header, value) in &sample.headers {
        // As HTTP has it: a character a byte.
        let value = value.as_str().unwrap().chars().map(|c| u8::try_from(c).unwrap());
        sent = sent.with(header, value.collect::<Vec<_>>());
    }
    let sent = sent.signed(scheme, &sample.secret, sample.sent_at);
    let delivery = sent.verified(&sample.hook, &secrets, sample.sent_at).unwrap();
    if let Some(id) = &sample.takes.delivery_id {
        assert_eq!(&delivery.id, id, "{name}");
    }
    let again = sent.verified(&sample.hook, &secrets, sample.sent_at.plus_millis(4_000));
    assert_eq!(
        again.unwrap(),
        delivery,
        "{name}: the same delivery is the same job"
    );

    let taken = take(&sample.hook.mapping, &sent.body).unwrap();
    let takes = &sample.takes;
    assert_eq!(taken.name.as_ref(), Some(&takes.name), "{name}");
    assert_eq!(taken.title.as_ref(), Some(&takes.title), "{name}");
    assert!(taken.text.contains(&takes.text_has), "{name}: {}", taken.text);
    assert_eq!(taken.missing, takes.missing, "{name}");
    for (key, value) in &takes.metadata {
        assert_eq!(taken.metadata.get(key), Some(value), "{name}: {key}");
    }
    let found = sample.hook.mapping.metadata.len() - taken.missing.len();
    assert_eq!(taken.metadata.len(), found, "{name}");
}

#[test]
fn an_article_of_wordpress_is_verified_and_taken() {
    check("wordpress", |body| as_php(&body.to_string()));
}

#[test]
fn an_article_of_ghost_is_verified_and_taken() {
    check("ghost", |body| body.to_string().into_bytes());
}

#[test]
fn an_article_of_contentful_is_verified_and_taken() {
    check("contentful", |body| serde_json::to_vec_pretty(body).unwrap());
}

#[test]
fn each_sample_has_a_scheme_of_its_own() {
    assert!(matches!(
        sample("wordpress").hook.scheme,
        Scheme::HubSha256 { .. }
    ));
    assert_eq!(sample("ghost").hook.scheme, Scheme::Ghost {});
    assert_eq!(sample("contentful").hook.scheme, Scheme::Contentful {});
}

/// PHP's `json_encode` escapes slashes, and all but ASCII in UTF-16.
fn as_php(json: &str) -> Vec<u8> {
    let mut written = String::new();
    for c in json.chars() {
        match c {
            '/' => written += "\\/",
            c if c.is_ascii() => written.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    written += &format!("\\u{unit:04x}");
                }
            }
        }
    }
    written.into_bytes()
}
