//! What WordPress, Ghost and Contentful really send is verified and mapped.

use bedrock_diy_core::hook::{Scheme, Secret, take};

use crate::{sample::sample, sender::Sent};

/// Has it sent, signed, verified and mapped; and once more, later.
fn check(name: &str) {
    let sample = sample(name);
    let scheme = &sample.hook.scheme;
    assert_eq!(sample.hook.faults(), [], "{name}");
    let secrets = [Secret::given(scheme, &sample.secret).unwrap()];
    let mut sent = Sent::new(sample.written());
    for (header, value) in sample.headers() {
        sent = sent.with(header, value);
    }
    let sent = sent.signed(scheme, &sample.secret, sample.sent_at);
    let delivery = sent.verified(&sample.hook, &secrets, sample.sent_at).unwrap();
    if let Some(id) = &sample.takes.delivery_id {
        assert_eq!(&delivery, id, "{name}");
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
    check("wordpress");
}

#[test]
fn an_article_of_ghost_is_verified_and_taken() {
    check("ghost");
}

#[test]
fn an_article_of_contentful_is_verified_and_taken() {
    check("contentful");
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
